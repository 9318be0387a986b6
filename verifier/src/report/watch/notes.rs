//! What a reader of a watch's summary has to know beside its numbers.

use console::grouped;

use super::words::{clock, count, date};
use crate::watch::log::Integrity;
use crate::watch::log::event::SdcClass;
use crate::watch::tally::{Events, Tally};

pub(super) fn notes(tally: &Tally, integrity: Option<&Integrity>) -> Vec<String> {
    let mut notes = notes_on_events(tally);
    notes.extend(note_on_classes(tally));
    notes.extend(notes_on_exposure(tally));
    notes.extend(notes_on_beam(tally));
    if let Some(integrity) = integrity {
        notes.extend(notes_on_damage(integrity));
    }
    if tally.is_disk_full {
        notes.push("the disk of the log is full, or almost".to_owned());
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
            "times a stuck fault was seen again: counted once",
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
    ];
    notes.into_iter().flatten().collect()
}

/// SDCs whose outputs were not carried on to the class.
fn note_on_classes(tally: &Tally) -> Option<String> {
    let unknown = tally.events.sdcs().saturating_sub(tally.events.examined);
    (tally.has_table() && unknown > 0).then(|| {
        format!(
            "of {} SDCs it is not known whether the class changed: `watch consequences` was run \
             before them, or not all of their outputs were kept; critical SDCs are those of the \
             others, over their share of the exposure",
            grouped(unknown as usize)
        )
    })
}

fn notes_on_exposure(tally: &Tally) -> Vec<String> {
    let mut notes = Vec::new();
    let exposed = tally.computed.exposed;
    let naive = tally.exposed_at_sdc_lines;
    if naive < exposed && tally.events.sdcs() > 0 {
        notes.push(match naive > 0.0 {
            true => format!(
                "up to the last SDC alone, the exposure would be {}, and rates {:.2} times too \
                 high",
                clock(naive),
                exposed / naive
            ),
            false => "up to the last SDC alone, there would be no exposure at all".to_owned(),
        });
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

/// What is not in the beam, as the counts have it.
fn notes_on_beam(tally: &Tally) -> Vec<String> {
    let in_beam = &tally.in_beam;
    let mut notes = Vec::new();
    let mut note = |exposed: f64, events: &Events, what: &str| {
        if exposed > 0.0 || events.all() > 0 {
            let (exposed, all) = (clock(exposed), grouped(events.all() as usize));
            let (sdcs, dues) = (events.sdcs(), events.dues());
            notes.push(format!(
                "{exposed} of exposure and {all} events (SDC {sdcs}, DUE {dues}) are {what}: not \
                 in the beam"
            ));
        }
    };
    let off = "while the counter stood still";
    note(in_beam.exposed_off, &in_beam.events_off, off);
    let unknown = "not covered by the counts";
    note(in_beam.exposed_unknown, &in_beam.events_unknown, unknown);
    if let (Some(counts), Some((first, last))) = (tally.counts(), tally.span)
        && in_beam.exposed + in_beam.exposed_off == 0.0
    {
        let (from, to) = counts.span();
        let [from, to, first, last] = [from, to, first, last].map(date);
        notes.push(format!(
            "the counts, from {from} to {to}, cover nothing of the log, from {first} to {last}: \
             another day, or --hours-ahead"
        ));
    }
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
        counted(
            integrity.unknown,
            "records of a newer version were not understood: their events are not counted",
        ),
    ];
    notes.into_iter().flatten().collect()
}
