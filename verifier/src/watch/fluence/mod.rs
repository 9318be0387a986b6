//! How many particles there were: a counter's readings over time, and what lies between them.
//!
//! Two forms are read: CSV with a header that names the columns `time` and `counts`, and the text
//! of ISIS' ChipIR, split by blanks: `d/m/Y H:M:S .fraction`, the fission counter in the field of
//! index 6.

mod beam;
mod read;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use proto::regular_file;

use self::beam::beams;

pub use self::beam::{Beam, Reset};

/// A counter that falls so often, and in more than this part of its intervals, does not add up.
const FALLS: usize = 3;
const FALLING_PART: usize = 4;
/// A counter that began anew has counted no more than so many times what it usually does.
const USUAL: f64 = 10.0;

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
    /// Of each interval between two readings.
    beams: Vec<Beam>,
    /// Where the counter began anew.
    pub resets: Vec<Reset>,
    /// Readings that have the time of another one, of which the last was taken.
    pub same_time: usize,
    scale: f64,
}

/// What there was between two times: seconds of each kind, and particles per cm².
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Share {
    pub on: f64,
    pub off: f64,
    pub unknown: f64,
    pub fluence: f64,
}

/// Readings, counted from 0, that are none of a counter.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ReadingsError {
    #[error("fewer than two readings")]
    TooFew,
    #[error(
        "the time is before that of the reading before it\n\
         hint: a clock that was set, or local time: give times in UTC, or two files to two reports"
    )]
    TimeGoesBack { reading: usize },
    #[error(
        "the counter fell from {from} to {to}, which is no new beginning from 0\n\
         hint: counts must be all since the beginning, not of each interval, and times must be \
         those of one clock; where the counter did begin anew, add a reading of 0"
    )]
    Falls { reading: usize, from: f64, to: f64 },
    #[error(
        "the counter fell {falls} times until here\n\
         hint: counts must be all since the beginning, not of each interval"
    )]
    FallsOften { reading: usize, falls: usize },
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

impl Counts {
    /// Reads a file.
    pub fn read(path: &Path, conversion: Conversion) -> Result<Self, CountsError> {
        let bytes = regular_file::read(path).map_err(|error| CountsError::Io {
            path: path.to_owned(),
            error,
        })?;
        let at = |(line, reason)| CountsError::Line {
            path: path.to_owned(),
            line,
            reason,
        };
        let text = String::from_utf8_lossy(&bytes);
        let read = read::readings(&text, 3600.0 * conversion.hours_ahead).map_err(at)?;
        let readings = read.iter().map(|reading| (reading.time, reading.counts));
        let scale = conversion.factor * conversion.attenuation;
        Self::new(readings.collect(), scale).map_err(|error| match error {
            ReadingsError::TooFew => CountsError::TooFew(path.to_owned()),
            ReadingsError::TimeGoesBack { reading }
            | ReadingsError::Falls { reading, .. }
            | ReadingsError::FallsOften { reading, .. } => {
                at((read[reading].line, error.to_string()))
            }
        })
    }

    /// Of readings in the order of their times, or all of them the other way round: each a time and
    /// what the counter stood at. `scale` is particles per cm² for each count.
    pub fn new(mut readings: Vec<(f64, f64)>, scale: f64) -> Result<Self, ReadingsError> {
        let last = readings.len().saturating_sub(1);
        let is_backwards = readings.len() > 1 && readings[0].0 > readings[last].0;
        if is_backwards {
            readings.reverse();
        }
        let place = |at: usize| if is_backwards { last - at } else { at };
        let goes_back = |&at: &usize| readings[at].0 < readings[at - 1].0;
        if let Some(at) = (1..readings.len()).find(goes_back) {
            return Err(ReadingsError::TimeGoesBack { reading: place(at) });
        }
        let resets = add_up(&mut readings, place)?;
        let before = readings.len();
        // Of several at one time the last stays.
        readings.reverse();
        readings.dedup_by_key(|reading| reading.0);
        readings.reverse();
        if readings.len() < 2 {
            return Err(ReadingsError::TooFew);
        }
        Ok(Self {
            same_time: before - readings.len(),
            beams: beams(&readings, &resets),
            readings,
            resets,
            scale,
        })
    }

    /// How many readings there are, each at a time of its own.
    pub fn readings(&self) -> usize {
        self.readings.len()
    }

    /// The first and the last time.
    pub fn span(&self) -> (f64, f64) {
        (self.readings[0].0, self.readings[self.readings.len() - 1].0)
    }

    /// Whether there were particles at a time.
    pub fn beam_at(&self, time: f64) -> Beam {
        let (first, last) = self.span();
        match (first..=last).contains(&time) {
            false => Beam::Unknown,
            true => self.beams[self.interval(time)],
        }
    }

    /// Particles per cm² between two times, both of which are covered.
    pub fn between(&self, from: f64, to: f64) -> f64 {
        (self.until(to) - self.until(from)).max(0.0) * self.scale
    }

    /// What there was between two times, each of which may lie outside of the readings.
    pub fn share(&self, from: f64, to: f64) -> Share {
        let (first, last) = self.span();
        let (begin, end) = (from.max(first), to.min(last));
        if begin >= end {
            return Share {
                unknown: to - from,
                ..Share::default()
            };
        }
        let mut share = Share {
            unknown: (begin - from) + (to - end),
            ..Share::default()
        };
        for at in self.interval(begin)..self.beams.len() {
            let (low, high) = (self.readings[at].0, self.readings[at + 1].0);
            if low >= end {
                break;
            }
            let (low, high) = (low.max(begin), high.min(end));
            match self.beams[at] {
                Beam::On => {
                    share.on += high - low;
                    share.fluence += self.between(low, high);
                }
                Beam::Off => share.off += high - low,
                Beam::Unknown => share.unknown += high - low,
            }
        }
        share
    }

    /// The interval between readings that a time lies in, or the nearest one.
    fn interval(&self, time: f64) -> usize {
        let after = self.readings.partition_point(|(at, _)| *at <= time);
        after.clamp(1, self.readings.len() - 1) - 1
    }

    /// All counts until a time, on a straight line between readings.
    fn until(&self, time: f64) -> f64 {
        let at = self.interval(time);
        let ((from, low), (to, high)) = (self.readings[at], self.readings[at + 1]);
        low + (high - low) * ((time - from) / (to - from)).clamp(0.0, 1.0)
    }
}

/// Turns what a counter stood at into all counts until then; gives where it began anew.
fn add_up(
    readings: &mut [(f64, f64)],
    place: impl Fn(usize) -> usize,
) -> Result<Vec<Reset>, ReadingsError> {
    let usual = usual_rate(readings);
    let (mut resets, mut sum) = (Vec::new(), 0.0);
    let Some(&(mut time_before, mut from)) = readings.first() else {
        return Err(ReadingsError::TooFew);
    };
    let intervals = readings.len() - 1;
    for (at, (time, counts)) in readings.iter_mut().enumerate() {
        let (to, seconds) = (*counts, *time - time_before);
        let is_near_zero = to == 0.0 || (to <= from / 2.0 && to <= USUAL * usual * seconds);
        if to >= from {
            sum += to - from;
        } else if is_near_zero {
            resets.push(Reset {
                time: *time,
                from,
                to,
            });
            sum += to;
        } else {
            let reading = place(at);
            return Err(ReadingsError::Falls { reading, from, to });
        }
        let falls = resets.len();
        if falls >= FALLS && FALLING_PART * falls > intervals {
            let reading = place(at);
            return Err(ReadingsError::FallsOften { reading, falls });
        }
        (time_before, from) = (*time, to);
        *counts = sum;
    }
    Ok(resets)
}

/// Counts per second in the middle one of the intervals in which a counter grew; 0 without any.
fn usual_rate(readings: &[(f64, f64)]) -> f64 {
    let rates = readings.windows(2).filter_map(|pair| {
        let (seconds, counts) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
        (seconds > 0.0 && counts > 0.0).then_some(counts / seconds)
    });
    let mut rates: Vec<f64> = rates.collect();
    rates.sort_by(f64::total_cmp);
    let middle = rates.len().saturating_sub(1) / 2;
    rates.get(middle).copied().unwrap_or(0.0)
}
