//! The population of faults that a campaign samples, and its strata: site × bit × tier.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Samples, and how many of them are classified correctly without a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// All of them.
    pub all: u64,
    /// Those classified correctly without a fault.
    pub right: u64,
}

/// A tensor that faults are put into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its name, as in the fault grammar.
    pub name: String,
    /// Where a fault can strike: elements of one sample, or its regions; of a weight, its own.
    pub places: u64,
    /// Ways to change a place that are strata of their own: 32 for a flip of one bit, 33 − k for
    /// one of k adjacent bits, 1 where a value is set.
    pub bits: u16,
    /// Faults of one place and bit: 1, or more if further bits or a pattern are drawn at random.
    pub patterns: u64,
    /// `None` for a tensor that each sample has of its own. For a weight, by tier, the samples that
    /// every fault in it is run on: the fault is a cluster of them.
    pub meets: Option<Vec<Samples>>,
}

/// A part of the population with a rate of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stratum {
    /// Index of the site.
    pub site: usize,
    /// Index of the bit, from 0.
    pub bit: u16,
    /// Index of the tier; `None` for a weight, whose faults meet samples of all tiers.
    pub tier: Option<usize>,
    /// Faults in it, each of which can be drawn once.
    pub faults: u64,
}

/// All faults that a campaign could run: *(sample, place, bit, pattern)* of each site.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Population {
    sites: Vec<Site>,
    tiers: Vec<Samples>,
    #[serde(skip)]
    strata: Vec<Stratum>,
}

/// Which strata a rate is of; `None` stands for all. The default is the whole population.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Domain {
    /// Index of the site.
    pub site: Option<usize>,
    /// Index of the bit.
    pub bit: Option<u16>,
    /// Index of the tier: its own strata, and of a weight's faults what they do to its samples.
    pub tier: Option<usize>,
}

/// Of which samples a rate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Among {
    /// All.
    All,
    /// Those classified correctly without a fault.
    Right,
}

/// A population that cannot be sampled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PopulationError {
    #[error("the population has no fault: {0}")]
    Empty(String),
    #[error("site `{0}`: expected at least one place, bit and pattern, found none")]
    EmptySite(String),
    #[error("site `{site}`: expected samples of {expected} tiers, found {found}")]
    Tiers {
        site: String,
        expected: usize,
        found: usize,
    },
    #[error("site `{site}`: tier {tier} has samples to sample from, but the weight meets none")]
    MeetsNone { site: String, tier: usize },
    #[error(
        "tier {tier}: expected at most {all} samples that are classified correctly, found {right}"
    )]
    Right { tier: usize, all: u64, right: u64 },
    #[error("site `{0}`: more than 2^62 faults; hint: fewer samples, bits or patterns")]
    TooLarge(String),
}

/// What sizes are kept below, so that sums of them and halves of a permutation fit 64 bits.
const MOST_FAULTS: u64 = 1 << 62;

impl Samples {
    /// How many there are of the kind.
    pub fn among(self, among: Among) -> u64 {
        match among {
            Among::All => self.all,
            Among::Right => self.right,
        }
    }

    fn sum<'a>(tiers: impl IntoIterator<Item = &'a Self>) -> Self {
        let add = |sum: Self, tier: &Self| Self {
            all: sum.all + tier.all,
            right: sum.right + tier.right,
        };
        tiers.into_iter().fold(Self::default(), add)
    }
}

impl Site {
    /// A tensor that every sample has of its own, with a flip of each of 32 bits.
    pub fn of_samples(name: &str, places: u64) -> Self {
        Self {
            name: name.to_owned(),
            places,
            bits: 32,
            patterns: 1,
            meets: None,
        }
    }

    /// A weight, with a flip of each of 32 bits; by tier, the samples its faults are run on.
    pub fn weight(name: &str, places: u64, meets: Vec<Samples>) -> Self {
        Self {
            meets: Some(meets),
            ..Self::of_samples(name, places)
        }
    }
}

impl Domain {
    /// Whether faults of the stratum count in it.
    pub fn contains(&self, stratum: &Stratum) -> bool {
        let is_tier = match (self.tier, stratum.tier) {
            (Some(own), Some(tier)) => own == tier,
            _ => true,
        };
        self.site.is_none_or(|site| site == stratum.site)
            && self.bit.is_none_or(|bit| bit == stratum.bit)
            && is_tier
    }
}

impl Population {
    /// Every site with every tier of samples. Tiers without a sample have no stratum.
    pub fn new(sites: Vec<Site>, tiers: Vec<Samples>) -> Result<Self, PopulationError> {
        for (tier, samples) in tiers.iter().enumerate() {
            let Samples { all, right } = *samples;
            if right > all {
                return Err(PopulationError::Right { tier, all, right });
            }
        }
        let mut population = Self {
            sites,
            tiers,
            strata: Vec::new(),
        };
        let mut total = 0u64;
        for (index, site) in population.sites.iter().enumerate() {
            check_site(site, &population.tiers)?;
            let too_large = || PopulationError::TooLarge(site.name.clone());
            let size = population.size_of_site(site).ok_or_else(too_large)?;
            total = total
                .checked_add(size)
                .filter(|&total| total <= MOST_FAULTS)
                .ok_or_else(too_large)?;
            let strata = strata_of(index, site, &population.tiers);
            population.strata.extend(strata);
        }
        if total == 0 {
            let what = format!(
                "{} sites, {} tiers",
                population.sites.len(),
                population.tiers.len()
            );
            return Err(PopulationError::Empty(what));
        }
        Ok(population)
    }

    fn size_of_site(&self, site: &Site) -> Option<u64> {
        let samples = Samples::sum(&self.tiers).all;
        let faults = site.places.checked_mul(site.patterns)?;
        faults.checked_mul(site.bits.into())?.checked_mul(samples)
    }

    /// The sites, in the order in which they were given.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The samples of each tier.
    pub fn tiers(&self) -> &[Samples] {
        &self.tiers
    }

    /// The strata: by site, then bit, then tier.
    pub fn strata(&self) -> &[Stratum] {
        &self.strata
    }

    /// Whether a fault of the stratum meets many samples.
    pub fn is_cluster(&self, stratum: &Stratum) -> bool {
        stratum.tier.is_none()
    }

    /// How many *(sample, fault)* pairs the stratum has in the domain, those of a kind of samples
    /// alone.
    pub fn size(&self, stratum: &Stratum, domain: &Domain, among: Among) -> f64 {
        if !domain.contains(stratum) {
            return 0.0;
        }
        let site = &self.sites[stratum.site];
        let samples = match stratum.tier.or(domain.tier) {
            Some(tier) => self.tiers[tier],
            None => Samples::sum(&self.tiers),
        };
        (site.places * site.patterns) as f64 * samples.among(among) as f64
    }

    /// *(sample, fault)* pairs of the stratum, exactly.
    pub(super) fn pairs(&self, stratum: &Stratum) -> u64 {
        match stratum.tier {
            Some(_) => stratum.faults,
            None => stratum.faults * Samples::sum(&self.tiers).all,
        }
    }
}

fn check_site(site: &Site, tiers: &[Samples]) -> Result<(), PopulationError> {
    if site.places == 0 || site.bits == 0 || site.patterns == 0 {
        return Err(PopulationError::EmptySite(site.name.clone()));
    }
    let Some(meets) = &site.meets else {
        return Ok(());
    };
    if meets.len() != tiers.len() {
        return Err(PopulationError::Tiers {
            site: site.name.clone(),
            expected: tiers.len(),
            found: meets.len(),
        });
    }
    for (tier, (met, samples)) in meets.iter().zip(tiers).enumerate() {
        if met.right > met.all {
            let Samples { all, right } = *met;
            return Err(PopulationError::Right { tier, all, right });
        }
        let is_none = [Among::All, Among::Right]
            .into_iter()
            .any(|among| samples.among(among) > 0 && met.among(among) == 0);
        if is_none {
            let site = site.name.clone();
            return Err(PopulationError::MeetsNone { site, tier });
        }
    }
    Ok(())
}

/// The strata of one site.
fn strata_of(index: usize, site: &Site, tiers: &[Samples]) -> Vec<Stratum> {
    let of_a_place = site.places * site.patterns;
    let samples: Vec<(Option<usize>, u64)> = match site.meets {
        Some(_) => vec![(None, 1)],
        None => tiers
            .iter()
            .enumerate()
            .map(|(tier, samples)| (Some(tier), samples.all))
            .collect(),
    };
    let of_bit = |bit| {
        let filled = samples.iter().filter(|(_, samples)| *samples > 0);
        filled.map(move |&(tier, samples)| Stratum {
            site: index,
            bit,
            tier,
            faults: of_a_place * samples,
        })
    };
    (0..site.bits).flat_map(of_bit).collect()
}
