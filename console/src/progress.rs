//! How far long work is: a bar on a terminal, a line a minute in a log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::digits::grouped;
use crate::lines::{one_line, print_note};

/// Without a terminal there is no bar; stderr then gets a line this often.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What is done of how much, how fast, and the time left. The bar goes away when this is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    unit: Unit,
    /// Done before this process, or before this work, began.
    done_before: u64,
    started: Instant,
    logged: Mutex<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Unit {
    /// Images, samples, runs: the name of many.
    Count(&'static str),
    /// What is done to the bytes: hashed, written.
    Bytes(&'static str),
}

impl Progress {
    /// Of `total` things that are counted: `images`, `samples`, `runs`.
    pub fn count(name: &'static str, total: u64) -> Self {
        Self::new(Unit::Count(name), Some(total))
    }

    /// Of `total` bytes that are `hashed`, for example.
    pub fn bytes(verb: &'static str, total: u64) -> Self {
        Self::new(Unit::Bytes(verb), Some(total))
    }

    /// Of bytes of which nobody knows how many there will be.
    pub fn endless_bytes(verb: &'static str) -> Self {
        Self::new(Unit::Bytes(verb), None)
    }

    fn new(unit: Unit, total: Option<u64>) -> Self {
        let (bar, template) = match (total, unit) {
            (Some(total), Unit::Count(name)) => (
                ProgressBar::new(total),
                format!("{{bar:40}} {{pos}}/{{len}} {name}  {{per_sec}}  {{eta}} left  {{msg}}"),
            ),
            (Some(total), Unit::Bytes(verb)) => (
                ProgressBar::new(total),
                format!(
                    "{{bar:40}} {{bytes}}/{{total_bytes}} {verb}  {{binary_bytes_per_sec}}  \
                     {{eta}} left  {{msg}}"
                ),
            ),
            (None, Unit::Count(name)) => (
                ProgressBar::no_length(),
                format!("{{pos}} {name}  {{per_sec}}  {{msg}}"),
            ),
            (None, Unit::Bytes(verb)) => (
                ProgressBar::no_length(),
                format!("{{bytes}} {verb}  {{binary_bytes_per_sec}}  {{msg}}"),
            ),
        };
        let style = ProgressStyle::with_template(&template).expect("a valid template");
        Self {
            bar: bar.with_style(style),
            unit,
            done_before: 0,
            started: Instant::now(),
            logged: Mutex::new(Instant::now()),
        }
    }

    /// The same, of which so much was done earlier: that does not count for the speed.
    #[must_use]
    pub fn starting_at(mut self, done: u64) -> Self {
        self.bar.set_position(done);
        self.bar.reset_eta();
        self.done_before = done;
        self
    }

    /// So much more is done.
    pub fn advance(&self, more: u64) {
        self.bar.inc(more);
        self.log();
    }

    /// So much is done in all, what was skipped included.
    pub fn set_position(&self, done: u64) {
        self.bar.set_position(done);
        self.log();
    }

    /// What is being done now, shown beside the numbers.
    pub fn set_message(&self, message: impl Into<String>) {
        let message: String = message.into();
        self.bar.set_message(one_line(&message).into_owned());
    }

    /// Prints without disturbing the bar.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the bar away, as dropping does.
    pub fn finish(self) {
        drop(self);
    }

    /// A line on stderr, if there is no bar and it is time for one.
    fn log(&self) {
        if !self.bar.is_hidden() {
            return;
        }
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.elapsed() > LOG_INTERVAL {
            *logged = Instant::now();
            let state = State {
                unit: self.unit,
                total: self.bar.length(),
                position: self.bar.position(),
                done_before: self.done_before,
                seconds: self.started.elapsed().as_secs_f64(),
            };
            print_note(format_args!("{}", state.line(&self.bar.message())));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What a line of a log says.
struct State {
    unit: Unit,
    total: Option<u64>,
    position: u64,
    done_before: u64,
    /// Since the work began here.
    seconds: f64,
}

impl State {
    fn line(&self, message: &str) -> String {
        let rate = self.position.saturating_sub(self.done_before) as f64 / self.seconds;
        let mut text = self.amount(self.position);
        if let Some(total) = self.total {
            text += &format!(" of {}", self.amount(total));
        }
        text += &match self.unit {
            Unit::Count(name) => format!(" {name}, {rate:.*} {name}/s", decimals(rate)),
            Unit::Bytes(verb) => format!(" {verb}, {}/s", HumanBytes(rate as u64)),
        };
        if let Some(total) = self.total {
            let minutes = total.saturating_sub(self.position) as f64 / rate / 60.0;
            text += &format!(", {minutes:.0} min left");
        }
        if !message.is_empty() {
            text += &format!(", {message}");
        }
        text
    }

    fn amount(&self, amount: u64) -> String {
        match self.unit {
            Unit::Count(_) => grouped(amount as usize),
            Unit::Bytes(_) => HumanBytes(amount).to_string(),
        }
    }
}

/// A slow rate would be 0 without decimals.
fn decimals(rate: f64) -> usize {
    if rate < 10.0 { 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_log_says_how_far_how_fast_and_how_long_yet() {
        let images = State {
            unit: Unit::Count("images"),
            total: Some(250_000),
            position: 130_000,
            done_before: 10_000,
            seconds: 100.0,
        };
        assert_eq!(
            images.line(""),
            "130,000 of 250,000 images, 1200 images/s, 2 min left"
        );
        let runs = State {
            unit: Unit::Count("runs"),
            total: Some(9),
            position: 3,
            done_before: 0,
            seconds: 100.0,
        };
        assert_eq!(
            runs.line("cpu"),
            "3 of 9 runs, 0.03 runs/s, 3 min left, cpu"
        );
        let bytes = State {
            unit: Unit::Bytes("written"),
            total: None,
            position: 3 << 30,
            done_before: 0,
            seconds: 1024.0,
        };
        assert_eq!(bytes.line(""), "3.00 GiB written, 3.00 MiB/s");
    }

    #[test]
    fn what_was_done_earlier_is_done_but_counts_for_no_speed() {
        let progress = Progress::count("images", 100).starting_at(40);
        progress.advance(10);
        assert_eq!(progress.bar.position(), 50);
        assert_eq!(progress.done_before, 40);
    }
}
