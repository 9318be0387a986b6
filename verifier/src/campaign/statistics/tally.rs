//! The tally of a campaign: outcomes by round and stratum, in whole numbers, so that the sum of
//! parts is the same in whatever order they come.

use std::ops::Range;

use super::cluster::Cluster;
use super::outcome::{Event, Seen};
use super::population::{Among, Population};

/// Outcomes by round and stratum.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    rounds: Vec<Vec<Cell>>,
    /// Strata, and of those whose faults meet many samples how much each of these weighs.
    clusters: Vec<Option<Cluster>>,
}

/// Outcomes of the faults of one stratum in one round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cell {
    faults: u64,
    /// Of faults of one sample, those in one that is classified correctly without the fault.
    right_samples: u64,
    whole: Counts,
    /// By tier, of a stratum whose faults meet samples of all.
    by_tier: Vec<Counts>,
}

/// A fault's share of samples in whole numbers, so that sums do not depend on their order: this
/// many stand for 1.
const WHOLE: f64 = (1u64 << 30) as f64;

/// Sums over faults of what each did to its samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counts {
    all: [Sums; Event::ALL.len()],
    right: [Sums; Event::ALL.len()],
}

/// Sums over faults of the share of samples with an event: 0 or 1 of one sample, else in parts of
/// [`WHOLE`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    shares: u64,
    squares: u128,
}

/// What is known of one event in some faults of a stratum. A fault's *share* is the share of its
/// samples with the event.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Observed {
    /// Faults run.
    pub(super) faults: u64,
    /// Those of them that count: all, or those in a sample that is classified correctly.
    pub(super) eligible: f64,
    /// Sum of the shares.
    pub(super) shares: f64,
    /// Sum of their squares.
    pub(super) squares: f64,
}

impl Observed {
    /// What is known of the event's absence: of each share what is left to 1.
    pub(super) fn misses(self) -> Self {
        Self {
            shares: self.eligible - self.shares,
            squares: self.eligible - 2.0 * self.shares + self.squares,
            ..self
        }
    }

    /// Faults that count so much each.
    pub(super) fn times(self, weight: f64) -> Self {
        Self {
            faults: self.faults,
            eligible: weight * self.eligible,
            shares: weight * self.shares,
            squares: weight * self.squares,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            faults: self.faults + other.faults,
            eligible: self.eligible + other.eligible,
            shares: self.shares + other.shares,
            squares: self.squares + other.squares,
        }
    }
}

impl Tally {
    /// Of no fault yet.
    pub fn new(population: &Population) -> Self {
        let strata = population.strata().iter();
        Self {
            rounds: Vec::new(),
            clusters: strata
                .map(|stratum| Cluster::of(population, stratum))
                .collect(),
        }
    }

    /// Takes note of a fault, by the round and stratum of its draw. `by_tier`: what it did to its
    /// one sample; of a weight's fault, to its samples of each tier of the population.
    ///
    /// # Panics
    ///
    /// When `by_tier` has another length than that.
    pub fn add(&mut self, round: usize, stratum: usize, by_tier: &[Seen]) {
        self.add_alike(round, stratum, by_tier, 1);
    }

    /// Takes note of so many faults that did the same.
    pub(super) fn add_alike(
        &mut self,
        round: usize,
        stratum: usize,
        by_tier: &[Seen],
        faults: u64,
    ) {
        let cluster = &self.clusters[stratum];
        let tiers = cluster.as_ref().map_or(0, Cluster::tiers);
        assert_eq!(
            by_tier.len(),
            tiers.max(1),
            "tiers that a fault of stratum {stratum} meets"
        );
        while self.rounds.len() <= round {
            self.rounds.push(vec![Cell::default(); self.clusters.len()]);
        }
        let cell = &mut self.rounds[round][stratum];
        cell.faults += faults;
        let Some(cluster) = cluster else {
            let seen = &by_tier[0];
            cell.right_samples += seen.samples(Among::Right) * faults;
            cell.whole.add(faults, |event, among| seen.of(event, among));
            return;
        };
        let whole = |event, among| in_parts(cluster.share(by_tier, event, among));
        cell.whole.add(faults, whole);
        cell.by_tier.resize(tiers, Counts::default());
        for (tier, counts) in cell.by_tier.iter_mut().enumerate() {
            let of_tier = |event, among| cluster.share_of_tier(tier, &by_tier[tier], event, among);
            counts.add(faults, |event, among| in_parts(of_tier(event, among)));
        }
    }

    /// Adds what another part of the same campaign found.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.clusters, other.clusters, "tallies of one population");
        for (round, cells) in other.rounds.iter().enumerate() {
            let Some(own) = self.rounds.get_mut(round) else {
                self.rounds.push(cells.clone());
                continue;
            };
            for (own, cell) in own.iter_mut().zip(cells) {
                own.merge(cell);
            }
        }
    }

    /// Faults run so far.
    pub fn faults(&self) -> u64 {
        self.rounds.iter().flatten().map(|cell| cell.faults).sum()
    }

    /// How many rounds have a fault in the tally, counted from the first to the last that has.
    pub fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// Faults of a stratum that were run in some rounds.
    pub(super) fn drawn(&self, rounds: &Range<usize>, stratum: usize) -> u64 {
        self.cells(rounds, stratum).map(|cell| cell.faults).sum()
    }

    /// What is known of an event in a stratum from some rounds. `tier`: of a weight, in the
    /// samples of that tier alone.
    pub(super) fn observed(
        &self,
        rounds: &Range<usize>,
        stratum: usize,
        tier: Option<usize>,
        event: Event,
        among: Among,
    ) -> Observed {
        let is_cluster = self.clusters[stratum].is_some();
        let scale = if is_cluster { WHOLE } else { 1.0 };
        let of_cell = |cell: &Cell| {
            let counts = match tier {
                Some(tier) if is_cluster => cell.by_tier.get(tier),
                _ => Some(&cell.whole),
            };
            let sums = counts.map_or(Sums::default(), |counts| counts.of(among)[event as usize]);
            let eligible = match among {
                Among::Right if !is_cluster => cell.right_samples,
                _ => cell.faults,
            };
            Observed {
                faults: cell.faults,
                eligible: eligible as f64,
                shares: sums.shares as f64 / scale,
                squares: sums.squares as f64 / (scale * scale),
            }
        };
        let cells = self.cells(rounds, stratum);
        cells.map(of_cell).fold(Observed::default(), Observed::plus)
    }

    fn cells(&self, rounds: &Range<usize>, stratum: usize) -> impl Iterator<Item = &Cell> {
        let end = rounds.end.min(self.rounds.len());
        let chosen = &self.rounds[rounds.start.min(end)..end];
        chosen.iter().map(move |cells| &cells[stratum])
    }
}

impl Cell {
    fn merge(&mut self, other: &Self) {
        self.faults += other.faults;
        self.right_samples += other.right_samples;
        self.whole.merge(&other.whole);
        let most = self.by_tier.len().max(other.by_tier.len());
        self.by_tier.resize(most, Counts::default());
        for (own, counts) in self.by_tier.iter_mut().zip(&other.by_tier) {
            own.merge(counts);
        }
    }
}

impl Counts {
    fn add(&mut self, faults: u64, share: impl Fn(Event, Among) -> u64) {
        for event in Event::ALL {
            self.all[event as usize].add(share(event, Among::All), faults);
            self.right[event as usize].add(share(event, Among::Right), faults);
        }
    }

    fn merge(&mut self, other: &Self) {
        let own = self.all.iter_mut().chain(&mut self.right);
        for (own, sums) in own.zip(other.all.iter().chain(&other.right)) {
            own.shares += sums.shares;
            own.squares += sums.squares;
        }
    }

    fn of(&self, among: Among) -> &[Sums; Event::ALL.len()] {
        match among {
            Among::All => &self.all,
            Among::Right => &self.right,
        }
    }
}

impl Sums {
    fn add(&mut self, share: u64, faults: u64) {
        self.shares += share * faults;
        self.squares += u128::from(share) * u128::from(share) * u128::from(faults);
    }
}

fn in_parts(share: f64) -> u64 {
    (share * WHOLE).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::statistics::outcome::Outcome;
    use crate::campaign::statistics::population::{Samples, Site};

    fn population() -> Population {
        let tiers = vec![Samples { all: 10, right: 5 }, Samples { all: 10, right: 9 }];
        let meets = vec![Samples { all: 2, right: 1 }, Samples { all: 4, right: 4 }];
        let sites = vec![
            Site::of_samples("edge:v", 3),
            Site::weight("weight:w", 3, meets),
        ];
        Population::new(sites, tiers).expect("a population")
    }

    fn weight_fault() -> [Seen; 2] {
        let mut first = Seen::one(Outcome::CriticalSdc, true);
        first.add(Outcome::Masked, false);
        let mut second = Seen::one(Outcome::CriticalSdc, true);
        for _ in 0..3 {
            second.add(Outcome::WithinTolerance, true);
        }
        [first, second]
    }

    #[test]
    fn parts_added_in_any_order_give_the_same_tally() {
        let population = population();
        let part = |faults: &[(usize, usize, Outcome)]| {
            let mut tally = Tally::new(&population);
            for &(round, stratum, outcome) in faults {
                tally.add(round, stratum, &[Seen::one(outcome, stratum % 2 == 0)]);
            }
            tally
        };
        let faults = [
            (0, 3, Outcome::Masked),
            (2, 4, Outcome::CriticalSdc),
            (1, 3, Outcome::NonFinite),
        ];
        let whole = part(&faults);
        let mut forwards = part(&faults[..1]);
        forwards.merge(&part(&faults[1..]));
        let mut backwards = part(&faults[1..]);
        backwards.merge(&part(&faults[..1]));
        assert_eq!((&forwards, &backwards), (&whole, &whole));
        assert_eq!((whole.faults(), whole.rounds()), (3, 3));
        let beyond = whole.observed(&(0..3), 3, None, Event::Beyond, Among::All);
        assert_eq!((beyond.faults, beyond.shares), (2, 1.0));
        assert_eq!((whole.drawn(&(1..2), 3), whole.drawn(&(0..9), 3)), (1, 2));
    }

    #[test]
    fn a_weights_fault_is_a_share_of_its_samples_in_each_tier() {
        let population = population();
        let mut tally = Tally::new(&population);
        let weight = population.strata().len() - 1;
        tally.add(0, weight, &weight_fault());
        tally.add(0, weight, &weight_fault());
        let assert_share = |tier, among, share: f64| {
            let found = tally.observed(&(0..1), weight, tier, Event::CriticalSdc, among);
            assert_eq!((found.faults, found.eligible), (2, 2.0));
            assert!((found.shares - 2.0 * share).abs() < 1e-8, "{found:?}");
            assert!(
                (found.squares - 2.0 * share * share).abs() < 1e-8,
                "{found:?}"
            );
        };
        // Of the first tier's ten samples five are right: each of the two that are met stands for
        // five. Of the second one's none is met that is wrong: the four stand for all ten.
        assert_share(Some(0), Among::All, 0.5);
        assert_share(Some(0), Among::Right, 1.0);
        assert_share(Some(1), Among::All, 0.25);
        assert_share(None, Among::All, 0.5 * 0.5 + 0.5 * 0.25);
        assert_share(None, Among::Right, (5.0 * 1.0 + 9.0 * 0.25) / 14.0);
    }

    #[test]
    #[should_panic(expected = "tiers that a fault of stratum 0 meets")]
    fn a_fault_in_one_sample_has_one_outcome() {
        Tally::new(&population()).add(0, 0, &weight_fault());
    }
}
