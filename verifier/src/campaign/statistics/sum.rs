//! Weighted sums of strata, and the limits around them.

use super::confidence::Confidence;
use super::intervals::{Interval, score};
use super::smoothing::Smoothed;
use super::tally::Observed;

/// One stratum's part in a rate of the domain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) stratum: usize,
    /// Its size, over the size of the domain.
    pub(super) weight: f64,
    /// The share of its faults that count: those in samples classified correctly, or 1.
    pub(super) eligible: f64,
    pub(super) smoothed: Smoothed,
    /// The pilot, if it is not counted.
    pub(super) before: Observed,
    /// The faults that are counted.
    pub(super) own: Observed,
    /// Faults of the stratum that the pilot left.
    pub(super) left: f64,
}

/// A weighted sum of strata: its estimate, and what the estimate would be smoothed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    pub(super) estimate: f64,
    pub(super) smoothed: f64,
    /// Of the estimate, from smoothed variances within the strata.
    pub(super) variance: f64,
    /// Its third cumulant, the same way.
    pub(super) third: f64,
}

impl Sum {
    /// The same estimate with the variance that so many draws of each stratum give it.
    pub(super) fn with_draws(self, parts: &[Part], draws: impl Iterator<Item = f64>) -> Self {
        let (mut variance, mut third) = (0.0, 0.0);
        for (part, draws) in parts.iter().zip(draws) {
            if draws < part.left {
                let reach = part.reach(self.smoothed);
                let own = reach * reach * (1.0 / draws - 1.0 / part.left);
                variance += own;
                // A hit moves the sum by the scale over the draws.
                third += own * part.scale() / draws;
            }
        }
        Self {
            variance,
            third,
            ..self
        }
    }

    /// Limits around the estimate, as Wilson has them: the rates from which the estimate differs by
    /// no more than z times the deviation that it would have if they were true.
    ///
    /// A larger rate has a larger variance. For the upper limit, that grows as if what was missed
    /// were in the strata that weigh most (third cumulant over variance: the correction for
    /// skewness of Johnson 1978 and Hall 1992). For the lower one, it shrinks by half of what the
    /// design effect (Kish 1965) says: so few hits give Clopper and Pearson's limits.
    pub(super) fn interval(&self, confidence: Confidence) -> Interval {
        let rate = self.estimate.clamp(0.0, 1.0);
        if self.variance == 0.0 {
            let (low, high) = (rate, rate);
            return Interval { low, high };
        }
        let draws = self.smoothed * (1.0 - self.smoothed) / self.variance;
        let fewest = draws.min(self.variance / self.third);
        let of_low = score(rate, self.variance, 2.0 * draws, confidence);
        let of_high = score(rate, self.variance, fewest, confidence);
        Interval {
            low: of_low.low,
            high: of_high.high,
        }
    }
}

impl Part {
    /// Faults that were drawn in the rounds.
    pub(super) fn faults(&self) -> u64 {
        self.own.faults
    }

    /// Faults of the stratum.
    pub(super) fn size(&self) -> f64 {
        self.left + self.before.faults as f64
    }

    /// What a share of the faults that the pilot left is of the sum.
    fn scale(&self) -> f64 {
        self.weight / self.eligible * self.left / self.size()
    }

    /// What one fault moves the sum by, if it were the stratum's only one: the standard deviation
    /// of share − rate · (1 if it counts, else 0); if all count, that of the share.
    pub(super) fn reach(&self, rate: f64) -> f64 {
        let Smoothed {
            rate: own,
            variance,
        } = self.smoothed;
        let counts = self.eligible;
        let spread = counts * variance + counts * (1.0 - counts) * (own - rate).powi(2);
        self.scale() * spread.sqrt()
    }
}
