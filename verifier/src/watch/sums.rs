//! A log summed up, apart for each setting that it was run with.

use super::consequences::Table;
use super::fluence::Counts;
use super::log::Entry;
use super::log::event::{Event, Start};
use super::tally::Tally;

/// Sums of a log in flat memory.
#[derive(Debug)]
pub struct Sums {
    counts: Option<Counts>,
    table: Option<Table>,
    sums: Vec<(Setting, Tally)>,
    /// Of the last supervisor.
    current: usize,
    /// Of the one before it, of which something is still to come until a worker begins.
    before: Option<usize>,
}

/// What events of one sum have in common: bundle, part, device and host.
#[derive(Debug, Clone, Default, PartialEq)]
struct Setting([String; 4]);

impl Sums {
    /// With counts of particles, and what became of the class in wrong batches.
    pub fn new(counts: Option<Counts>, table: Option<Table>) -> Self {
        Self {
            counts,
            table,
            sums: vec![],
            current: 0,
            before: None,
        }
    }

    /// Takes the next record.
    pub fn add(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Start(start) => self.start(start),
            Event::Worker(_) => self.before = None,
            _ => {}
        }
        if self.sums.is_empty() {
            // The beginning of the log is lost.
            self.current = self.place_of(Setting::default(), None);
        }
        let place = match &entry.event {
            Event::Gap(_) | Event::Sdc(_) | Event::Faulty(_) | Event::Classified(_) => {
                self.before.unwrap_or(self.current)
            }
            _ => self.current,
        };
        self.sums[place].1.add(entry);
    }

    /// What each setting came to, in the order of their first records.
    pub fn tallies(&self) -> impl ExactSizeIterator<Item = &Tally> {
        self.sums.iter().map(|(_, tally)| tally)
    }

    fn start(&mut self, start: &Start) {
        let Start {
            bundle_blake3,
            part,
            device,
            host,
            ..
        } = start;
        let setting = Setting([bundle_blake3, part, device, host].map(String::clone));
        self.before = (!self.sums.is_empty()).then_some(self.current);
        self.current = self.place_of(setting, Some(bundle_blake3));
    }

    fn place_of(&mut self, setting: Setting, bundle_blake3: Option<&str>) -> usize {
        let known = self.sums.iter().position(|(known, _)| *known == setting);
        known.unwrap_or_else(|| {
            // A table of another bundle says nothing of this one.
            let is_of_bundle = |table: &&Table| {
                let made_with = table.bundle_blake3();
                made_with.is_none_or(|made_with| Some(made_with) == bundle_blake3)
            };
            let table = self.table.as_ref().filter(is_of_bundle).cloned();
            let tally = Tally::new(self.counts.clone(), table);
            self.sums.push((setting, tally));
            self.sums.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn start(bundle: &str, part: &str) -> Value {
        json!({"start": {
            "verifier": "", "host": "", "boot_id": "", "process": 1, "arguments": [],
            "bundle": "", "bundle_blake3": bundle, "part": part, "device": "cpu",
        }})
    }

    fn sums(events: Vec<Value>) -> Sums {
        let mut sums = Sums::new(None, None);
        for (sequence, event) in (1..).zip(events) {
            sums.add(&Entry {
                sequence,
                monotonic: 0.0,
                unix: 0.0,
                event: serde_json::from_value(event).expect("an event"),
            });
        }
        sums
    }

    fn worker() -> Value {
        json!({"worker": {"number": 1, "process": 1, "waited": 0.0}})
    }

    fn beat(exposed: f64) -> Value {
        json!({"beat": {
            "seconds": 5.0, "exposed": exposed, "comparing": 0.0, "slowest": 0.0, "passes": 1,
            "batches": 1, "samples": 1, "elements": 1, "last_sdc": 0, "worker": 1,
        }})
    }

    #[test]
    fn bundles_and_parts_of_one_log_are_summed_apart() {
        let gap = json!({"gap": {
            "cause": "supervisor", "seconds": 1.0, "after_sequence": 3, "command": null,
        }});
        let sums = sums(vec![
            start("a", "full"),
            worker(),
            beat(1.0),
            start("b", "full"),
            gap,
            worker(),
            beat(2.0),
            start("a", "full"),
            worker(),
            beat(4.0),
        ]);
        let of = |tally: &Tally| (tally.computed.exposed, tally.events.dues());
        // What the first supervisor was lost with is an event of its own setting.
        assert_eq!(
            sums.tallies().map(of).collect::<Vec<_>>(),
            [(5.0, 1), (2.0, 0)]
        );
        let first = sums.tallies().next().expect("two");
        assert_eq!(first.setting["BLAKE3"], ["a".to_owned()].into());
    }

    #[test]
    fn a_log_whose_beginning_is_lost_is_summed_up_too() {
        let sums = sums(vec![beat(1.0), start("a", "full"), worker(), beat(2.0)]);
        let exposed = sums.tallies().map(|tally| tally.computed.exposed);
        assert_eq!(exposed.collect::<Vec<_>>(), [1.0, 2.0]);
    }
}
