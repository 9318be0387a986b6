//! Smoothed rates of strata: what one expects of a stratum, a little of it from its neighbours.

use super::population::Stratum;
use super::tally::Observed;

/// How many faults the neighbours' rate counts for in a stratum's own.
const NEIGHBOURS: f64 = 2.0;

/// A smoothed rate, and how its faults spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Smoothed {
    /// Expected share of a fault's samples with the event, of the faults that count.
    pub(super) rate: f64,
    /// Variance of that share from fault to fault.
    pub(super) variance: f64,
}

/// Smooths the rate of every stratum towards that of its site and bit, that towards its bit's, and
/// that towards the rate of all: each parent counts for [`NEIGHBOURS`] faults. A stratum without a
/// hit so keeps a variance above 0, small where all like it have none.
///
/// It is the mean of a beta distribution whose prior is the parent, an empirical Bayes estimate
/// (Morris 1983). The prior of all is Jeffreys': half a hit in one fault.
pub(super) fn smoothed(strata: &[Stratum], observed: &[Observed]) -> Vec<Smoothed> {
    let bits = strata
        .iter()
        .map(|own| own.bit as usize + 1)
        .max()
        .unwrap_or(0);
    let sites = strata.iter().map(|own| own.site + 1).max().unwrap_or(0);
    let place = |own: &Stratum| own.site * bits + own.bit as usize;
    let mut by_bit = vec![Observed::default(); bits];
    let mut by_place = vec![Observed::default(); bits * sites];
    let mut all = Observed::default();
    for (stratum, &own) in strata.iter().zip(observed) {
        let bit = stratum.bit as usize;
        by_bit[bit] = by_bit[bit].plus(own);
        by_place[place(stratum)] = by_place[place(stratum)].plus(own);
        all = all.plus(own);
    }
    let root = (all.shares + 0.5) / (all.eligible + 1.0);
    let of_stratum = |stratum: &Stratum, &own: &Observed| {
        let of_bit = towards(by_bit[stratum.bit as usize], root);
        Smoothed::new(own, towards(by_place[place(stratum)], of_bit))
    };
    let pairs = strata.iter().zip(observed);
    pairs
        .map(|(stratum, own)| of_stratum(stratum, own))
        .collect()
}

fn towards(observed: Observed, parent: f64) -> f64 {
    (observed.shares + NEIGHBOURS * parent) / (observed.eligible + NEIGHBOURS)
}

impl Smoothed {
    /// Smooths one rate towards a half, which counts for one fault.
    pub(super) fn alone(observed: Observed) -> Self {
        Self::new(observed, 0.5)
    }

    /// Rate and variance, each an average of what was observed and what the parent expects.
    ///
    /// A fault of one sample is a hit or none, with variance p(1 − p). One of many samples has a
    /// share: E(share²) = concentration · E(share), smoothed by a hit that all of a fault's samples
    /// have in common, the worst case.
    fn new(observed: Observed, parent: f64) -> Self {
        let Observed {
            eligible,
            shares,
            squares,
            ..
        } = observed;
        let concentration = (squares + 1.0) / (shares + 1.0);
        let expected = (concentration * parent - parent * parent).max(0.0);
        let (deviations, freedom) = if eligible > 1.0 {
            (
                (squares - shares * shares / eligible).max(0.0),
                eligible - 1.0,
            )
        } else {
            (0.0, 0.0)
        };
        Self {
            rate: towards(observed, parent),
            variance: (deviations + NEIGHBOURS * expected) / (freedom + NEIGHBOURS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stratum(site: usize, bit: u16, tier: usize) -> Stratum {
        Stratum {
            site,
            bit,
            tier: Some(tier),
            faults: 1000,
        }
    }

    fn observed(faults: u64, hits: f64) -> Observed {
        Observed {
            faults,
            eligible: faults as f64,
            shares: hits,
            squares: hits,
        }
    }

    #[test]
    fn a_stratum_without_a_hit_takes_after_its_neighbours() {
        let strata = [(30, 0), (30, 1), (1, 0), (1, 1)].map(|(bit, tier)| stratum(0, bit, tier));
        let of_strata = [(4, 0.0), (400, 200.0), (4, 0.0), (400, 0.0)];
        let found = smoothed(
            &strata,
            &of_strata.map(|(faults, hits)| observed(faults, hits)),
        );
        assert!((found[0].rate - 0.164).abs() < 0.005, "{found:?}");
        assert!((found[1].rate - 0.5).abs() < 0.01, "{found:?}");
        assert!(found[2].rate > 0.0 && found[2].rate < 0.001, "{found:?}");
        assert!((found[1].variance - 0.25).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn shares_that_are_alike_spread_less_than_hits() {
        let alike = Observed {
            squares: 6.25,
            ..observed(100, 25.0)
        };
        let hits = Smoothed::alone(observed(100, 25.0)).variance;
        assert!((hits - 0.19).abs() < 0.001, "{hits}");
        assert!(Smoothed::alone(alike).variance < hits / 10.0);
    }
}
