//! How far long work is: a bar on a terminal, a line a minute in a log.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::note;

/// Without a terminal there is no bar; a log then gets a line this often.
const SILENCE: Duration = Duration::from_secs(60);

/// Images done, of how many, how fast, and the time left.
pub(crate) struct Bar {
    bar: ProgressBar,
    started: Instant,
    done: usize,
    told: Instant,
}

impl Bar {
    /// For so many images, of which some were done earlier.
    pub(crate) fn new(images: usize, done: usize) -> Self {
        let style =
            ProgressStyle::with_template("{bar:40} {pos}/{len} images  {per_sec}  {eta} left");
        let bar = ProgressBar::new(images as u64).with_style(style.expect("a valid template"));
        bar.set_position(done as u64);
        bar.reset_eta();
        Self {
            bar,
            started: Instant::now(),
            done: 0,
            told: Instant::now(),
        }
    }

    /// So many images more are done.
    pub(crate) fn advance(&mut self, images: usize) {
        self.bar.inc(images as u64);
        self.done += images;
        if self.bar.is_hidden() && self.told.elapsed() > SILENCE {
            let rate = self.done as f64 / self.started.elapsed().as_secs_f64();
            let (position, length) = (self.bar.position(), self.bar.length().unwrap_or_default());
            let left = length.saturating_sub(position) as f64 / rate / 60.0;
            note!("{position} of {length} images, {rate:.0} images/s, {left:.0} min left");
            self.told = Instant::now();
        }
    }

    /// Prints without disturbing the bar.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
