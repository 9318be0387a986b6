//! What a rehearsal does to a worker and to the log from outside, at random moments.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// How long the disk of the log is full.
pub(super) const FULL: Duration = Duration::from_secs(3);

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The worker is killed, as the system does it.
    Killed,
    /// The worker is stopped: it hangs.
    Stopped,
    /// The disk of the log takes nothing for a while.
    DiskFull,
}

/// Random moments.
#[derive(Debug)]
pub struct Outside {
    random: ChaCha8Rng,
    mean_seconds: f64,
    next: Instant,
    number: u64,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Killed, Self::Stopped, Self::DiskFull];

    /// As the log has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Stopped => "stopped",
            Self::DiskFull => "disk-full",
        }
    }
}

/// What a supervisor does in a rehearsal, as the log has it.
pub fn rehearsed_kinds() -> impl Iterator<Item = &'static str> {
    Kind::ALL.into_iter().map(Kind::name)
}

impl Outside {
    /// So many seconds apart on average, as events of a constant rate come.
    pub fn new(seed: u64, mean_seconds: f64) -> Self {
        let mut outside = Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            mean_seconds,
            next: Instant::now(),
            number: 0,
        };
        outside.draw_time();
        outside
    }

    /// A worker is ready: what was due while there was none is not done at once, else no worker
    /// would ever complete a pass.
    pub(super) fn begin_again(&mut self) {
        self.draw_time();
    }

    /// What is due now, if anything is, with its number.
    pub(super) fn due(&mut self) -> Option<(Kind, u64)> {
        if self.next > Instant::now() {
            return None;
        }
        self.draw_time();
        self.number += 1;
        let kind = self.random.next_u64() % Kind::ALL.len() as u64;
        Some((Kind::ALL[kind as usize], self.number))
    }

    fn draw_time(&mut self) {
        let uniform = (self.random.next_u64() as f64 + 0.5) / 2f64.powi(64);
        let seconds = -uniform.ln() * self.mean_seconds;
        self.next = Instant::now() + Duration::from_secs_f64(seconds.min(1e6));
    }
}
