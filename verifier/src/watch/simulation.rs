//! Logs of beams whose cross sections are known: what a tally makes of them has no bias, and its
//! limits cover the truth; what is read from lines of SDCs alone has one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::fluence::Counts;
use super::log::Entry;
use super::log::event::{Beat, Due, DueKind, End, Event, Gap, GapCause, Phase, Sdc, Start};
use super::rates::Rate;
use super::tally::Tally;

/// Two hours in beats of five seconds, of which this share is exposed.
const BEATS: usize = 1440;
const BEAT: f64 = 5.0;
const SHARE: f64 = 0.95;
/// Particles per cm² and second while the beam is on: all but a quarter of the time.
const FLUX: f64 = 1e6;
/// Beats that a lost worker, and a lost supervisor, leave without exposure.
const RESTART: usize = 6;
const GAP: usize = 30;
const REPETITIONS: usize = 1000;

/// Events for each unit of something, as a Poisson process has them.
struct Process {
    random: ChaCha8Rng,
    rate: f64,
    left: f64,
}

impl Process {
    fn new(seed: u64, rate: f64) -> Self {
        let mut process = Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            rate,
            left: 0.0,
        };
        process.left = process.draw();
        process
    }

    fn draw(&mut self) -> f64 {
        let uniform = (self.random.next_u64() as f64 + 0.5) / 2f64.powi(64);
        -uniform.ln()
    }

    /// How many there are in so much.
    fn events(&mut self, amount: f64) -> usize {
        let mut events = 0;
        self.left -= self.rate * amount;
        while self.left < 0.0 {
            events += 1;
            self.left += self.draw();
        }
        events
    }
}

fn is_on(beat: usize) -> bool {
    !(BEATS / 2..3 * BEATS / 4).contains(&beat)
}

fn counts() -> Counts {
    let mut counted = 0.0;
    let readings = (0..=BEATS).map(|beat| {
        let reading = (BEAT * beat as f64, counted);
        counted += if is_on(beat) { FLUX * BEAT } else { 0.0 };
        reading
    });
    Counts::new(readings.collect(), 1.0).expect("many readings")
}

/// What a log came to.
struct Found {
    sdc: Rate,
    due: Rate,
    exposed: f64,
    naive_exposed: f64,
}

struct Log {
    tally: Tally,
    sequence: u64,
}

impl Log {
    fn add(&mut self, unix: f64, event: Event) {
        self.sequence += 1;
        self.tally.add(&Entry {
            sequence: self.sequence,
            monotonic: unix,
            unix,
            event,
        });
    }

    fn start(&mut self, unix: f64) {
        self.add(
            unix,
            Event::Start(Start {
                verifier: String::new(),
                host: String::new(),
                boot_id: String::new(),
                process: 0,
                arguments: vec![],
                bundle: String::new(),
                bundle_blake3: String::new(),
                part: String::new(),
                device: String::new(),
            }),
        );
    }

    fn start_again(&mut self, unix: f64) {
        self.start(unix);
        let gap = Gap {
            cause: GapCause::Supervisor,
            seconds: BEAT * GAP as f64,
            after_sequence: self.sequence,
            command: None,
        };
        self.add(unix, Event::Gap(gap));
    }

    fn sdc(&mut self, unix: f64) {
        let number = self.sequence;
        self.add(
            unix,
            Event::Sdc(Sdc {
                number,
                worker: 1,
                pass: 1,
                batch: [0, 1],
                faulty_samples: 1,
                faulty_elements: 1,
                non_finite_elements: 0,
                differing_samples: 0,
                signature: number.to_string(),
                seconds: 0.1,
                noted: None,
            }),
        );
    }

    fn due(&mut self, unix: f64) {
        self.add(
            unix,
            Event::Due(Due {
                kind: DueKind::Crash,
                worker: 1,
                phase: Phase::Passes,
                what: String::new(),
                said: String::new(),
                silent: 0.0,
                in_a_row: 1,
            }),
        );
    }

    fn beat(&mut self, unix: f64, exposed: f64) {
        self.add(
            unix,
            Event::Beat(Beat {
                seconds: BEAT,
                exposed,
                ..Beat::default()
            }),
        );
    }
}

/// A log of SDCs and DUEs with these cross sections; the supervisor is lost now and then too, which
/// has nothing to do with the beam.
fn simulate(seed: u64, counts: &Counts, sdc_cm2: f64, due_cm2: f64) -> Found {
    let (mut sdcs, mut dues) = (
        Process::new(3 * seed, sdc_cm2),
        Process::new(3 * seed + 1, due_cm2),
    );
    let mut losses = Process::new(3 * seed + 2, 1.0 / 3600.0);
    let mut log = Log {
        tally: Tally::new(Some(counts.clone()), None),
        sequence: 0,
    };
    log.start(0.0);
    let (mut dead, mut beat) = (0, 0);
    while beat < BEATS {
        let ended = BEAT * (beat + 1) as f64;
        let exposed = if dead == 0 { SHARE * BEAT } else { 0.0 };
        let fluence = if is_on(beat) { FLUX * exposed } else { 0.0 };
        log.beat(ended, exposed);
        for _ in 0..sdcs.events(fluence) {
            log.sdc(ended - 0.1);
        }
        let lost = dues.events(fluence);
        for _ in 0..lost {
            log.due(ended - 0.1);
        }
        dead = match lost {
            0 => dead - usize::from(dead > 0),
            _ => RESTART,
        };
        beat += 1;
        if losses.events(BEAT) > 0 {
            beat += GAP;
            log.start_again(BEAT * beat as f64);
        }
    }
    let end = End {
        reason: String::new(),
        lost: 0,
        has_open_end: false,
    };
    log.add(BEAT * beat as f64, Event::End(end));
    let Tally {
        in_beam,
        computed,
        exposed_at_sdc_lines,
        ..
    } = log.tally;
    let crashes = in_beam
        .events
        .due
        .get(&DueKind::Crash)
        .copied()
        .unwrap_or(0);
    let sdcs = in_beam.events.sdcs();
    Found {
        sdc: Rate::new(sdcs, in_beam.fluence).expect("exposed"),
        due: Rate::new(crashes, in_beam.fluence).expect("exposed"),
        exposed: computed.exposed,
        naive_exposed: exposed_at_sdc_lines,
    }
}

/// Mean, and the standard error of it.
fn mean(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

#[track_caller]
fn assert_unbiased(found: (f64, f64), truth: f64) {
    let (mean, error) = found;
    let off = (mean - truth) / error;
    assert!(
        off.abs() < 4.0,
        "{mean:e} ± {error:e}, but {truth:e}: {off:.1} standard errors"
    );
}

#[test]
fn cross_sections_have_no_bias_and_their_limits_cover_the_truth() {
    let counts = counts();
    for (sdc_cm2, due_cm2) in [(1e-9, 4e-10), (1e-10, 3e-9)] {
        let found: Vec<Found> = (0..REPETITIONS)
            .map(|seed| simulate(seed as u64, &counts, sdc_cm2, due_cm2))
            .collect();
        assert_unbiased(mean(found.iter().map(|found| found.sdc.estimate)), sdc_cm2);
        assert_unbiased(mean(found.iter().map(|found| found.due.estimate)), due_cm2);
        let covers = |rate: Rate, truth: f64| (rate.limits.low..=rate.limits.high).contains(&truth);
        let covered = |covers: &dyn Fn(&&Found) -> bool| found.iter().filter(covers).count();
        let sdcs = covered(&|found| covers(found.sdc, sdc_cm2));
        let dues = covered(&|found| covers(found.due, due_cm2));
        assert!(
            sdcs >= 940 && dues >= 940,
            "{sdcs} and {dues} of {REPETITIONS}"
        );
    }
}

/// Events while the beam is on three quarters of the time, per hour of exposure.
#[test]
fn exposure_until_the_last_sdc_alone_makes_every_rate_too_high() {
    let (counts, sdc_cm2) = (counts(), 1e-9);
    let found: Vec<Found> = (0..REPETITIONS)
        .map(|seed| simulate(seed as u64, &counts, sdc_cm2, 0.0))
        .collect();
    let truth = 3600.0 * FLUX * sdc_cm2 * 0.75;
    let sdcs: f64 = found.iter().map(|found| found.sdc.events as f64).sum();
    let per_hour = |seconds: fn(&Found) -> f64| {
        let seconds: f64 = found.iter().map(seconds).sum();
        3600.0 * sdcs / seconds
    };
    let (ours, naive) = (
        per_hour(|found| found.exposed),
        per_hour(|found| found.naive_exposed),
    );
    // Losses of the supervisor move the shares of beam and exposure a little.
    assert!((ours / truth - 1.0).abs() < 0.05, "{ours} of {truth}");
    assert!(naive > 1.1 * truth, "{naive}, but {truth}");
}
