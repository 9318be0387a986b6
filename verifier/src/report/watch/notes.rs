//! What a reader of a watch's summary has to know beside its numbers.

use console::grouped;

use super::words::{clock, count};
use crate::watch::log::Integrity;
use crate::watch::log::event::SdcClass;
use crate::watch::tally::Tally;

pub(super) fn notes(tally: &Tally, integrity: Option<&Integrity>) -> Vec<String> {
    let mut notes = notes_on_events(tally);
    notes.extend(notes_on_exposure(tally));
    if let Some(integrity) = integrity {
        notes.extend(notes_on_damage(integrity));
    }
    if tally.is_disk_full {
        notes.push("the disk of the log is full".to_owned());
    }
    if tally.end.is_none() && tally.supervisors > 0 {
        notes.push("the last supervisor has not said its end: it runs, or was lost".to_owned());
    }
    notes
}

/// A number and what there are so many of, unless there is none.
fn counted(count: u64, what: &str) -> Option<String> {
    (count > 0).then(|| format!("{} {what}", grouped(count as usize)))
}

fn notes_on_events(tally: &Tally) -> Vec<String> {
    let events = &tally.events;
    let own = count(&events.sdc, &Some(SdcClass::OwnDamage));
    let notes = [
        counted(
            own,
            "times inputs or goldens in memory were damaged: no SDC",
        ),
        counted(
            events.repeated,
            "times the error that was stuck came again: counted once",
        ),
        counted(
            events.due_while_loading,
            "workers were lost while they loaded: not exposed, not counted",
        ),
        counted(
            events.ordered,
            "gaps follow a command of the user: not counted",
        ),
        counted(tally.lost, "events were lost on a full disk"),
        counted(
            tally.in_beam.events_without_beam,
            "events while the counter stood still",
        ),
    ];
    notes.into_iter().flatten().collect()
}

fn notes_on_exposure(tally: &Tally) -> Vec<String> {
    let mut notes = Vec::new();
    let exposed = tally.computed.exposed;
    let naive = tally.exposed_at_sdc_lines;
    if naive < exposed && tally.events.sdcs() > 0 {
        let (times, naive) = (exposed / naive.max(1e-9), clock(naive));
        notes.push(format!(
            "up to the last SDC alone, the exposure would be {naive}, and rates {times:.2} times \
             too high"
        ));
    }
    let uncovered = tally.in_beam.uncovered;
    if uncovered > 0.0 {
        let uncovered = clock(uncovered);
        notes.push(format!(
            "{uncovered} of exposure are not covered by the counts: left out"
        ));
    }
    if tally.stalled > 0.0 {
        notes.push(format!(
            "the supervisor stood still for {:.0} s",
            tally.stalled
        ));
    }
    notes.extend(counted(
        tally.clock_steps,
        "times the system's clock was set",
    ));
    notes
}

fn notes_on_damage(integrity: &Integrity) -> Vec<String> {
    let places = integrity.damaged_at.iter();
    let places: Vec<String> = places.map(|(file, at)| format!("{file}:{at}")).collect();
    let damaged = format!("bytes are no whole record: {}", places.join(", "));
    let notes = [
        counted(integrity.damaged_bytes, &damaged),
        counted(integrity.missing, "records are missing"),
        counted(integrity.repeated, "records came twice: taken once"),
    ];
    notes.into_iter().flatten().collect()
}
