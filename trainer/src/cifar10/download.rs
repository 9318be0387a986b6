//! A file from an HTTP server, whatever happens on the way: a transfer that breaks off is gone on
//! with, also by a later process, and a host that is too slow is given up.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

/// When a host is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Longest wait for a connection, an answer or more bytes.
    pub(super) wait: Duration,
    /// The rate is measured over this, breaks included.
    pub(super) window: Duration,
    /// Bytes a second; of 0, no host is too slow.
    pub(super) least_rate: u64,
    /// Tries in a row that bring nothing.
    pub(super) tries: u32,
    /// Between two tries.
    pub(super) pause: Duration,
}

/// Why a file is not here, or not whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error(
        "{} kB/s over {} s, expected {} kB/s or more",
        .rate / 1000, .window.as_secs(), .least_rate / 1000
    )]
    Slow {
        /// Bytes a second.
        rate: u64,
        least_rate: u64,
        window: Duration,
    },
    /// The host does not give the file.
    #[error("HTTP status {0}")]
    Refused(StatusCode),
    /// No connection, or one that broke, too often.
    #[error("{0}")]
    Broken(String),
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A transfer into a file, which may hold the beginning already.
pub(super) struct Download<'d> {
    pub(super) url: &'d str,
    pub(super) file: &'d mut File,
    pub(super) limits: Limits,
    /// Is told how many bytes are here, and of how many.
    pub(super) progress: &'d mut dyn FnMut(u64, Option<u64>),
}

impl Download<'_> {
    /// Appends to the file what it lacks.
    pub(super) fn run(mut self) -> Result<(), DownloadError> {
        let agent = agent(self.limits.wait);
        let mut meter = Meter::new(self.limits);
        let mut failures = 0;
        loop {
            let before = self.file.seek(SeekFrom::End(0))?;
            let broken = match self.once(&agent, before, &mut meter) {
                Err(DownloadError::Broken(message)) => message,
                ended => return ended,
            };
            failures = match self.file.seek(SeekFrom::End(0))? > before {
                true => 0,
                false => failures + 1,
            };
            if failures >= self.limits.tries {
                return Err(DownloadError::Broken(broken));
            }
            thread::sleep(self.limits.pause);
            meter.add(0)?;
        }
    }

    /// One request for all that is not here.
    fn once(&mut self, agent: &Agent, have: u64, meter: &mut Meter) -> Result<(), DownloadError> {
        let mut request = agent.get(self.url);
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(broken)?;
        let have = match (response.status(), Range::of(&response)) {
            (StatusCode::PARTIAL_CONTENT, Range::From(start)) if start == have => have,
            (StatusCode::RANGE_NOT_SATISFIABLE, Range::Whole(all)) if all == have => return Ok(()),
            // All of it, from a host that knows no ranges or of another file than before.
            (StatusCode::OK, _) => self.empty()?,
            (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE, _) => {
                self.empty()?;
                return Err(broken("the host gives another range than asked for"));
            }
            (status, _) if status.is_server_error() => {
                return Err(broken(format!("HTTP status {status}")));
            }
            (status, _) => return Err(DownloadError::Refused(status)),
        };
        self.receive(&mut response, have, meter)
    }

    /// Appends the body of an answer.
    fn receive(
        &mut self,
        response: &mut Response<Body>,
        mut have: u64,
        meter: &mut Meter,
    ) -> Result<(), DownloadError> {
        let total = number(response, header::CONTENT_LENGTH).map(|rest| have + rest);
        (self.progress)(have, total);
        let mut reader = response.body_mut().as_reader();
        let mut block = vec![0; 1 << 16];
        loop {
            let length = reader.read(&mut block).map_err(broken)?;
            if length == 0 {
                break;
            }
            self.file.write_all(&block[..length])?;
            have += length as u64;
            (self.progress)(have, total);
            meter.add(length as u64)?;
        }
        match total {
            Some(total) if have < total => Err(broken(format!(
                "the connection ended after {have} of {total} bytes"
            ))),
            _ => Ok(()),
        }
    }

    fn empty(&mut self) -> io::Result<u64> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        Ok(0)
    }
}

fn agent(wait: Duration) -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(wait))
        .timeout_recv_response(Some(wait))
        .timeout_per_read(Some(wait))
        .http_status_as_error(false)
        // A range of a compressed file would not be one of the file.
        .accept_encoding("identity")
        .build()
        .into()
}

fn broken(message: impl ToString) -> DownloadError {
    DownloadError::Broken(message.to_string())
}

fn number(response: &Response<Body>, name: header::HeaderName) -> Option<u64> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}

/// What `Content-Range` says (RFC 9110, section 14.4).
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// `bytes 5-9/10`: the body begins here.
    From(u64),
    /// `bytes */10`: the file has so many bytes.
    Whole(u64),
    Unknown,
}

impl Range {
    fn of(response: &Response<Body>) -> Self {
        let value = response.headers().get(header::CONTENT_RANGE);
        value
            .and_then(|value| value.to_str().ok())
            .map_or(Self::Unknown, Self::parse)
    }

    fn parse(text: &str) -> Self {
        let Some(range) = text.strip_prefix("bytes ") else {
            return Self::Unknown;
        };
        let whole = range.strip_prefix("*/").and_then(|all| all.parse().ok());
        let start = range.split_once('-').and_then(|(at, _)| at.parse().ok());
        match (whole, start) {
            (Some(all), _) => Self::Whole(all),
            (None, Some(start)) => Self::From(start),
            (None, None) => Self::Unknown,
        }
    }
}

/// The rate in one window after the other.
struct Meter {
    limits: Limits,
    started: Instant,
    received: u64,
}

impl Meter {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            started: Instant::now(),
            received: 0,
        }
    }

    /// Counts bytes; fails if a window ends that had too few.
    fn add(&mut self, bytes: u64) -> Result<(), DownloadError> {
        self.received += bytes;
        let elapsed = self.started.elapsed();
        if elapsed < self.limits.window {
            return Ok(());
        }
        let received = std::mem::take(&mut self.received);
        self.started = Instant::now();
        self.limits.check(received, elapsed)
    }
}

impl Limits {
    /// Refuses so few bytes in so much time.
    fn check(&self, bytes: u64, time: Duration) -> Result<(), DownloadError> {
        let rate = (bytes as f64 / time.as_secs_f64()) as u64;
        match rate < self.least_rate {
            true => Err(DownloadError::Slow {
                rate,
                least_rate: self.least_rate,
                window: self.window,
            }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
