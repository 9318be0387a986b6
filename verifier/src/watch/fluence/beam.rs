//! When there was a beam: a counter that stands still for longer than chance explains.

use std::ops::Range;

/// At the mean rate so many counts are missing in a time without a beam. Chance leaves out as many
/// once in e¹⁰ = 22,000 times.
const MISSING: f64 = 10.0;

/// Of each interval between readings, in order and each at its time, whether there was a beam.
///
/// A counter that counts slowly stands still between two counts too. So the mean rate is that of
/// the time with a beam: it grows as long as more times without one are found.
pub(super) fn intervals_with_beam(readings: &[(f64, f64)]) -> Vec<bool> {
    let (first, last) = (readings[0], readings[readings.len() - 1]);
    let (span, counts) = (last.0 - first.0, last.1 - first.1);
    if counts <= 0.0 {
        return vec![false; readings.len() - 1];
    }
    let seconds = |run: &Range<usize>| readings[run.end].0 - readings[run.start].0;
    let still = runs_without_counts(readings);
    let (mut off, mut longest_on) = (0.0, f64::INFINITY);
    loop {
        longest_on = f64::min(longest_on, MISSING * (span - off) / counts);
        let is_off = |run: &&Range<usize>| seconds(run) >= longest_on;
        let found: f64 = still.iter().filter(is_off).map(seconds).sum();
        if found <= off {
            break;
        }
        off = found;
    }
    let mut is_on = vec![true; readings.len() - 1];
    for run in still.iter().filter(|run| seconds(run) >= longest_on) {
        is_on[run.clone()].fill(false);
    }
    is_on
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
