//! How many configurations came to what.

use super::{Configuration, Outcome};

/// Counts of configurations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub all: usize,
    /// Those that gave outputs, which were compared.
    pub ran: usize,
    /// Of these, those with something outside the tolerance.
    pub outside: usize,
    /// Of these, those that did not end as expected.
    pub unexpected: usize,
    /// Those that cannot run here, as expected.
    pub cannot: usize,
}

impl Tally {
    pub fn of(configurations: &[Configuration]) -> Self {
        let mut tally = Self {
            all: configurations.len(),
            ..Self::default()
        };
        for configuration in configurations {
            let is_expected = configuration.is_as_expected();
            match &configuration.outcome {
                Outcome::Failed { .. } => {}
                Outcome::Cannot { .. } => tally.cannot += usize::from(is_expected),
                Outcome::Ran(ran) => {
                    tally.ran += 1;
                    tally.outside += usize::from(!ran.within_tolerance);
                    tally.unexpected += usize::from(!is_expected);
                }
            }
        }
        tally
    }

    /// Those without a result that were expected to have one.
    pub fn without_result(&self) -> usize {
        self.all - self.ran - self.cannot
    }

    /// What is to be said of those that cannot run here, behind a count of those that ran.
    pub fn cannot_text(&self) -> String {
        match self.cannot {
            0 => String::new(),
            cannot => format!("; {cannot} cannot run here, as expected"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Difference;
    use crate::engine::command::{Ends, EngineSays, Expected};
    use crate::engine::placement::Placement;
    use crate::matrix::{Computer, Ran};

    fn ends(expected: &[Expected], outcome: Outcome) -> Configuration {
        Configuration {
            number: 1,
            engine: Computer::Command {
                name: "a".to_owned(),
                says: EngineSays::default(),
                expected: Ends::Several(expected.to_vec()),
            },
            batch_size: None,
            threads: None,
            outcome,
            seconds: 0.0,
        }
    }

    fn ran(within_tolerance: bool) -> Outcome {
        Outcome::Ran(Box::new(Ran {
            within_tolerance,
            nodes: Placement::default(),
            faulty_samples: 0,
            outside_elements: 0,
            golden: Difference::default(),
            top1: None,
            running_seconds: None,
        }))
    }

    fn cannot() -> Outcome {
        Outcome::Cannot {
            reason: String::new(),
        }
    }

    #[test]
    fn what_did_not_run_is_not_among_those_that_ran() {
        let either = [Expected::Fail, Expected::Cannot];
        let alone = Tally::of(&[ends(&either, cannot())]);
        assert_eq!((alone.ran, alone.cannot, alone.without_result()), (0, 1, 0));
        let failed = Outcome::Failed {
            reason: String::new(),
        };
        let tally = Tally::of(&[
            ends(&either, cannot()),
            ends(&[Expected::Pass], cannot()),
            ends(&[Expected::Pass], failed),
            ends(&[Expected::Pass], ran(true)),
            ends(&either, ran(false)),
            ends(&either, ran(true)),
        ]);
        let counts = (tally.ran, tally.outside, tally.unexpected, tally.cannot);
        assert_eq!(counts, (3, 1, 1, 1));
        assert_eq!(tally.without_result(), 2);
    }
}
