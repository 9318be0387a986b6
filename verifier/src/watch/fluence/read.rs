//! A file of counts: its lines, and the times in them.

use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The counter in ChipIR's lines.
const COUNTER: usize = 6;
/// 5138-11-16: a number of seconds that is larger counts milliseconds.
const MOST_SECONDS: f64 = 1e11;

/// A reading, and the line that it stands in, from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) line: usize,
    /// Seconds since 1970-01-01 UTC.
    pub(super) time: f64,
    pub(super) counts: f64,
}

/// Where the columns of a CSV file are.
struct Columns {
    separator: char,
    time: usize,
    counts: usize,
}

/// The readings of a file, whose clock is so many seconds ahead of UTC; or the line that is none,
/// and why.
pub(super) fn readings(text: &str, ahead: f64) -> Result<Vec<Reading>, (usize, String)> {
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().enumerate();
    let mut lines = lines.filter(|(_, line)| !line.trim().is_empty()).peekable();
    let columns = lines.peek().and_then(|(_, header)| Columns::of(header));
    if columns.is_some() {
        lines.next();
    }
    let mut readings = Vec::new();
    for (number, line) in lines {
        let read = match &columns {
            Some(columns) => columns.reading(line, ahead),
            None => of_chipir(line, ahead),
        };
        let line = number + 1;
        let (time, counts) = read.map_err(|reason| (line, reason))?;
        readings.push(Reading { line, time, counts });
    }
    Ok(readings)
}

impl Columns {
    /// Of a header; `None` if it does not name both.
    fn of(header: &str) -> Option<Self> {
        let separator = if header.contains(';') { ';' } else { ',' };
        let header = header.to_ascii_lowercase();
        let column = |name| {
            let mut names = header.split(separator).map(str::trim);
            names.position(|column| column == name)
        };
        Some(Self {
            separator,
            time: column("time")?,
            counts: column("counts")?,
        })
    }

    fn reading(&self, line: &str, ahead: f64) -> Result<(f64, f64), String> {
        let fields: Vec<&str> = line.split(self.separator).map(str::trim).collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        let time = time_of(field(self.time), ahead)?;
        Ok((time, number(field(self.counts))?))
    }
}

fn of_chipir(line: &str, ahead: f64) -> Result<(f64, f64), String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [date, time, fraction, ..] = fields.as_slice() else {
        return Err("expected `time,counts`, or `d/m/Y H:M:S .fraction … counter`".to_owned());
    };
    let mut ymd: Vec<&str> = date.split('/').collect();
    ymd.reverse();
    let fraction = number(fraction)?;
    if fraction >= 1.0 {
        return Err(format!("{fraction} is no fraction of a second"));
    }
    let seconds = seconds_of(&ymd, time)? + fraction - ahead;
    let counter = fields.get(COUNTER);
    let counter = counter.ok_or_else(|| format!("{} fields, expected 7", fields.len()))?;
    Ok((seconds, number(counter)?))
}

/// Seconds since 1970, or `2026-11-26T12:30:00.5`, with `Z` or without.
fn time_of(text: &str, ahead: f64) -> Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return match seconds {
            seconds if !seconds.is_finite() => Err(format!("{text:?} is no time")),
            seconds if seconds.abs() > MOST_SECONDS => Err(format!(
                "{text} is no time: expected seconds since 1970\n\
                 hint: this may be milliseconds"
            )),
            seconds => Ok(seconds),
        };
    }
    let (date, time) = text
        .split_once(['T', ' '])
        .ok_or_else(|| format!("{text:?} is no time: expected seconds or Y-m-dTH:M:S"))?;
    let (time, ahead) = match time.strip_suffix('Z') {
        Some(time) => (time, 0.0),
        None => (time, ahead),
    };
    let ymd: Vec<&str> = date.split('-').collect();
    Ok(seconds_of(&ymd, time)? - ahead)
}

/// Seconds since 1970 of year, month and day, and `H:M:S`.
fn seconds_of(ymd: &[&str], time: &str) -> Result<f64, String> {
    let wrong = || format!("{} {time} is no time", ymd.join("-"));
    let whole = |text: &str, range: std::ops::RangeInclusive<i64>| {
        let value = text.parse::<i64>().ok();
        value
            .filter(|value| range.contains(value))
            .ok_or_else(wrong)
    };
    let hms: Vec<&str> = time.split(':').collect();
    let (&[year, month, day], &[hours, minutes, seconds]) = (ymd, hms.as_slice()) else {
        return Err(wrong());
    };
    let (year, month) = (whole(year, 1970..=9999)?, whole(month, 1..=12)?);
    let day = whole(day, 1..=31)?;
    let (hours, minutes) = (whole(hours, 0..=23)?, whole(minutes, 0..=59)?);
    let seconds = number(seconds)?;
    if seconds >= 60.0 {
        return Err(wrong());
    }
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
