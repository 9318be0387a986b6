//! Intervals for a rate.

use super::confidence::Confidence;
use super::hypergeometric::Hypergeometric;

/// The exact limit is found to this part of itself.
const EXACT_TO: f64 = 1e-6;

/// Limits of a rate, 0 ≤ low ≤ high ≤ 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// What one knows without a draw.
    pub const UNKNOWN: Self = Self {
        low: 0.0,
        high: 1.0,
    };

    /// Half of its length, the ± of a rate.
    pub fn half_width(self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// That of the event's absence.
    pub(super) fn mirrored(self) -> Self {
        Self {
            low: 1.0 - self.high,
            high: 1.0 - self.low,
        }
    }

    /// Whether a rate lies in it.
    pub fn contains(self, rate: f64) -> bool {
        (self.low..=self.high).contains(&rate)
    }
}

/// Wilson 1927: the rates p with |x/n − p| ≤ z·√(p(1 − p)/n), for a rate of `rate` in `draws`.
pub fn wilson(rate: f64, draws: f64, confidence: Confidence) -> Interval {
    score(rate, rate * (1.0 - rate) / draws, draws, confidence)
}

/// Wilson's interval for an estimate whose variance is not that of `draws` uniform ones: the rates
/// p with (rate − p)² ≤ z²·V(p), where V is `variance` at the estimate and changes from there as
/// p(1 − p)/draws does.
pub(super) fn score(rate: f64, variance: f64, draws: f64, confidence: Confidence) -> Interval {
    let squared = confidence.quantile().powi(2);
    let shift = squared / draws;
    let centre = shift * (0.5 - rate);
    let reach = (centre * centre + squared * variance * (1.0 + shift)).sqrt();
    // Rounding is not to leave the estimate outside.
    Interval {
        low: (rate + (centre - reach) / (1.0 + shift)).clamp(0.0, rate),
        high: (rate + (centre + reach) / (1.0 + shift)).clamp(rate, 1.0),
    }
}

/// How many draws with replacement are worth `draws` of `population` without: n(N − 1)/(N − n);
/// Cochran 1977, section 2.6.
fn without_replacement(draws: u64, population: u64) -> f64 {
    draws as f64 * (population - 1) as f64 / (population - draws) as f64
}

/// For one proportion, `hits` in `draws` of `population` without replacement: Wilson's interval,
/// with each limit moved out to the exact one (Clopper and Pearson 1934, for the hypergeometric
/// distribution) where that lies further out.
///
/// Wilson's alone contains the rate in 95 of 100 samples on average over rates, but in 84 of 100
/// where 0.17 hits are expected: with one hit its lower limit is too high (Brown, Cai and DasGupta
/// 2001, section 4.1.1). This one contains it in 95 or more at every rate, and is hardly wider: its
/// upper limit for few hits is Wilson's.
pub fn one_proportion(hits: u64, draws: u64, population: u64, confidence: Confidence) -> Interval {
    if draws == 0 {
        return Interval::UNKNOWN;
    }
    let rate = hits as f64 / draws as f64;
    if draws >= population {
        return Interval {
            low: rate,
            high: rate,
        };
    }
    let size = population as f64;
    let wilson = wilson(rate, without_replacement(draws, population), confidence);
    let least = |hits: u64, from: f64| least_hits(hits, draws, population, from, confidence);
    let misses = least(draws - hits, (1.0 - wilson.high) * size);
    Interval {
        low: least(hits, wilson.low * size) / size,
        high: (size - misses) / size,
    }
}

/// The lower one of `from` and the fewest hits in the population with which so many hits in the
/// draws, or more, have more than the tail's probability.
fn least_hits(hits: u64, draws: u64, population: u64, from: f64, confidence: Confidence) -> f64 {
    if hits == 0 {
        return 0.0;
    }
    let is_likely = |hits_of_population: u64| {
        let of = Hypergeometric {
            population,
            hits: hits_of_population,
            draws,
        };
        of.at_least(hits) > confidence.tail()
    };
    // The hits that were found are in the population.
    let below = (from.ceil() as u64).saturating_sub(1);
    if below < hits || !is_likely(below) {
        return from.max(hits as f64);
    }
    let (mut unlikely, mut likely) = (hits - 1, below);
    while likely - unlikely > 1 && (likely - unlikely) as f64 > likely as f64 * EXACT_TO {
        let middle = unlikely + (likely - unlikely) / 2;
        if is_likely(middle) {
            likely = middle;
        } else {
            unlikely = middle;
        }
    }
    (unlikely + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_95() -> Confidence {
        Confidence::new(0.95).expect("a level")
    }

    fn assert_limits(found: Interval, low: f64, high: f64) {
        let differs = |a: f64, b: f64| (a - b).abs() > 5e-5;
        assert!(
            !differs(found.low, low) && !differs(found.high, high),
            "expected {low} to {high}, found {found:?}"
        );
    }

    #[test]
    fn wilsons_interval_is_the_published_one() {
        // Newcombe 1998, table I, method 3.
        assert_limits(wilson(81.0 / 263.0, 263.0, at_95()), 0.2553, 0.3662);
        assert_limits(wilson(15.0 / 148.0, 148.0, at_95()), 0.0624, 0.1605);
        assert_limits(wilson(0.0, 20.0, at_95()), 0.0, 0.1611);
        assert_limits(wilson(1.0 / 29.0, 29.0, at_95()), 0.0061, 0.1718);
    }

    #[test]
    fn limits_are_moved_out_to_the_exact_ones() {
        // Newcombe 1998, table I, method 5 (Clopper and Pearson), where further out than Wilson's.
        let huge = 1 << 50;
        assert_limits(one_proportion(81, 263, huge, at_95()), 0.2527, 0.3676);
        assert_limits(one_proportion(15, 148, huge, at_95()), 0.0578, 0.1617);
        assert_limits(one_proportion(0, 20, huge, at_95()), 0.0, 0.1684);
        assert_limits(one_proportion(1, 29, huge, at_95()), 0.0009, 0.1776);
        let mirrored = one_proportion(28, 29, huge, at_95());
        assert_limits(mirrored, 1.0 - 0.1776, 1.0 - 0.0009);
    }

    #[test]
    fn a_drawn_population_is_known_and_none_drawn_is_not() {
        assert_eq!(one_proportion(0, 0, 10, at_95()), Interval::UNKNOWN);
        assert_limits(one_proportion(3, 10, 10, at_95()), 0.3, 0.3);
        // One of ten left out: it is a hit or it is not. Both are likely.
        assert_limits(one_proportion(3, 9, 10, at_95()), 0.3, 0.4);
        assert_limits(one_proportion(0, 9, 10, at_95()), 0.0, 0.1);
    }

    /// The probability that the interval contains the rate of a population.
    fn coverage(population: u64, hits: u64, draws: u64) -> f64 {
        let of = Hypergeometric {
            population,
            hits,
            draws,
        };
        let probability = |found: u64| of.at_least(found) - of.at_least(found + 1);
        let rate = hits as f64 / population as f64;
        (0..=draws)
            .filter(|&found| one_proportion(found, draws, population, at_95()).contains(rate))
            .map(probability)
            .sum()
    }

    #[test]
    fn one_proportion_covers_every_rate_of_small_and_large_populations() {
        for (population, draws) in [(10, 4), (60, 30), (100, 90), (1 << 40, 8), (1 << 40, 50)] {
            for step in 0..=60u64 {
                let hits = (population as f64 * (step as f64 / 60.0).powi(3)) as u64;
                let found = coverage(population, hits, draws);
                assert!(
                    found > 0.95 - 1e-9,
                    "{hits} of {population}, {draws} drawn: {found}"
                );
            }
        }
    }

    #[test]
    fn one_proportion_is_hardly_wider_than_wilson() {
        for (hits, most) in [(0, 1.0), (1, 1.04), (5, 1.08), (10, 1.07), (100, 1.03)] {
            let huge = 1 << 50;
            let own = one_proportion(hits, 2_000, huge, at_95()).half_width();
            let wilson = wilson(hits as f64 / 2_000.0, 2_000.0, at_95()).half_width();
            assert!(own <= wilson * most + 1e-12, "{hits}: {}", own / wilson);
        }
    }
}
