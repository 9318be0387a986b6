//! Times, counts and rates as a person reads them.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

/// 9999-12-31T23:59:59Z, in seconds since 1970-01-01 UTC.
const LAST_OF_9999: f64 = 253_402_300_799.0;

/// Hours, minutes and seconds.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", whole % 60)
}

/// A number of seconds since 1970-01-01 UTC as RFC 3339 has it.
pub(super) fn date(unix: f64) -> String {
    if !(0.0..=LAST_OF_9999).contains(&unix) {
        return format!("{unix} s after 1970-01-01");
    }
    let time = UNIX_EPOCH + Duration::from_secs_f64(unix.floor());
    humantime::format_rfc3339_seconds(time).to_string()
}

/// How many there are of a kind.
pub(super) fn count<K: Ord>(counts: &BTreeMap<K, u64>, key: &K) -> u64 {
    counts.get(key).copied().unwrap_or(0)
}
