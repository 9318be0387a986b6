//! When there was a beam: a counter that stands still for longer than chance explains.

use std::ops::Range;

/// A counter that began anew with 0: what it counted since the reading before is not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reset {
    /// Of the first reading behind it, in seconds since 1970-01-01 UTC.
    pub time: f64,
    /// What the counter stood at before and after it.
    pub from: f64,
    pub to: f64,
}

/// Whether there were particles at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beam {
    On,
    /// The counter stood still.
    Off,
    /// Before the first or after the last reading, or where the counter began anew.
    Unknown,
}

/// At the mean rate so many counts are missing in a time without a beam. Chance leaves out as many
/// once in e¹⁰ = 22,000 times.
const MISSING: f64 = 10.0;

/// Of each interval between readings, in order and each at its time, whether there was a beam.
///
/// A counter that counts slowly stands still between two counts too. So the mean rate is that of
/// the time with a beam: it grows as long as more times without one are found.
pub(super) fn beams(readings: &[(f64, f64)], resets: &[Reset]) -> Vec<Beam> {
    let mut beams = vec![Beam::On; readings.len() - 1];
    let seconds = |run: &Range<usize>| readings[run.end].0 - readings[run.start].0;
    let still = runs_without_counts(readings);
    let longest_on = longest_on(readings, &still);
    for run in still.iter().filter(|run| seconds(run) >= longest_on) {
        beams[run.clone()].fill(Beam::Off);
    }
    for reset in resets {
        let before = readings.partition_point(|(time, _)| *time < reset.time);
        if let Some(interval) = before.checked_sub(1) {
            beams[interval] = Beam::Unknown;
        }
    }
    beams
}

/// The seconds from which on a counter that stands still has no beam.
fn longest_on(readings: &[(f64, f64)], still: &[Range<usize>]) -> f64 {
    let (first, last) = (readings[0], readings[readings.len() - 1]);
    let (span, counts) = (last.0 - first.0, last.1 - first.1);
    if counts <= 0.0 {
        return 0.0;
    }
    let seconds = |run: &Range<usize>| readings[run.end].0 - readings[run.start].0;
    let mut off = 0.0;
    loop {
        let longest_on = MISSING * (span - off) / counts;
        let runs = still.iter().map(seconds);
        let found: f64 = runs.filter(|&seconds| seconds >= longest_on).sum();
        if found <= off {
            return longest_on;
        }
        off = found;
    }
}

/// Intervals side by side in which nothing was counted.
fn runs_without_counts(readings: &[(f64, f64)]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, pair) in readings.windows(2).enumerate() {
        if pair[1].1 > pair[0].1 {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}
