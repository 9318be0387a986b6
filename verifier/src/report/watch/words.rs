//! Times, counts and rates as a person reads them.

use std::collections::BTreeMap;

use crate::watch::rates::Rate;

/// Hours, minutes and seconds.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", whole % 60)
}

/// How many there are of a kind.
pub(super) fn count<K: Ord>(counts: &BTreeMap<K, u64>, key: &K) -> u64 {
    counts.get(key).copied().unwrap_or(0)
}

/// An estimate and its limits.
pub(super) fn cells(rate: Option<Rate>) -> [String; 2] {
    match rate {
        None => ["–".to_owned(), "–".to_owned()],
        Some(rate) => [
            format!("{:.3e}", rate.estimate),
            format!("{:.2e} to {:.2e}", rate.limits.low, rate.limits.high),
        ],
    }
}
