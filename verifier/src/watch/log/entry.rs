//! One record of the log: a line of JSON that ends with its own checksum.
//!
//! ```text
//! {"sequence":7,"monotonic":512.25,"unix":1764158400.5,"event":{…},"crc32":"0a1b2c3d"}
//! ```
//!
//! `crc32` (IEEE 802.3, lower-case hexadecimal) is of all bytes of the line before `,"crc32"`. A
//! quotation mark inside a text is escaped in JSON, so that neither the beginning nor the end of a
//! record can stand inside another one.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::event::Event;

/// What every record begins with.
pub(super) const BEGINNING: &[u8] = br#"{"sequence":"#;
/// What stands before the checksum, and how long the end with the checksum is.
pub(super) const CHECKSUM: &[u8] = br#","crc32":""#;
pub(super) const END_BYTES: usize = CHECKSUM.len() + 8 + 2;

/// No record is longer: what is said in one is cut before.
pub const LONGEST: usize = 64 << 10;

/// What happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, each one more than the one before, over all files of the log.
    pub sequence: u64,
    /// Seconds on the clock that nobody sets; it begins anew with each boot.
    pub monotonic: f64,
    /// Seconds since 1970-01-01 UTC, as the system had it.
    pub unix: f64,
    pub event: Event,
}

impl Entry {
    /// The line, with its line break.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("numbers and texts");
        line.pop(); // the closing brace
        let checksum = crc32fast::hash(line.as_bytes());
        let _ = writeln!(line, r#","crc32":"{checksum:08x}"}}"#);
        line
    }

    /// Reads a line without its line break; `None` if a single bit of it is not as it was written.
    pub fn from_line(line: &[u8]) -> Option<Self> {
        // The checksum is one more field, which is passed over.
        is_whole(line)
            .then(|| serde_json::from_slice(line).ok())
            .flatten()
    }
}

/// The number of a record that is whole, whatever kind of event it tells: one of a newer version
/// may be unknown here.
pub(super) fn sequence_of(line: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        sequence: u64,
    }
    let numbered = is_whole(line).then(|| serde_json::from_slice::<Numbered>(line).ok());
    Some(numbered.flatten()?.sequence)
}

fn is_whole(line: &[u8]) -> bool {
    let ends = line.len().checked_sub(END_BYTES);
    let Some((body, end)) = ends.and_then(|at| line.split_at_checked(at)) else {
        return false;
    };
    let checksum = crc32fast::hash(body);
    end == format!(r#","crc32":"{checksum:08x}"}}"#).as_bytes()
}
