//! The table of consequences in the folder of a log, read back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use crate::compare::ClassOutcome;
use crate::watch::log::event::Sdc;

/// The table in the folder of a log.
pub const TABLE: &str = "consequences.csv";

/// What became of the class in the wrong batches of a log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// BLAKE3 of the bundle that it was made with; older tables do not say it.
    bundle_blake3: Option<String>,
    sdcs: BTreeMap<u64, Samples>,
}

/// Of a wrong batch: the samples that were carried on, whether the class of one changed, and
/// whether the logits of one were not finite.
#[derive(Debug, Clone, Default, PartialEq)]
struct Samples {
    numbers: BTreeSet<usize>,
    is_critical: bool,
    is_non_finite: bool,
}

/// What is known of a wrong batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Examined {
    /// Not carried on, or not all of its samples.
    #[default]
    Unknown,
    /// The class of a sample changed.
    Critical,
    /// That of none, of all its samples, but logits are not finite: there is no class.
    NonFinite,
    /// Neither, of all its samples.
    NotCritical,
}

impl Table {
    /// Of the folder of a log; `None` where there is none.
    pub fn read(log: &Path) -> io::Result<Option<Self>> {
        let path = log.join(TABLE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read,
        };
        let named =
            |error: &dyn std::fmt::Display| io::Error::other(format!("{}{error}", path.display()));
        let text = text.map_err(|error| named(&format_args!(": {error}")))?;
        let mut table = Self::default();
        for (number, line) in text.lines().enumerate().skip(1) {
            let hint = "hint: `verifier watch consequences` makes it again";
            table.take(line).ok_or_else(|| {
                let number = number + 1;
                named(&format_args!(
                    ", line {number}: {line:?} is no outcome\n{hint}"
                ))
            })?;
        }
        Ok(Some(table))
    }

    /// BLAKE3 of the bundle that it was made with, if it says so.
    pub fn bundle_blake3(&self) -> Option<&str> {
        self.bundle_blake3.as_deref()
    }

    /// What is known of a wrong batch.
    pub fn of(&self, sdc: &Sdc) -> Examined {
        match self.sdcs.get(&sdc.number) {
            Some(samples) if samples.is_critical => Examined::Critical,
            Some(samples) if samples.numbers.len() < sdc.faulty_samples => Examined::Unknown,
            Some(samples) if samples.is_non_finite => Examined::NonFinite,
            Some(_) => Examined::NotCritical,
            None => Examined::Unknown,
        }
    }

    fn take(&mut self, line: &str) -> Option<()> {
        let mut fields = line.split(',');
        let [sdc, sample, _tier, outcome] = [(); 4].map(|()| fields.next());
        let outcomes = [
            ClassOutcome::Tolerable,
            ClassOutcome::Critical,
            ClassOutcome::NonFinite,
        ];
        let outcome = outcomes
            .into_iter()
            .find(|known| Some(known.name()) == outcome)?;
        let sample = sample?.parse().ok()?;
        if let Some(bundle) = fields.next() {
            self.bundle_blake3 = Some(bundle.to_owned());
        }
        // What belongs to no wrong batch of the log has no number.
        let sdc = sdc?;
        if !sdc.is_empty() {
            let samples = self.sdcs.entry(sdc.parse().ok()?).or_default();
            samples.numbers.insert(sample);
            samples.is_critical |= outcome == ClassOutcome::Critical;
            samples.is_non_finite |= outcome == ClassOutcome::NonFinite;
        }
        Some(())
    }
}

/// A wrong batch of this number, of so many samples.
#[cfg(test)]
pub(super) fn sdc(number: u64, faulty_samples: usize) -> Sdc {
    serde_json::from_value(serde_json::json!({
        "number": number, "worker": 1, "pass": 1, "batch": [0, 8],
        "faulty_samples": faulty_samples, "faulty_elements": faulty_samples,
        "non_finite_elements": 0, "differing_samples": 0, "signature": number.to_string(),
        "seconds": 0.1,
    }))
    .expect("an SDC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_its_bundle_is_read_and_one_that_is_damaged_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let read = |text: &str| {
            fs::write(folder.path().join(TABLE), text).expect("write");
            Table::read(folder.path())
        };
        let table = read("sdc,sample,tier,outcome\n1,0,0,critical\n,5,0,tolerable\n");
        let table = table.expect("read").expect("a table");
        assert_eq!(table.bundle_blake3(), None);
        assert_eq!(table.of(&sdc(1, 1)), Examined::Critical);
        let text = format!(
            "sdc,sample,tier,outcome\n2,0,0,{}\n2,1,0,{}\n",
            ClassOutcome::Tolerable.name(),
            ClassOutcome::NonFinite.name()
        );
        let table = read(&text).expect("read").expect("a table");
        assert_eq!(table.of(&sdc(2, 2)), Examined::NonFinite);
        assert_eq!(table.of(&sdc(2, 3)), Examined::Unknown);
        let error = read("sdc,sample,tier,outcome\n1,0,0,crit").expect_err("cut off");
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
