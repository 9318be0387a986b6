//! What real errors did to the class: dumped outputs of wrong samples, and their table.

mod dumped;
mod from_log;
mod table;

use std::collections::BTreeMap;

use super::rates::CONFIDENCE;
use crate::campaign::statistics::{Confidence, Interval, wilson};
use crate::compare::{ClassCounts, ClassOutcome};

pub use self::dumped::{Dumped, DumpedError, find, of_files};
pub use self::from_log::{FromLog, LeftOut};
pub use self::table::{Examined, TABLE, Table};

/// The columns of the table.
const HEADER: &str = "sdc,sample,tier,outcome,bundle";

/// Outputs by what became of the class, in each tier of confidence.
#[derive(Debug, Default)]
pub struct Consequences {
    pub tiers: BTreeMap<i64, ClassCounts>,
    /// Of each sample: wrong batch, sample, tier, outcome.
    pub rows: Vec<(Option<u64>, usize, i64, ClassOutcome)>,
}

impl Consequences {
    pub fn add(&mut self, dumped: &Dumped, tier: i64, outcome: ClassOutcome) {
        self.tiers.entry(tier).or_default().add(outcome);
        self.rows.push((dumped.sdc, dumped.sample, tier, outcome));
    }

    /// A row for each tier: samples, and tolerable, critical and non-finite ones with their shares.
    pub fn table(&self) -> Vec<Vec<String>> {
        let confidence = Confidence::new(CONFIDENCE).expect("a usual one");
        // A tier is here because it has a sample.
        let share = |part: usize, all: usize| {
            let estimate = part as f64 / all as f64;
            let Interval { low, high } = wilson(estimate, all as f64, confidence);
            let percent = |share: f64| format!("{:.1}", 100.0 * share);
            let [estimate, low, high] = [estimate, low, high].map(percent);
            format!("{part} = {estimate} % ({low} to {high})")
        };
        let row = |(tier, counts): (&i64, &ClassCounts)| {
            let ClassCounts {
                tolerable,
                critical,
                non_finite,
            } = *counts;
            let all = tolerable + critical + non_finite;
            let shares = [tolerable, critical, non_finite].map(|part| share(part, all));
            let mut cells = vec![tier.to_string(), all.to_string()];
            cells.extend(shares);
            cells
        };
        self.tiers.iter().map(row).collect()
    }

    /// A line for each sample, with the bundle's BLAKE3.
    pub fn csv(&self, bundle_blake3: &str) -> String {
        let line = |(sdc, sample, tier, outcome): &(Option<u64>, usize, i64, ClassOutcome)| {
            let sdc = sdc.map(|sdc| sdc.to_string()).unwrap_or_default();
            let outcome = outcome.name();
            format!("{sdc},{sample},{tier},{outcome},{bundle_blake3}\n")
        };
        let lines: String = self.rows.iter().map(line).collect();
        format!("{HEADER}\n{lines}")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::table::sdc;
    use super::*;

    #[test]
    fn a_table_has_shares_with_limits_and_is_read_back() {
        let folder = tempfile::tempdir().expect("folder");
        let mut consequences = Consequences::default();
        let mut dumped = Dumped {
            sdc: Some(3),
            sample: 1,
            path: PathBuf::new(),
            row: None,
        };
        consequences.add(&dumped, 0, ClassOutcome::Tolerable);
        consequences.add(&dumped, 0, ClassOutcome::Critical);
        dumped.sdc = Some(4);
        consequences.add(&dumped, 2, ClassOutcome::NonFinite);
        let table = consequences.table();
        assert_eq!(table[0][..2], ["0", "2"]);
        assert_eq!(table[0][3], "1 = 50.0 % (9.5 to 90.5)");
        let read = || Table::read(folder.path()).expect("read");
        assert!(read().is_none());
        fs::write(folder.path().join(TABLE), consequences.csv("0a1b")).expect("write");
        let read = read().expect("a table");
        assert_eq!(read.bundle_blake3(), Some("0a1b"));
        let examined = [3, 4, 5].map(|number| read.of(&sdc(number, 2)));
        let expected = [Examined::Critical, Examined::Unknown, Examined::Unknown];
        assert_eq!(
            examined, expected,
            "one sample of two says nothing of the other"
        );
        assert_eq!(read.of(&sdc(4, 1)), Examined::NonFinite);
    }
}
