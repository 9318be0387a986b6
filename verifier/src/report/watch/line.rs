//! A watch in one line.

use console::grouped;

use super::words::clock;
use crate::watch::log::event::Phase;
use crate::watch::supervisor::Now;
use crate::watch::tally::Tally;

/// What is watched, in one line of at most a terminal's width.
pub fn line(tally: &Tally, now: Now, last: &str) -> String {
    let computed = &tally.computed;
    let exposed = computed.exposed + now.work.exposed;
    let share = 100.0 * exposed / now.seconds.max(1e-9);
    let doing = match now.phase {
        Phase::Loading => ", loading",
        Phase::AfterSdc => ", after an SDC",
        Phase::Passes => "",
    };
    let full = if now.is_disk_full { ", DISK FULL" } else { "" };
    let last = if last.is_empty() { "none" } else { last };
    format!(
        "{}  passes {}  SDC {}  DUE {}  exposed {:.1} %{doing}{full}  last event: {last}",
        clock(now.seconds),
        grouped((computed.passes + now.work.passes) as usize),
        tally.events.sdcs(),
        tally.events.dues(),
        share.min(100.0),
    )
}
