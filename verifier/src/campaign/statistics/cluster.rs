//! The samples that a weight's fault is run on, and how much each of them weighs.

use super::outcome::{Event, Seen};
use super::population::{Among, Population, Samples, Stratum};

/// What the samples that every fault of a stratum meets stand for. They are few, and of each tier
/// there are right and wrong ones, more of the rare ones than in proportion: each stands for the
/// samples of its tier that are right, or wrong, as it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cluster {
    /// By tier, the samples of the population and those met.
    tiers: Vec<(Samples, Samples)>,
}

/// How many samples of a tier each of those stands for that faults of weights meet, and that are
/// classified correctly or are not. `all` are the samples of the tier, `met` those that are met.
pub fn stands_for(all: Samples, met: Samples, is_right: bool) -> f64 {
    if met.right == 0 || met.right == met.all {
        return all.all as f64 / met.all as f64;
    }
    match is_right {
        true => all.right as f64 / met.right as f64,
        false => (all.all - all.right) as f64 / (met.all - met.right) as f64,
    }
}

impl Cluster {
    /// `None` of a stratum whose faults have one sample each.
    pub(super) fn of(population: &Population, stratum: &Stratum) -> Option<Self> {
        let met = population.sites()[stratum.site].meets.as_ref()?;
        let all = population.tiers().iter().copied();
        Some(Self {
            tiers: all.zip(met.iter().copied()).collect(),
        })
    }

    /// How many tiers there are, those without a sample included.
    pub(super) fn tiers(&self) -> usize {
        self.tiers.len()
    }

    /// The share of the samples of a kind on which a fault has an event, 0 to 1.
    pub(super) fn share(&self, by_tier: &[Seen], event: Event, among: Among) -> f64 {
        let samples = self.tiers.iter().map(|(all, _)| all.among(among));
        let samples: u64 = samples.sum();
        let with_event = self.tiers.iter().enumerate().map(|(tier, (all, _))| {
            let share = self.share_of_tier(tier, &by_tier[tier], event, among);
            all.among(among) as f64 * share
        });
        with_event.sum::<f64>() / samples.max(1) as f64
    }

    /// The same in one tier.
    pub(super) fn share_of_tier(
        &self,
        tier: usize,
        seen: &Seen,
        event: Event,
        among: Among,
    ) -> f64 {
        let (all, met) = self.tiers[tier];
        let share = |with_event: u64, met: u64| with_event as f64 / met.max(1) as f64;
        let [in_all, in_right] = [Among::All, Among::Right].map(|among| seen.of(event, among));
        let right = share(in_right, met.right);
        let met_wrong = met.all - met.right;
        match among {
            Among::Right => right,
            Among::All if met.right == 0 || met_wrong == 0 => share(in_all, met.all),
            Among::All => {
                let wrong = share(in_all - in_right, met_wrong);
                let of_right = all.right as f64 / all.all as f64;
                of_right * right + (1.0 - of_right) * wrong
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::statistics::outcome::Outcome;
    use crate::campaign::statistics::population::Site;

    #[test]
    fn a_share_is_what_the_samples_with_the_event_stand_for() {
        let tiers = vec![Samples { all: 10, right: 7 }, Samples { all: 6, right: 6 }];
        let met = vec![Samples { all: 3, right: 2 }, Samples { all: 2, right: 2 }];
        let site = Site::weight("weight:w", 1, met.clone());
        let population = Population::new(vec![site], tiers.clone()).expect("a population");
        let cluster = Cluster::of(&population, &population.strata()[0]).expect("a cluster");
        let hit = |is_right| Seen::one(Outcome::CriticalSdc, is_right);
        let by_tier = [hit(true).plus(&hit(false)), hit(true)];
        let share = cluster.share(&by_tier, Event::CriticalSdc, Among::All);
        let hits = [(0, true), (0, false), (1, true)];
        let stands = hits.map(|(tier, is_right)| stands_for(tiers[tier], met[tier], is_right));
        assert_eq!(stands, [3.5, 3.0, 3.0]);
        assert!(
            (share - stands.iter().sum::<f64>() / 16.0).abs() < 1e-12,
            "{share}"
        );
    }
}
