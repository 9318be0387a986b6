//! Counts of events per exposure or fluence, with their limits.

use statrs::distribution::{ChiSquared, ContinuousCDF as _};

/// Neutrons above 10 MeV per cm² and hour, outdoors at sea level in New York: JEDEC JESD89B, annex
/// A. A FIT is one event in 10⁹ hours.
pub const REFERENCE_FLUX: f64 = 13.0;
const FIT_HOURS: f64 = 1e9;

/// Where limits are stated without another word.
pub const CONFIDENCE: f64 = 0.95;

/// The limits of a mean count, between which it lies with a confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub low: f64,
    pub high: f64,
}

/// A rate per something, with its limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub events: u64,
    pub estimate: f64,
    pub limits: Limits,
}

impl Limits {
    /// Two-sided limits of the mean of a Poisson count: χ²(α/2; 2k)/2 and χ²(1 − α/2; 2k + 2)/2
    /// (Garwood 1936; JEDEC JESD89B, annex C). For no event 0 and 3.69 at 95 %.
    pub fn of_count(events: u64, confidence: f64) -> Self {
        let tail = (1.0 - confidence) / 2.0;
        let quantile = |freedom: f64, share: f64| {
            let distribution = ChiSquared::new(freedom).expect("at least one degree of freedom");
            distribution.inverse_cdf(share) / 2.0
        };
        let events = events as f64;
        Self {
            low: match events {
                0.0 => 0.0,
                _ => quantile(2.0 * events, tail),
            },
            high: quantile(2.0 * events + 2.0, 1.0 - tail),
        }
    }

    fn over(self, amount: f64) -> Self {
        Self {
            low: self.low / amount,
            high: self.high / amount,
        }
    }
}

impl Rate {
    /// Events per unit of an amount; `None` where there is nothing of it.
    pub fn new(events: u64, amount: f64) -> Option<Self> {
        (amount > 0.0).then(|| Self {
            events,
            estimate: events as f64 / amount,
            limits: Limits::of_count(events, CONFIDENCE).over(amount),
        })
    }

    /// Of a cross section in cm²: failures in 10⁹ hours at the reference flux.
    pub fn fit(self) -> Self {
        let factor = REFERENCE_FLUX * FIT_HOURS;
        Self {
            events: self.events,
            estimate: self.estimate * factor,
            limits: self.limits.over(1.0 / factor),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    /// From 0 to 1, both left out.
    fn uniform(random: &mut ChaCha8Rng) -> f64 {
        (random.next_u64() as f64 + 0.5) / 2f64.powi(64)
    }

    /// Events of rate 1 in a time.
    fn count(random: &mut ChaCha8Rng, mean: f64) -> u64 {
        let mut time = -uniform(random).ln();
        let mut events = 0;
        while time < mean {
            events += 1;
            time -= uniform(random).ln();
        }
        events
    }

    /// Garwood's limits as tables of the Poisson distribution have them.
    #[test]
    fn limits_are_the_published_ones() {
        for (events, low, high) in [
            (0, 0.0, 3.6889),
            (1, 0.0253, 5.5716),
            (5, 1.6235, 11.6683),
            (10, 4.7954, 18.3904),
            (100, 81.3640, 121.6268),
        ] {
            let limits = Limits::of_count(events, 0.95);
            assert!((limits.low - low).abs() < 6e-5, "{events}: {limits:?}");
            assert!((limits.high - high).abs() < 6e-5, "{events}: {limits:?}");
        }
        let many = Limits::of_count(1_000_000, 0.95);
        assert!((many.low - 998_040.9).abs() < 1.0 && (many.high - 1_001_961.9).abs() < 1.0);
    }

    #[test]
    fn limits_cover_the_true_rate_at_every_mean() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for mean in [0.1, 0.5, 1.0, 2.3, 3.6, 5.0, 8.5, 20.0, 60.0] {
            let covers = |_: &u32| {
                let rate = Rate::new(count(&mut random, mean), 1e10).expect("exposed");
                (rate.limits.low..=rate.limits.high).contains(&(mean / 1e10))
            };
            let covered = (0..4000).filter(covers).count();
            assert!(covered >= 94 * 40, "{covered} of 4000 at {mean}");
        }
    }

    #[test]
    fn a_cross_section_is_a_number_of_fit_and_nothing_over_nothing_is_none() {
        let rate = Rate::new(3, 3e10).expect("exposed").fit();
        assert!((rate.estimate - 1.3).abs() < 1e-12, "{rate:?}");
        assert!((rate.limits.high / rate.estimate - 8.767_27 / 3.0).abs() < 1e-4);
        assert_eq!(Rate::new(0, 0.0), None);
    }
}
