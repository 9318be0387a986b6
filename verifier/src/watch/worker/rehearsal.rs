//! What a rehearsal does to the worker from inside, at random moments: wrong outputs that are right
//! again or stay wrong, a damaged golden, a crash, an end in the middle, a hang.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::engine::OutputFault;
use crate::watch::log::event::Rehearsed;
use crate::watch::message::{Message, Tell, Work};

/// How often something is done on purpose, and what is drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    pub seed: u64,
    /// Seconds between two, on average.
    pub mean_seconds: f64,
    /// Whether flips that the tolerance lets pass are seen, by a golden of this device.
    pub has_device_golden: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A wrong output of one run.
    Transient,
    /// Wrong outputs until the model is loaded again.
    UntilReload,
    /// Wrong outputs whatever is loaded.
    Stuck,
    /// A flip in the golden in memory.
    OwnDamage,
    /// A flip that the tolerance lets pass.
    BitsOnly,
    /// A signal.
    Crash,
    /// Success, in the middle.
    Exit,
    /// Nothing more.
    Hang,
}

/// What a worker does in a rehearsal, as the log has it; `bits-only` needs a golden of the device.
pub fn rehearsed_kinds() -> impl Iterator<Item = &'static str> {
    Kind::ALL.into_iter().map(Kind::name)
}

/// The bit of an exponent whose flip no tolerance lets pass, and one that most do.
const LARGE: u32 = 30;
const SMALL: u32 = 0;
/// The element that is flipped.
const ELEMENT: usize = 5;

/// A rehearsal in a worker; without a plan it does nothing.
pub(super) struct Rehearsal {
    plan: Option<(Plan, ChaCha8Rng)>,
    next: Instant,
    /// Done so far.
    number: u64,
    /// What acts on outputs now.
    acting: Option<Kind>,
    hit: Option<usize>,
}

impl Kind {
    pub(super) const ALL: [Self; 8] = [
        Self::Transient,
        Self::UntilReload,
        Self::Stuck,
        Self::OwnDamage,
        Self::BitsOnly,
        Self::Crash,
        Self::Exit,
        Self::Hang,
    ];

    /// As the log has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::UntilReload => "until-reload",
            Self::Stuck => "stuck",
            Self::OwnDamage => "own-damage",
            Self::BitsOnly => "bits-only",
            Self::Crash => "crash",
            Self::Exit => "exit",
            Self::Hang => "hang",
        }
    }
}

impl Rehearsal {
    pub(super) fn new(plan: Option<Plan>, worker: u64) -> Self {
        // Each worker draws something of its own.
        let seeded = |plan: Plan| (plan, ChaCha8Rng::seed_from_u64(plan.seed ^ (worker << 32)));
        let mut rehearsal = Self {
            plan: plan.map(seeded),
            next: Instant::now(),
            number: 0,
            acting: None,
            hit: None,
        };
        rehearsal.draw_time();
        rehearsal
    }

    /// Does what is due before a batch; tells what was computed until then, and what it does,
    /// first.
    pub(super) fn before_batch(
        &mut self,
        sample: usize,
        work: &mut Work,
        tell: &mut Tell<'_>,
    ) -> io::Result<()> {
        let is_due = self.plan.is_some() && self.acting.is_none() && self.next <= Instant::now();
        if !is_due {
            return Ok(());
        }
        let Some(kind) = self.draw_kind() else {
            return Ok(());
        };
        self.number += 1;
        self.draw_time();
        tell(&Message::Work(std::mem::take(work)))?;
        tell(&Message::Rehearsed(Rehearsed {
            kind: kind.name().to_owned(),
            number: self.number,
        }))?;
        match kind {
            Kind::Crash => std::process::abort(),
            Kind::Exit => console::exit::end(0),
            Kind::Hang => loop {
                sleep(Duration::from_secs(3600));
            },
            Kind::OwnDamage => self.hit = Some(sample),
            _ => self.acting = Some(kind),
        }
        Ok(())
    }

    /// What is done to the outputs of the next run.
    pub(super) fn fault(&mut self, is_exposed: bool) -> Option<OutputFault> {
        let fault = |bit| {
            Some(OutputFault {
                element: ELEMENT,
                bit,
            })
        };
        match self.acting? {
            Kind::Transient | Kind::BitsOnly if !is_exposed => {
                self.acting = None;
                None
            }
            Kind::BitsOnly => fault(SMALL),
            _ => fault(LARGE),
        }
    }

    /// The model was loaded again.
    pub(super) fn reload(&mut self) {
        if self.acting == Some(Kind::UntilReload) {
            self.acting = None;
        }
    }

    pub(super) fn has_hit(&self) -> bool {
        self.hit.is_some()
    }

    /// The sample of the golden that is to be hit.
    pub(super) fn take_hit(&mut self) -> Option<usize> {
        self.hit.take()
    }

    fn draw_kind(&mut self) -> Option<Kind> {
        let (plan, random) = self.plan.as_mut()?;
        let kinds = Kind::ALL.iter().copied();
        let kinds = kinds.filter(|kind| plan.has_device_golden || *kind != Kind::BitsOnly);
        let kinds: Vec<Kind> = kinds.collect();
        let number = random.next_u64() % kinds.len() as u64;
        Some(kinds[number as usize])
    }

    /// As events of a constant rate come.
    fn draw_time(&mut self) {
        if let Some((plan, random)) = &mut self.plan {
            let uniform = (random.next_u64() as f64 + 0.5) / 2f64.powi(64);
            let seconds = -uniform.ln() * plan.mean_seconds;
            self.next = Instant::now() + Duration::from_secs_f64(seconds.min(1e6));
        }
    }
}
