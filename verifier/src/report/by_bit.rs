//! Many faults in few lines: of each bit, how many came to which outcome.

use super::table::table;
use crate::check::{FaultOutcome, FaultResult};
use crate::inject::Change;

/// Of more faults than this the sums come first.
pub(super) const MANY: usize = 16;

/// In the order of columns and bars.
pub(super) const OUTCOMES: [FaultOutcome; 5] = [
    FaultOutcome::Masked,
    FaultOutcome::WithinTolerance,
    FaultOutcome::Detected,
    FaultOutcome::Missed,
    FaultOutcome::NotReached,
];

/// Bits of the mantissa that share a line, the highest and the lowest.
const MANTISSA: [[u8; 2]; 3] = [[22, 16], [15, 8], [7, 0]];

/// Faults of each of [`OUTCOMES`].
pub(super) type Counts = [usize; OUTCOMES.len()];

/// Faults by what they change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ByBit {
    /// That invert a bit, by the bit: 31 is the sign, 30 to 23 the exponent.
    pub(super) flips: [Counts; 32],
    /// That put another value in the place.
    pub(super) values: Counts,
}

impl ByBit {
    /// Counts faults.
    pub(super) fn of(faults: &[FaultResult]) -> Self {
        let mut sums = Self::default();
        for fault in faults {
            let counts = match fault.fault.change {
                Change::Flip(bit) => &mut sums.flips[usize::from(bit)],
                _ => &mut sums.values,
            };
            let outcome = OUTCOMES.iter().position(|&known| known == fault.outcome);
            counts[outcome.expect("every outcome is listed")] += 1;
        }
        sums
    }

    /// A line for the sign, each bit of the exponent, some of the mantissa together, and other
    /// values; those without a fault are left out.
    pub(super) fn lines(&self) -> Vec<(String, Counts)> {
        let one = |name: &str, bit: u8| (format!("{bit} {name}"), self.sum([bit, bit]));
        let mut lines = vec![one("sign", 31)];
        lines.extend((23..=30).rev().map(|bit| one("exponent", bit)));
        lines.extend(MANTISSA.map(|bits| {
            let [high, low] = bits;
            (format!("{high} to {low} mantissa"), self.sum(bits))
        }));
        lines.push(("another value".to_owned(), self.values));
        lines.retain(|(_, counts)| counts.iter().sum::<usize>() > 0);
        lines
    }

    fn sum(&self, [high, low]: [u8; 2]) -> Counts {
        let mut sum = Counts::default();
        for counts in &self.flips[usize::from(low)..=usize::from(high)] {
            sum.iter_mut()
                .zip(counts)
                .for_each(|(sum, count)| *sum += count);
        }
        sum
    }
}

/// The head of a table of [`ByBit::lines`].
pub(super) fn columns() -> Vec<String> {
    let outcomes = OUTCOMES.iter().map(|outcome| outcome.name().to_lowercase());
    ["bit", "faults"]
        .map(str::to_owned)
        .into_iter()
        .chain(outcomes)
        .collect()
}

/// A line as cells of such a table.
pub(super) fn cells((name, counts): &(String, Counts)) -> Vec<String> {
    let numbers = std::iter::once(counts.iter().sum::<usize>()).chain(*counts);
    let numbers = numbers.map(|number| number.to_string());
    std::iter::once(name.clone()).chain(numbers).collect()
}

/// The sums for a terminal or a page of text.
pub(super) fn sums(faults: &[FaultResult]) -> String {
    let columns = columns();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    table(
        &columns,
        ByBit::of(faults).lines().iter().map(cells).collect(),
    )
}

/// The faults to list where there is room for so many; if that is not enough, the missed ones come
/// first.
pub(super) fn listed(faults: &[FaultResult], room: usize) -> Vec<&FaultResult> {
    let mut listed: Vec<&FaultResult> = faults.iter().collect();
    if faults.len() > room {
        listed.sort_by_key(|fault| fault.outcome != FaultOutcome::Missed);
        listed.truncate(room);
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str, outcome: FaultOutcome) -> FaultResult {
        FaultResult {
            outcome,
            ..FaultResult::new(&text.parse().expect("a fault"))
        }
    }

    #[test]
    fn each_bit_is_in_one_line_and_no_fault_is_lost() {
        let faults: Vec<FaultResult> = (0..32)
            .map(|bit| fault(&format!("output[0,{bit}]^{bit}"), FaultOutcome::Masked))
            .chain([fault("golden[0,0]=inf", FaultOutcome::Detected)])
            .collect();
        let lines = ByBit::of(&faults).lines();
        let sums: Vec<(&str, usize)> = lines
            .iter()
            .map(|(name, counts)| (name.as_str(), counts.iter().sum()))
            .collect();
        assert_eq!(sums.len(), 1 + 8 + 3 + 1);
        assert_eq!(sums[..2], [("31 sign", 1), ("30 exponent", 1)]);
        assert_eq!(
            sums[8..],
            [
                ("23 exponent", 1),
                ("22 to 16 mantissa", 7),
                ("15 to 8 mantissa", 8),
                ("7 to 0 mantissa", 8),
                ("another value", 1)
            ]
        );
        assert_eq!(lines[12].1, [0, 0, 1, 0, 0], "detected");
    }

    #[test]
    fn missed_faults_are_listed_first_where_not_all_are() {
        let faults = [
            fault("output[0,0]^1", FaultOutcome::Masked),
            fault("output[0,0]^2", FaultOutcome::Detected),
            fault("output[0,0]^3", FaultOutcome::Missed),
        ];
        let names = |room: usize| -> Vec<String> {
            let listed = listed(&faults, room);
            listed.iter().map(|fault| fault.fault.to_string()).collect()
        };
        assert_eq!(names(2), ["output[0,0]^3", "output[0,0]^1"]);
        assert_eq!(names(3)[0], "output[0,0]^1", "as they were given");
    }
}
