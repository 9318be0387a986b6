//! Which samples of a bundle a subset takes.

use super::samples::Samples;
use crate::manifest::Choice;

/// Why no samples can be chosen.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChoiceError {
    /// A tier has fewer samples than asked for.
    #[error(
        "group sizes {}: more than there are; \
         correctly classified samples in each of {} tiers: {}",
        list(.asked), .available.len(), list(.available)
    )]
    TooFew {
        /// Samples by tier.
        asked: Vec<usize>,
        available: Vec<usize>,
    },
    #[error(
        "samples {start} to {end}: expected START < END, END at most {samples}, \
         the samples of the bundle"
    )]
    Range {
        start: usize,
        end: usize,
        /// Samples of the bundle.
        samples: usize,
    },
    #[error("group sizes {}: no sample is chosen", list(.0))]
    Nothing(Vec<usize>),
}

/// Samples of another bundle, and the tier of each if tiers chose them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Positions in the other bundle, in the new order.
    pub rows: Vec<usize>,
    /// Tiers from 0.
    pub tiers: Option<Vec<i64>>,
}

/// Applies a rule to a bundle's samples.
pub fn choose(choice: &Choice, samples: &Samples) -> Result<Chosen, ChoiceError> {
    match choice {
        &Choice::Range { start, end } => consecutive(start, end, samples.correct.len()),
        Choice::Conf { group_sizes } => first_of_each_tier(group_sizes, samples),
    }
}

fn consecutive(start: usize, end: usize, samples: usize) -> Result<Chosen, ChoiceError> {
    if start >= end || end > samples {
        return Err(ChoiceError::Range {
            start,
            end,
            samples,
        });
    }
    Ok(Chosen {
        rows: (start..end).collect(),
        tiers: None,
    })
}

fn first_of_each_tier(sizes: &[usize], samples: &Samples) -> Result<Chosen, ChoiceError> {
    let lists = samples.correct_by_tier(sizes.len());
    let available: Vec<usize> = lists.iter().map(Vec::len).collect();
    if sizes.iter().zip(&available).any(|(size, list)| size > list) {
        return Err(ChoiceError::TooFew {
            asked: sizes.to_vec(),
            available,
        });
    }
    let (mut rows, mut tiers) = (Vec::new(), Vec::new());
    for (tier, (list, &size)) in lists.iter().zip(sizes).enumerate() {
        rows.extend_from_slice(&list[..size]);
        tiers.extend(std::iter::repeat_n(tier as i64, size));
    }
    if rows.is_empty() {
        return Err(ChoiceError::Nothing(sizes.to_vec()));
    }
    Ok(Chosen {
        rows,
        tiers: Some(tiers),
    })
}

fn list(numbers: &[usize]) -> String {
    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
    numbers.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Samples {
        let confidence = vec![0.9, 0.1, 0.8, 0.3, 0.2, 0.99];
        Samples {
            confidence,
            correct: vec![true, true, true, true, true, false],
        }
    }

    #[test]
    fn tiers_come_in_ascending_order_and_their_samples_in_the_bundles() {
        let chosen = |sizes: &[usize]| {
            choose(
                &Choice::Conf {
                    group_sizes: sizes.to_vec(),
                },
                &samples(),
            )
        };
        let found = chosen(&[1, 1, 0, 2]).expect("enough");
        assert_eq!(
            found,
            Chosen {
                rows: vec![1, 3, 0, 2],
                tiers: Some(vec![0, 1, 3, 3])
            }
        );
        let message = chosen(&[3, 1, 1, 1]).expect_err("too few").to_string();
        assert!(message.contains("4 tiers: 2 1 0 2"), "{message}");
        assert!(
            chosen(&[0, 0])
                .expect_err("none")
                .to_string()
                .contains("no sample")
        );
    }

    #[test]
    fn a_range_must_lie_in_the_bundle() {
        let chosen = |start, end| choose(&Choice::Range { start, end }, &samples());
        assert_eq!(chosen(2, 4).expect("inside").rows, [2, 3]);
        for (start, end) in [(0, 7), (3, 3), (4, 2)] {
            assert!(
                chosen(start, end)
                    .expect_err("outside")
                    .to_string()
                    .contains("at most 6")
            );
        }
    }
}
