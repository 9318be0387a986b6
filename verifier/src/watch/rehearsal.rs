//! What a rehearsal did, against what its log has: each cause must have its one event.

use std::collections::BTreeMap;

use super::log::Entry;
use super::log::event::{DueKind, Event, SdcClass};
use super::{supervisor, worker};

/// Causes that are named as wrong.
const NAMED: usize = 50;
/// What acts on outputs or goldens is seen in the pass under way, or in the next one.
const PASSES: u64 = 2;

/// Causes and what became of them.
#[derive(Debug, Default)]
pub struct Accounts {
    /// By kind: how often it was caused, and how often the log has it as it should.
    pub kinds: BTreeMap<String, [u64; 2]>,
    /// What is missing, or has no cause.
    pub wrong: Vec<String>,
    /// Causes whose event has not come yet.
    open: Vec<Open>,
    /// The last wrong batch that has no class yet.
    sdc: Option<bool>,
}

/// A cause.
#[derive(Debug)]
struct Open {
    kind: String,
    sequence: u64,
    /// Passes that were completed since.
    passes: u64,
}

impl Accounts {
    /// Takes the next record of the log.
    pub fn add(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Rehearsed(done) => {
                self.kinds.entry(done.kind.clone()).or_default()[0] += 1;
                self.open.push(Open {
                    kind: done.kind.clone(),
                    sequence: entry.sequence,
                    passes: 0,
                });
            }
            Event::Beat(beat) => self.passed(beat.passes),
            Event::Sdc(sdc) => self.sdc = Some(sdc.is_of_bits_only()),
            Event::Classified(found) => {
                let is_of_bits = self.sdc.take().unwrap_or(false);
                self.close(kind_of(found.class, is_of_bits), entry);
            }
            Event::Due(due) => {
                // A worker that is lost in the middle leaves a wrong batch without a class.
                if let Some(is_of_bits) = self.sdc.take() {
                    self.close_unclassified(is_of_bits);
                }
                // The worker was about to do something that never came to be.
                let kind = match due.kind {
                    DueKind::Hang if self.is_open("stopped") => "stopped".to_owned(),
                    DueKind::Hang => "hang".to_owned(),
                    kind => kind.to_string(),
                };
                self.close(&kind, entry);
                self.forget_what_died();
            }
            Event::Disk(disk) if disk.is_full => self.close("disk-full", entry),
            Event::End(_) => self.forget_what_died(),
            _ => {}
        }
    }

    /// What was caused last may not have had its time.
    pub fn finish(&mut self) {
        for open in std::mem::take(&mut self.open) {
            self.complain(format!(
                "{} of record {}: no event",
                open.kind, open.sequence
            ));
        }
    }

    /// Kinds that never came to be.
    pub fn never_caused(&self) -> Vec<&'static str> {
        let is_caused = |kind: &str| self.kinds.get(kind).is_some_and(|[caused, _]| *caused > 0);
        let kinds = worker::rehearsed_kinds().chain(supervisor::rehearsed_kinds());
        kinds.filter(|kind| !is_caused(kind)).collect()
    }

    /// Whether anything was caused.
    pub fn is_any(&self) -> bool {
        self.kinds.values().any(|[caused, _]| *caused > 0)
    }

    /// Whether every cause has its event, and every event its cause.
    pub fn is_pass(&self) -> bool {
        self.wrong.is_empty() && self.kinds.values().all(|[caused, found]| caused == found)
    }

    fn is_open(&self, kind: &str) -> bool {
        self.open.iter().any(|open| open.kind == kind)
    }

    /// Passes were completed: what should have been seen in them was missed.
    fn passed(&mut self, passes: u64) {
        let mut missed = Vec::new();
        self.open.retain_mut(|open| {
            open.passes += passes;
            let is_missed = is_in_outputs(&open.kind) && open.passes >= PASSES;
            if is_missed {
                missed.push(format!(
                    "{} of record {}: not seen in {} passes",
                    open.kind, open.sequence, open.passes
                ));
            }
            !is_missed
        });
        missed.into_iter().for_each(|wrong| self.complain(wrong));
    }

    fn close(&mut self, kind: &str, entry: &Entry) {
        match self.open.iter().position(|open| open.kind == kind) {
            Some(position) => {
                self.open.remove(position);
                self.kinds.entry(kind.to_owned()).or_default()[1] += 1;
            }
            None => {
                let number = entry.sequence;
                self.complain(format!("{kind} of record {number}: nobody caused it"));
            }
        }
    }

    fn close_unclassified(&mut self, is_of_bits: bool) {
        let is_of_kind = |kind: &str| match kind {
            "bits-only" => is_of_bits,
            kind => is_in_outputs(kind) && !is_of_bits,
        };
        if let Some(position) = self.open.iter().position(|open| is_of_kind(&open.kind)) {
            let open = self.open.remove(position);
            self.kinds.entry(open.kind).or_default()[1] += 1;
        }
    }

    /// What the worker announced and could not do any more was not caused.
    fn forget_what_died(&mut self) {
        for open in std::mem::take(&mut self.open) {
            match open.kind.as_str() {
                "disk-full" => self.open.push(open),
                kind => {
                    if let Some([caused, _]) = self.kinds.get_mut(kind) {
                        *caused -= 1;
                    }
                }
            }
        }
    }

    fn complain(&mut self, wrong: String) {
        if self.wrong.len() < NAMED {
            self.wrong.push(wrong);
        }
    }
}

/// Whether a kind changes outputs, or what they are compared with.
fn is_in_outputs(kind: &str) -> bool {
    let kinds = [
        "transient",
        "until-reload",
        "stuck",
        "own-damage",
        "bits-only",
    ];
    kinds.contains(&kind)
}

fn kind_of(class: SdcClass, is_of_bits: bool) -> &'static str {
    match class {
        _ if is_of_bits => "bits-only",
        SdcClass::Transient => "transient",
        SdcClass::UntilReload => "until-reload",
        SdcClass::Stuck => "stuck",
        SdcClass::OwnDamage => "own-damage",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::log::event::{Beat, Classified, Due, Phase, Rehearsed, Sdc};

    fn caused(kind: &str) -> Event {
        Event::Rehearsed(Rehearsed {
            kind: kind.to_owned(),
            number: 1,
        })
    }

    fn sdc(class: SdcClass) -> [Event; 2] {
        let sdc = Event::Sdc(Sdc {
            number: 1,
            worker: 1,
            pass: 1,
            batch: [0, 1],
            faulty_samples: 1,
            faulty_elements: 1,
            non_finite_elements: 0,
            differing_samples: 0,
            signature: String::new(),
            seconds: 0.0,
            noted: None,
        });
        let classified = Event::Classified(Classified {
            sdc: 1,
            class,
            damaged: vec![],
            seconds: 0.0,
        });
        [sdc, classified]
    }

    fn due(kind: DueKind) -> Event {
        Event::Due(Due {
            kind,
            worker: 1,
            phase: Phase::Passes,
            what: String::new(),
            said: String::new(),
            silent: 0.0,
            in_a_row: 1,
        })
    }

    fn account(events: impl IntoIterator<Item = Event>) -> Accounts {
        let mut accounts = Accounts::default();
        for (sequence, event) in (1..).zip(events) {
            accounts.add(&Entry {
                sequence,
                monotonic: 0.0,
                unix: 0.0,
                event,
            });
        }
        accounts.finish();
        accounts
    }

    #[test]
    fn each_cause_has_its_event() {
        let [wrong, found] = sdc(SdcClass::Transient);
        let events = [
            caused("transient"),
            wrong,
            found,
            caused("hang"),
            due(DueKind::Hang),
            caused("stopped"),
            due(DueKind::Hang),
            // The worker is killed before it comes to that.
            caused("until-reload"),
            caused("killed"),
            due(DueKind::Killed),
        ];
        let accounts = account(events);
        assert!(accounts.is_pass(), "{accounts:?}");
        assert_eq!(accounts.kinds["killed"], [1, 1]);
        assert_eq!(accounts.kinds["until-reload"], [0, 0]);
    }

    fn passes(passes: u64) -> Event {
        Event::Beat(Beat {
            passes,
            ..Beat::default()
        })
    }

    #[test]
    fn what_two_passes_did_not_see_was_missed_also_if_the_worker_is_lost_then() {
        for kind in ["transient", "stuck", "own-damage", "bits-only"] {
            let lost = [caused("killed"), due(DueKind::Killed)];
            let seen_late = |count| [passes(5), caused(kind), passes(count)].into_iter();
            let accounts = account(seen_late(2).chain(lost.clone()));
            assert!(!accounts.is_pass(), "{kind}: {accounts:?}");
            let accounts = account(seen_late(1).chain(lost));
            assert!(accounts.is_pass(), "{kind}: {accounts:?}");
        }
        assert!(!account([]).is_any());
        let never = account([caused("crash"), due(DueKind::Crash)]).never_caused();
        assert_eq!((never.len(), never.contains(&"crash")), (10, false));
    }

    #[test]
    fn an_event_that_is_missing_twice_there_or_without_a_cause_is_wrong() {
        let [wrong, found] = sdc(SdcClass::Stuck);
        for events in [
            vec![caused("crash")],
            vec![due(DueKind::Crash)],
            vec![caused("crash"), due(DueKind::Hang)],
            vec![caused("stuck"), wrong.clone(), found.clone(), wrong, found],
        ] {
            let accounts = account(events);
            assert!(!accounts.is_pass(), "{accounts:?}");
        }
    }
}
