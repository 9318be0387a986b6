//! How many particles there were: a counter's readings over time, and what lies between them.
//!
//! Two forms are read: CSV with a header that names the columns `time` and `counts`, and the text
//! of ISIS' ChipIR, split by blanks: `d/m/Y H:M:S .fraction`, the fission counter in the field of
//! index 6.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use proto::regular_file;

/// What turns counts into a fluence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    /// Particles per cm² for each count.
    pub factor: f64,
    /// What of them is left where the device stands.
    pub attenuation: f64,
    /// Hours that the file's clock is ahead of UTC, where its times do not say it.
    pub hours_ahead: f64,
}

/// A counter's readings in the order of their times.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// Seconds since 1970-01-01 UTC, and all counts until then.
    readings: Vec<(f64, f64)>,
    /// How often the counter began anew.
    pub resets: usize,
    scale: f64,
}

/// A file of counts that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CountsError {
    #[error("{path}: {error}")]
    Io {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{path}, line {line}: {reason}")]
    Line {
        path: PathBuf,
        line: usize,
        reason: String,
    },
    #[error(
        "{0}: fewer than two readings\n\
         hint: CSV with the columns `time,counts`, or lines `d/m/Y H:M:S .fraction … counter`"
    )]
    TooFew(PathBuf),
}

/// The counter in ChipIR's lines.
const COUNTER: usize = 6;

impl Counts {
    /// Reads a file.
    pub fn read(path: &Path, conversion: Conversion) -> Result<Self, CountsError> {
        let bytes = regular_file::read(path).map_err(|error| CountsError::Io {
            path: path.to_owned(),
            error,
        })?;
        let text = String::from_utf8_lossy(&bytes);
        let ahead = 3600.0 * conversion.hours_ahead;
        let header = text.lines().next().unwrap_or_default().to_ascii_lowercase();
        let columns: Vec<&str> = header.split(',').map(str::trim).collect();
        let column = |name| columns.iter().position(|column| *column == name);
        let mut readings = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let reading = match (column("time"), column("counts")) {
                (Some(time), Some(counts)) if number > 0 => of_csv(line, time, counts, ahead),
                (Some(_), Some(_)) => continue,
                _ => of_chipir(line, ahead),
            };
            if line.trim().is_empty() {
                continue;
            }
            readings.push(reading.map_err(|reason| CountsError::Line {
                path: path.to_owned(),
                line: number + 1,
                reason,
            })?);
        }
        let scale = conversion.factor * conversion.attenuation;
        Self::new(readings, scale).ok_or_else(|| CountsError::TooFew(path.to_owned()))
    }

    /// Of readings, each a time and what the counter stood at; `scale` particles per cm² for each
    /// count. `None` of fewer than two.
    pub fn new(mut readings: Vec<(f64, f64)>, scale: f64) -> Option<Self> {
        readings.sort_by(|a, b| a.0.total_cmp(&b.0));
        readings.dedup_by_key(|reading| reading.0);
        let (mut sum, mut last, mut resets) = (0.0, readings.first()?.1, 0);
        for (_, counts) in &mut readings {
            let is_reset = *counts < last;
            resets += usize::from(is_reset);
            sum += if is_reset { *counts } else { *counts - last };
            last = *counts;
            *counts = sum;
        }
        (readings.len() > 1).then_some(Self {
            readings,
            resets,
            scale,
        })
    }

    /// The first and the last time.
    pub fn span(&self) -> (f64, f64) {
        (self.readings[0].0, self.readings[self.readings.len() - 1].0)
    }

    /// Whether a time lies between the first and the last reading.
    pub fn covers(&self, time: f64) -> bool {
        let (first, last) = self.span();
        (first..=last).contains(&time)
    }

    /// Particles per cm² between two times, both of which are covered.
    pub fn between(&self, from: f64, to: f64) -> f64 {
        (self.until(to) - self.until(from)).max(0.0) * self.scale
    }

    /// Whether the counter moved in the interval between readings around a time.
    pub fn is_on(&self, time: f64) -> bool {
        let after = self.readings.partition_point(|(at, _)| *at <= time);
        let after = after.clamp(1, self.readings.len() - 1);
        self.readings[after].1 > self.readings[after - 1].1
    }

    /// All counts until a time, on a straight line between readings.
    fn until(&self, time: f64) -> f64 {
        let after = self.readings.partition_point(|(at, _)| *at <= time);
        let after = after.clamp(1, self.readings.len() - 1);
        let ((from, low), (to, high)) = (self.readings[after - 1], self.readings[after]);
        low + (high - low) * ((time - from) / (to - from)).clamp(0.0, 1.0)
    }
}

fn of_csv(line: &str, time: usize, counts: usize, ahead: f64) -> Result<(f64, f64), String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    Ok((time_of(field(time), ahead)?, number(field(counts))?))
}

fn of_chipir(line: &str, ahead: f64) -> Result<(f64, f64), String> {
    if line.trim().is_empty() {
        return Ok((0.0, 0.0));
    }
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [date, time, fraction, ..] = fields.as_slice() else {
        return Err("expected `time,counts`, or `d/m/Y H:M:S .fraction … counter`".to_owned());
    };
    let mut date = date.split('/').rev();
    let ymd = [date.next(), date.next(), date.next()].map(|part| part.unwrap_or_default());
    let seconds = seconds_of(ymd, time)? + number(fraction)? - ahead;
    let counter = fields.get(COUNTER);
    let counter = counter.ok_or_else(|| format!("{} fields, expected 7", fields.len()))?;
    Ok((seconds, number(counter)?))
}

/// Seconds since 1970, or `2026-11-26T12:30:00.5`, with `Z` or without.
fn time_of(text: &str, ahead: f64) -> Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return match seconds.is_finite() {
            true => Ok(seconds),
            false => Err(format!("{text:?} is no time")),
        };
    }
    let (date, time) = text
        .split_once(['T', ' '])
        .ok_or_else(|| format!("{text:?} is no time: expected seconds or Y-m-dTH:M:S"))?;
    let (time, ahead) = match time.strip_suffix('Z') {
        Some(time) => (time, 0.0),
        None => (time, ahead),
    };
    let mut date = date.split('-');
    let ymd = [date.next(), date.next(), date.next()].map(|part| part.unwrap_or_default());
    Ok(seconds_of(ymd, time)? - ahead)
}

/// Seconds since 1970 of year, month and day, and `H:M:S`.
fn seconds_of(ymd: [&str; 3], time: &str) -> Result<f64, String> {
    let wrong = || format!("{}-{}-{} {time} is no time", ymd[0], ymd[1], ymd[2]);
    let whole = |text: &str, range: std::ops::RangeInclusive<i64>| {
        let value = text.parse::<i64>().ok();
        value
            .filter(|value| range.contains(value))
            .ok_or_else(wrong)
    };
    let (year, month, day) = (
        whole(ymd[0], 1970..=9999)?,
        whole(ymd[1], 1..=12)?,
        whole(ymd[2], 1..=31)?,
    );
    let mut parts = time.split(':');
    let mut part = || parts.next().unwrap_or_default();
    let (hours, minutes) = (whole(part(), 0..=23)?, whole(part(), 0..=59)?);
    let seconds = number(part())?;
    let date = Date::new(year as i16, month as i8, day as i8).map_err(|_| wrong())?;
    let midnight = date.to_zoned_datetime(TimeZone::UTC).map_err(|_| wrong())?;
    let whole_seconds = midnight.timestamp().as_second() + hours * 3600 + minutes * 60;
    Ok(whole_seconds as f64 + seconds)
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(format!("{text:?}: expected a number from 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Conversion = Conversion {
        factor: 2.0,
        attenuation: 0.5,
        hours_ahead: 0.0,
    };

    fn read(text: &str, conversion: Conversion) -> Result<Counts, CountsError> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("counts");
        std::fs::write(&path, text).expect("write");
        Counts::read(&path, conversion)
    }

    #[test]
    fn both_forms_and_all_writings_of_time_are_the_same() {
        // date -u -d 2026-11-26T12:30:00 +%s
        let expected = 1_795_696_200.0;
        let csv = "time,counts\n1795696200,100\n2026-11-26T12:30:10Z,200\n";
        let other = "Counts , Time\n100,2026-11-26 13:30:00\n200,2026-11-26T13:30:10.0\n";
        let chipir = "26/11/2026 13:30:00 .0 a b c 100 9\n26/11/2026 13:30:10 .0 a b c 200 9\n";
        let local = Conversion {
            hours_ahead: 1.0,
            ..PLAIN
        };
        let found = read(csv, PLAIN).expect("CSV");
        assert_eq!(found.span(), (expected, expected + 10.0));
        assert_eq!(read(other, local).expect("CSV"), found);
        assert_eq!(read(chipir, local).expect("ChipIR"), found);
    }

    #[test]
    fn fluence_is_what_was_counted_between_two_times() {
        let counts = Counts::new(
            vec![(0.0, 50.0), (10.0, 150.0), (20.0, 150.0), (30.0, 20.0)],
            2.0,
        );
        let counts = counts.expect("four readings");
        assert_eq!(counts.between(0.0, 10.0), 200.0);
        assert_eq!(counts.between(2.5, 5.0), 50.0);
        assert_eq!(counts.between(10.0, 20.0), 0.0);
        assert!(counts.is_on(5.0) && !counts.is_on(15.0) && counts.is_on(25.0));
        // The counter began anew with 0.
        assert_eq!((counts.between(20.0, 30.0), counts.resets), (40.0, 1));
        assert!(counts.covers(30.0) && !counts.covers(30.1) && !counts.covers(-1.0));
    }

    #[test]
    fn a_line_that_is_no_reading_is_named() {
        for (text, named) in [
            ("time,counts\n1,2\nsoon,3\n", "line 3"),
            ("time,counts\n1,2\n2,-3\n", "line 3"),
            ("time,counts\n1,2\n2026-02-29T00:00:00,3\n", "line 3"),
            ("26/11/2026 12:30:00 .0 1 2 3\n", "line 1"),
            ("time,counts\n1,2\n", "fewer than two"),
            ("", "fewer than two"),
        ] {
            let error = read(text, PLAIN).expect_err(text).to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
