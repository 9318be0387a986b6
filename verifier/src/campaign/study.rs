//! What a campaign is about: its population, and the fault of every number.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use thiserror::Error;

use super::model::FaultModel;
use super::settings::{Asked, RatesOf, Settings};
use super::statistics::{
    self, Among, Confidence, ConfidenceError, Domain, Draw, Estimates, Event, Plan, Population,
    PopulationError, Question, Round, RoundError, Samples, Sampling, Tally, next_round, pilot,
};
use crate::inject::site::nearest_first;
use crate::inject::{Fault, Layout, Positions, Region, Site, SiteKind, Target};
use crate::samples::SampleInfo;

/// A campaign that cannot be planned.
#[derive(Debug, Error)]
pub enum StudyError {
    #[error("no site `{name}`; there are {available}")]
    NoSite { name: String, available: String },
    #[error("no site of `{asked}` has regions `{region}`\nhint: --sites or --region")]
    NoRegion { asked: String, region: String },
    #[error(
        "no site of `{asked}` is as large as `{region}`; the largest is `{largest}` {shape:?}\n\
         hint: a smaller --region"
    )]
    TooSmall {
        asked: String,
        region: String,
        largest: String,
        shape: Vec<usize>,
    },
    #[error(transparent)]
    Population(#[from] PopulationError),
    #[error(transparent)]
    Round(#[from] RoundError),
    #[error(transparent)]
    Confidence(#[from] ConfidenceError),
}

/// A campaign: its settings, and the population that they stand for.
#[derive(Debug, Clone)]
pub struct Study {
    pub settings: Settings,
    pub plan: Plan,
    pub sites: Vec<Site>,
    /// By tier, the samples of the population.
    pub tiers: Vec<Vec<usize>>,
    /// Samples that a weight's fault is run on, with the tier of each.
    pub met: Vec<(usize, usize)>,
    layout: Layout,
    /// By sample of the bundle, whether it is classified correctly.
    is_right: Vec<bool>,
}

/// A fault of the campaign.
#[derive(Debug, Clone)]
pub struct Planned {
    pub draw: Draw,
    /// Index of its site.
    pub site: usize,
    /// The fault as `--fault` takes it.
    pub fault: Fault,
    /// Its sample; `None` of a weight.
    pub sample: Option<usize>,
}

/// The sites that are asked for, by name, by kind or `all` of them, that have such regions.
pub fn choose_sites(
    all: &[Site],
    asked: &[String],
    model: &FaultModel,
    layout: Layout,
) -> Result<Vec<Site>, StudyError> {
    let mut chosen: Vec<Site> = Vec::new();
    for name in asked {
        let is_asked = |site: &&Site| {
            name == "all"
                || *name == site.name
                || *name == site.to_string()
                || *name == format!("{}s", site.kind.name())
                || *name == site.kind.name()
        };
        let mut found = all.iter().filter(is_asked).peekable();
        if found.peek().is_none() {
            return Err(StudyError::NoSite {
                name: name.clone(),
                available: nearest_first(name, all),
            });
        }
        for site in found {
            if !chosen.contains(site) && model.region.places(site, layout).is_some() {
                chosen.push(site.clone());
            }
        }
    }
    chosen.sort_by_key(|site| all.iter().position(|other| other == site));
    if chosen.is_empty() {
        return Err(StudyError::NoRegion {
            asked: asked.join(","),
            region: model.region.to_string(),
        });
    }
    if chosen.iter().any(|site| model.region.fits(site)) {
        return Ok(chosen);
    }
    let elements = |site: &&Site| site.shape.iter().rev().take(2).product::<usize>();
    let largest = chosen.iter().max_by_key(elements).expect("there is one");
    Err(StudyError::TooSmall {
        asked: asked.join(","),
        region: model.region.to_string(),
        largest: largest.to_string(),
        shape: largest.shape.clone(),
    })
}

impl Study {
    /// A campaign on these sites, without a round yet. `info` is what is known of each sample of
    /// the bundle, `tier_of` its tier, below `tiers`.
    pub fn new(
        settings: Settings,
        sites: Vec<Site>,
        layout: Layout,
        info: &[SampleInfo],
        (tiers, tier_of): (usize, &[usize]),
    ) -> Result<Self, StudyError> {
        let is_right = |info: &SampleInfo| info.label.is_some() && info.label == info.prediction;
        let is_right: Vec<bool> = info.iter().map(is_right).collect();
        let mut by_tier = vec![Vec::new(); tiers];
        for sample in settings.samples[0]..settings.samples[1] {
            by_tier[tier_of[sample]].push(sample);
        }
        let met = samples_met(&settings, &by_tier, &is_right);
        let population = population(&settings, &sites, layout, (&by_tier, &met, &is_right))?;
        Confidence::new(settings.confidence)?;
        let sampling = match settings.sampling {
            Asked::Faults(_) => Sampling::Uniform,
            Asked::PerStratum(_) => Sampling::Stratified,
            Asked::Margin(_) => Sampling::Adaptive,
        };
        let about = serde_json::to_string(&settings).expect("settings are JSON");
        Ok(Self {
            plan: Plan::new(population, sampling, settings.seed, &about),
            settings,
            sites,
            tiers: by_tier,
            met,
            layout,
            is_right,
        })
    }

    /// The fault of a number that a round has.
    pub fn planned(&self, number: u64) -> Option<Planned> {
        let draw = self.plan.fault(number)?;
        let stratum = self.plan.population().strata()[draw.stratum];
        let site = &self.sites[stratum.site];
        let sample = self.sample(&draw);
        let Settings { model, .. } = &self.settings;
        let region = model.region.at(site, self.layout, draw.place as usize);
        let random = &mut self.plan.generator(number);
        let name = site.name.clone();
        let fault = Fault {
            target: match site.kind {
                SiteKind::Input => Target::Input(Some(name)),
                SiteKind::Edge => Target::Edge(name),
                SiteKind::Output => Target::Output(Some(name)),
                SiteKind::Weight => Target::Weight(name),
            },
            index: sample
                .into_iter()
                .map(Positions::At)
                .chain(region)
                .collect(),
            change: model.effect.change(stratum.bit, draw.pattern, random),
        };
        Some(Planned {
            draw,
            site: stratum.site,
            fault,
            sample,
        })
    }

    /// The sample of a draw, as the bundle counts them; `None` of a weight.
    pub fn sample(&self, draw: &Draw) -> Option<usize> {
        let tier = self.plan.population().strata()[draw.stratum].tier?;
        Some(self.tiers[tier][draw.sample? as usize])
    }

    /// Whether a sample is classified correctly without a fault.
    pub fn is_right(&self, sample: usize) -> bool {
        self.is_right[sample]
    }

    /// Which head or token a fault is in, if it is in one alone.
    pub fn position(&self, planned: &Planned, region: Region) -> Option<usize> {
        let site = &self.sites[planned.site];
        let axes = planned.sample.map(|_| &planned.fault.index[1..])?;
        region.place_of(site, self.layout, axes)
    }

    /// What outcomes say of the population.
    pub fn estimates<'a>(&'a self, tally: &'a Tally) -> Estimates<'a> {
        let confidence = Confidence::new(self.settings.confidence);
        Estimates {
            population: self.plan.population(),
            sampling: self.plan.sampling(),
            tally,
            confidence: confidence.expect("it was checked"),
        }
    }

    /// Members of the population that are in one head or token of a site alone.
    pub fn members_at(&self, site: usize, axis: Region, position: usize) -> u64 {
        let region = self.settings.model.region;
        let places = region.places_within(axis, &self.sites[site], self.layout, position);
        let population = self.plan.population();
        let own = population.strata().iter().filter(|own| own.site == site);
        let members: u64 = own.map(|stratum| stratum.faults).sum();
        members / population.sites()[site].places * places as u64
    }

    /// By tier, the samples that faults of weights are run on; `None` without such faults.
    pub fn weights_meet(&self) -> Option<&[Samples]> {
        let mut sites = self.plan.population().sites().iter();
        sites.find_map(|site| site.meets.as_deref())
    }

    /// The rate of the whole population.
    pub fn question(&self) -> Question {
        self.question_of(Domain::default())
    }

    /// The rates that a margin is asked for.
    fn questions(&self) -> Vec<Question> {
        let population = self.plan.population();
        let bits = population.sites().iter().map(|site| site.bits).max();
        let bits = 0..bits.unwrap_or(0);
        let tiers = (0..self.tiers.len()).filter(|&tier| !self.tiers[tier].is_empty());
        let all = Domain::default();
        let mut domains = Vec::new();
        for of in &self.settings.margin_of {
            match of {
                RatesOf::Total => domains.push(all),
                RatesOf::Sites => domains.extend((0..self.sites.len()).map(|site| Domain {
                    site: Some(site),
                    ..all
                })),
                RatesOf::Bits => domains.extend(bits.clone().map(|bit| Domain {
                    bit: Some(bit),
                    ..all
                })),
                RatesOf::Tiers => domains.extend(tiers.clone().map(|tier| Domain {
                    tier: Some(tier),
                    ..all
                })),
            }
        }
        let questions = domains.into_iter().map(|domain| self.question_of(domain));
        questions.collect()
    }

    fn question_of(&self, domain: Domain) -> Question {
        Question {
            domain,
            event: match self.settings.classes_known {
                true => Event::CriticalSdc,
                false => Event::Beyond,
            },
            among: Among::All,
        }
    }

    /// Adds the next round, after the outcomes of all before it; `false` when there is none.
    pub fn push_round(&mut self, tally: &Tally) -> Result<bool, StudyError> {
        let is_first = self.plan.rounds().len() == 0;
        let population = self.plan.population();
        let round = match self.settings.sampling {
            Asked::Faults(faults) => is_first.then_some(Round::Uniform(faults)),
            Asked::PerStratum(faults) => is_first.then(|| {
                let strata = population.strata().iter();
                Round::Stratified(strata.map(|stratum| stratum.faults.min(faults)).collect())
            }),
            Asked::Margin(_) if is_first => Some(pilot(population)),
            Asked::Margin(margin) => {
                let target = |question| statistics::Target { question, margin };
                let targets: Vec<_> = self.questions().into_iter().map(target).collect();
                next_round(&self.estimates(tally), &self.plan, &targets)
            }
        };
        let Some(round) = round else {
            return Ok(false);
        };
        self.plan.push(&round)?;
        Ok(true)
    }
}

/// The samples that faults of weights are run on, with their tiers: of each tier, and in it of
/// those that are classified correctly and of the others, as many as there are in proportion, one
/// at least, chosen by the seed.
fn samples_met(
    settings: &Settings,
    tiers: &[Vec<usize>],
    is_right: &[bool],
) -> Vec<(usize, usize)> {
    let all: usize = tiers.iter().map(Vec::len).sum();
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut met = Vec::new();
    for (tier, samples) in tiers.iter().enumerate() {
        for kind in [true, false] {
            let own = samples.iter().filter(|&&sample| is_right[sample] == kind);
            let mut own: Vec<usize> = own.copied().collect();
            let share = settings.samples_per_weight_fault as f64 * own.len() as f64 / all as f64;
            let count = (share.round() as usize).max(1).min(own.len());
            for place in 0..count {
                // The high half of a product with a random number: Lemire 2019, without the
                // rejection of what is 2^−50 too likely.
                let left = (own.len() - place) as u128;
                let other = ((u128::from(random.next_u64()) * left) >> 64) as usize;
                own.swap(place, place + other);
            }
            own.truncate(count);
            met.extend(own.into_iter().map(|sample| (sample, tier)));
        }
    }
    met.sort_unstable();
    met
}

/// By tier its samples, those that weights' faults meet, and which are classified correctly.
type Known<'a> = (&'a [Vec<usize>], &'a [(usize, usize)], &'a [bool]);

fn population(
    settings: &Settings,
    sites: &[Site],
    layout: Layout,
    (tiers, met, is_right): Known<'_>,
) -> Result<Population, PopulationError> {
    let count = |samples: &mut dyn Iterator<Item = usize>| {
        let mut counted = Samples::default();
        for sample in samples {
            counted.all += 1;
            counted.right += u64::from(is_right[sample]);
        }
        counted
    };
    let of_tier = |tier: usize| {
        let own = met.iter().filter(move |(_, of)| *of == tier);
        count(&mut own.map(|&(sample, _)| sample))
    };
    let model = settings.model;
    let site = |site: &Site| statistics::Site {
        name: site.to_string(),
        places: model.region.places(site, layout).unwrap_or(0) as u64,
        bits: model.effect.bits(),
        patterns: model.effect.patterns(),
        meets: (site.kind == SiteKind::Weight).then(|| (0..tiers.len()).map(of_tier).collect()),
    };
    let counted = tiers.iter().map(|tier| count(&mut tier.iter().copied()));
    Population::new(sites.iter().map(site).collect(), counted.collect())
}
