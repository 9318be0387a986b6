//! Which dumped outputs are of SDCs of a log's bundle: what the log says of each wrong batch.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ndarray::ArrayViewD;

use super::dumped::Dumped;
use crate::watch::log::Entry;
use crate::watch::log::event::{Event, Faulty, Sdc, SdcClass};
use crate::watch::wrong_batches::{Counted, WrongBatches};

/// The wrong batches of a log.
#[derive(Debug, Default)]
pub struct FromLog {
    /// BLAKE3 of all bundles.
    pub bundles: BTreeSet<String>,
    sdcs: BTreeMap<u64, Known>,
    wrong_batches: WrongBatches,
    /// Of the last supervisor, and of the one before it, whose wrong batches are still to come.
    bundle: String,
    bundle_before: Option<String>,
}

/// What is known of a wrong batch.
#[derive(Debug)]
struct Known {
    counted: Counted,
    bundle: String,
    batch: [usize; 2],
    described: Vec<Described>,
}

/// An element of a sample outside the tolerance.
#[derive(Debug)]
struct Described {
    sample: usize,
    output: String,
    /// Of the sample.
    index: Vec<usize>,
    actual: f32,
}

/// Why an output is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    OwnDamage,
    Repeated,
    OtherBundle,
    NotInLog,
    OtherValues,
}

impl FromLog {
    /// Takes the next record.
    pub fn add(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Start(start) => {
                let before = std::mem::replace(&mut self.bundle, start.bundle_blake3.clone());
                self.bundle_before = (!self.bundles.is_empty()).then_some(before);
                self.bundles.insert(start.bundle_blake3.clone());
            }
            Event::Worker(_) => self.bundle_before = None,
            Event::Beat(beat) if beat.passes > 0 => self.wrong_batches.pass(),
            Event::Sdc(sdc) => self.sdc(sdc),
            Event::Faulty(faulty) => self.faulty(faulty),
            Event::Classified(classified) => {
                let found = self
                    .wrong_batches
                    .classify(classified.sdc, classified.class);
                let known = self.sdcs.get_mut(&classified.sdc);
                if let (Some([_, counted]), Some(known)) = (found, known) {
                    known.counted = counted;
                }
            }
            _ => {}
        }
    }

    fn sdc(&mut self, sdc: &Sdc) {
        let bundle = self.bundle_before.as_ref().unwrap_or(&self.bundle).clone();
        let known = Known {
            counted: self.wrong_batches.begin(sdc),
            bundle,
            batch: sdc.batch,
            described: vec![],
        };
        self.sdcs.insert(sdc.number, known);
    }

    fn faulty(&mut self, faulty: &Faulty) {
        let Some(known) = self.sdcs.get_mut(&faulty.sdc) else {
            return;
        };
        let Some(pair) = faulty.listed.first() else {
            return;
        };
        known.described.push(Described {
            sample: faulty.sample,
            output: faulty.output.clone(),
            index: pair.index.get(1..).unwrap_or_default().to_vec(),
            actual: pair.actual,
        });
    }

    /// Why an output is left out, before it is read; `None` if it is of an SDC of this bundle.
    pub fn left_out(&self, dumped: &Dumped, bundle_blake3: &str) -> Option<LeftOut> {
        // A check leaves outputs of no wrong batch.
        let known = self.sdcs.get(&dumped.sdc?);
        let Some(known) = known else {
            return Some(LeftOut::NotInLog);
        };
        if known.bundle != bundle_blake3 {
            return Some(LeftOut::OtherBundle);
        }
        match known.counted {
            Counted::Sdc(Some(SdcClass::OwnDamage)) => Some(LeftOut::OwnDamage),
            Counted::Repeated => Some(LeftOut::Repeated),
            _ if !(known.batch[0]..known.batch[1]).contains(&dumped.sample) => {
                Some(LeftOut::OtherValues)
            }
            Counted::Sdc(_) | Counted::OtherBits => None,
        }
    }

    /// Whether an output is not the one that the log describes: it is of another run.
    pub fn has_other_values(
        &self,
        dumped: &Dumped,
        output: &str,
        actual: &ArrayViewD<'_, f32>,
    ) -> bool {
        let known = dumped.sdc.and_then(|number| self.sdcs.get(&number));
        let mut described = known.into_iter().flat_map(|known| &known.described);
        let found = described.find(|of| of.sample == dumped.sample && of.output == output);
        let is_same = |found: &Described| {
            let value = actual.get(found.index.as_slice());
            value.is_some_and(|value| {
                value.to_bits() == found.actual.to_bits()
                    || (value.is_nan() && found.actual.is_nan())
            })
        };
        found.is_some_and(|found| !is_same(found))
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnDamage => "of damage of our own: no SDC",
            Self::Repeated => "of a stuck fault that was seen before: the same event",
            Self::OtherBundle => "of another bundle",
            Self::NotInLog => "of a wrong batch that the log does not have",
            Self::OtherValues => "with other values or samples than the log has: of another run",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ndarray::ArrayD;
    use serde_json::{Value, json};

    use super::*;

    fn start(bundle: &str) -> Value {
        json!({"start": {
            "verifier": "", "host": "", "boot_id": "", "process": 1, "arguments": [],
            "bundle": "", "bundle_blake3": bundle, "part": "", "device": "",
        }})
    }

    fn sdc(number: u64) -> Value {
        let sdc = super::super::table::sdc(number, 1);
        json!({"sdc": sdc})
    }

    fn classified(number: u64, class: &str) -> Value {
        json!({"classified": {"sdc": number, "class": class, "damaged": [], "seconds": 0.1}})
    }

    fn of_log(events: Vec<Value>) -> FromLog {
        let mut log = FromLog::default();
        for (sequence, event) in (1..).zip(events) {
            log.add(&Entry {
                sequence,
                monotonic: 0.0,
                unix: 0.0,
                event: serde_json::from_value(event).expect("an event"),
            });
        }
        log
    }

    fn dumped(sdc: u64, sample: usize) -> Dumped {
        Dumped {
            sdc: Some(sdc),
            sample,
            path: PathBuf::new(),
            row: None,
        }
    }

    #[test]
    fn only_outputs_of_sdcs_of_the_log_and_of_this_bundle_are_carried_on() {
        let worker = json!({"worker": {"number": 1, "process": 1, "waited": 0.0}});
        let log = of_log(vec![
            start("a"),
            worker.clone(),
            sdc(1),
            classified(1, "own-damage"),
            sdc(2),
            classified(2, "stuck"),
            sdc(3),
            classified(3, "stuck"),
            sdc(4),
            start("b"),
            // The one before did not come to tell it.
            sdc(5),
            worker,
            sdc(6),
        ]);
        let left = [1, 2, 3, 4, 5, 6, 7].map(|number| log.left_out(&dumped(number, 0), "a"));
        let expected = [
            Some(LeftOut::OwnDamage),
            None,
            Some(LeftOut::Repeated),
            None,
            None,
            Some(LeftOut::OtherBundle),
            Some(LeftOut::NotInLog),
        ];
        assert_eq!(left, expected);
        assert_eq!(log.left_out(&dumped(2, 8), "a"), Some(LeftOut::OtherValues));
        let of_check = Dumped {
            sdc: None,
            ..dumped(0, 0)
        };
        assert_eq!(log.left_out(&of_check, "a"), None);
    }

    #[test]
    fn an_output_of_another_run_has_other_values_than_the_log() {
        let pair = json!({"index": [3, 1], "golden": "1.0", "actual": "2.5", "xor": "00000000"});
        let faulty = json!({"faulty": {
            "sdc": 1, "sample": 3, "sample_index": 3, "tier": null, "confidence": null,
            "output": "y", "elements": 1, "pattern": null, "listed": [pair],
        }});
        let log = of_log(vec![start("a"), sdc(1), faulty]);
        let other = |values: [f32; 2]| {
            let array = ArrayD::from_shape_vec(vec![2], values.to_vec()).expect("two");
            log.has_other_values(&dumped(1, 3), "y", &array.view())
        };
        assert!(!other([0.0, 2.5]));
        assert!(other([0.0, 2.6]));
    }
}
