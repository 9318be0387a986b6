//! The order of an output's pieces: that of the numbers in their names.

use std::cmp::Ordering;
use std::path::PathBuf;

use super::error::RecordedError;
use super::piece::Piece;

/// Refuses pieces, in [`natural_order`], of which no number says which comes first.
pub(super) fn check_order(pieces: &[Piece]) -> Result<(), RecordedError> {
    for pair in pieces.windows(2) {
        let [before, after] = pair else { continue };
        // Batches of one file may have one name, and are in the order in which they are there.
        let is_same = before.source_name == after.source_name && before.key == after.key;
        let differ_by_numbers =
            words(&before.key) == words(&after.key) && numbers(&before.key) != numbers(&after.key);
        if !is_same && !differ_by_numbers {
            return Err(RecordedError::Order {
                one: PathBuf::from(&before.source_name),
                other: PathBuf::from(&after.source_name),
            });
        }
    }
    Ok(())
}

/// Refuses pieces whose numbers leave one out. Numbers count pieces, with any step, or samples:
/// each is that of the first sample of its piece, or of the one after its last. `rows` are how many
/// samples each piece has.
pub(super) fn check_sequence(pieces: &[Piece], rows: &[usize]) -> Result<(), RecordedError> {
    let numbers: Vec<Vec<u64>> = pieces.iter().map(|piece| numbers(&piece.key)).collect();
    // The first of two pieces, and how far their numbers are apart.
    let mut steps = Vec::new();
    for (index, pair) in numbers.windows(2).enumerate() {
        let mut differing = pair[0].iter().zip(&pair[1]).filter(|(a, b)| a != b);
        if let (Some((before, after)), None) = (differing.next(), differing.next()) {
            steps.push((index, after.abs_diff(*before)));
        }
    }
    let counts_samples = |offset: usize| {
        let mut steps = steps.iter();
        steps.all(|&(index, step)| step == rows[index + offset] as u64)
    };
    let first = steps.first().map(|&(_, step)| step);
    let other = steps.iter().find(|&&(_, step)| Some(step) != first);
    match other {
        Some(&(index, _)) if !counts_samples(0) && !counts_samples(1) => Err(RecordedError::Gap {
            before: PathBuf::from(&pieces[index].source_name),
            after: PathBuf::from(&pieces[index + 1].source_name),
        }),
        _ => Ok(()),
    }
}

/// `batch_2` before `batch_10`.
pub(super) fn natural_order(a: &str, b: &str) -> Ordering {
    words(a)
        .cmp(&words(b))
        .then_with(|| numbers(a).cmp(&numbers(b)))
        .then_with(|| a.cmp(b))
}

/// What is between the numbers of a text, in order; its first word may be empty.
fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split(|letter: char| letter.is_ascii_digit()).collect();
    let mut is_first = true;
    words.retain(|word| std::mem::take(&mut is_first) || !word.is_empty());
    words
}

/// The numbers in a text, in order; those that are too long for 64 bits as the largest.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(u64::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::recorded::array::{Array, Layout};
    use crate::engine::recorded::element_type::ElementType;
    use crate::engine::recorded::piece::Source;

    fn pieces(keys: &[&str]) -> Vec<Piece> {
        let layout = Layout::new(ElementType::FLOAT32, &[1], 4).expect("one element");
        let array = Array {
            layout: layout.clone(),
            bytes: vec![0; 4],
        };
        let piece = |key: &&str| Piece {
            key: (*key).to_owned(),
            is_named: false,
            source_name: format!("{key}.npy"),
            layout: layout.clone(),
            source: Source::Memory(array.clone()),
        };
        keys.iter().map(piece).collect()
    }

    #[test]
    fn numbers_are_ordered_by_their_value() {
        let mut keys = ["b_10", "b_9", "a_11", "b_1"];
        keys.sort_by(|a, b| natural_order(a, b));
        assert_eq!(keys, ["a_11", "b_1", "b_9", "b_10"]);
    }

    #[test]
    fn nothing_but_numbers_says_what_comes_first() {
        for keys in [
            &["out_0", "out_1"][..],
            &["0/y", "1/y"],
            &["y"],
            &["b_9", "b_10"],
        ] {
            check_order(&pieces(keys)).expect("numbers");
        }
        for keys in [
            ["first", "second"],
            ["out_0", "out_00"],
            ["y", "y_1"],
            ["a_0", "b_1"],
        ] {
            let refused = check_order(&pieces(&keys))
                .expect_err("no order")
                .to_string();
            assert!(
                refused.contains(keys[0]) && refused.contains(keys[1]),
                "{refused}"
            );
        }
    }

    #[test]
    fn numbers_may_count_samples() {
        let sequence = |keys: &[&str], rows: &[usize]| check_sequence(&pieces(keys), rows);
        sequence(&["o_0", "o_32", "o_48", "o_56"], &[32, 16, 8, 8]).expect("first samples");
        sequence(&["o_32", "o_48", "o_56", "o_64"], &[32, 16, 8, 8]).expect("ends");
        sequence(&["o_0", "o_2", "o_4"], &[1, 1, 1]).expect("even numbers");
        sequence(&["o_0", "o_32", "o_56"], &[32, 16, 8]).expect_err("48 is missing");
        sequence(&["o_9", "o_10", "o_12"], &[4, 4, 4]).expect_err("11 is missing");
    }
}
