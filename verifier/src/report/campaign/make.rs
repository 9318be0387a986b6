//! Makes the report of a campaign from its plan and its outcomes.

use super::setting::is_known;
use super::{
    BitRecord, CAMPAIGN_REPORT_VERSION, CampaignReport, ExampleRecord, LeadChanges,
    PopulationRecord, PositionRecord, RateRecord, SiteRecord, TierRecord, WeightSample,
    WeightSamples,
};
use crate::campaign::statistics::{
    Among, Confidence, Domain, Estimates, Event, Interval, Question, Samples, Tally, stands_for,
};
use crate::campaign::study::Study;
use crate::campaign::summary::{Axis, LEAD_BOUNDS, Summary};
use crate::report::record::BundleRecord;
use crate::samples::SampleInfo;

/// What stands in a cell of bit and site.
const OF_CELLS: [Event; 3] = [Event::Beyond, Event::CriticalSdc, Event::NonFinite];

/// The report of all outcomes that a tally has. `info` is what is known of each sample,
/// `upper_bounds` the confidence up to which each tier reaches.
pub fn report_of(
    study: &Study,
    tally: &Tally,
    summary: &Summary,
    bundle: BundleRecord,
    info: &[SampleInfo],
    upper_bounds: &[f64],
) -> CampaignReport {
    let estimates = study.estimates(tally);
    let population = study.plan.population();
    let tiers = population.tiers();
    let whole = Domain::default();
    let size = |stratum| population.size(stratum, &whole, Among::All);
    CampaignReport {
        report_version: CAMPAIGN_REPORT_VERSION.to_owned(),
        plan: study.plan.hash(),
        settings: study.settings.clone(),
        bundle,
        population: PopulationRecord {
            members: population.strata().iter().map(size).sum(),
            samples: tiers.iter().map(|tier| tier.all).sum(),
            right: tiers.iter().map(|tier| tier.right).sum(),
            strata: population.strata().len(),
            patterns: study.settings.model.effect.patterns(),
            weight_samples: weight_samples(study, info),
        },
        rounds: study
            .plan
            .rounds()
            .map(|round| round.end - round.start)
            .collect(),
        faults: tally.faults(),
        total: all_rates(study, &estimates, whole),
        sites: (0..study.sites.len())
            .map(|site| site_record(study, &estimates, summary, site))
            .collect(),
        bits: bit_records(study, &estimates, None),
        tiers: tier_records(study, &estimates, upper_bounds),
        lead_changes: match study.settings.classes_known {
            true => lead_changes(summary),
            false => vec![],
        },
        examples: summary
            .examples
            .iter()
            .map(|example| ExampleRecord {
                example: example.clone(),
                sample_index: info[example.sample].sample_index,
                class_before: info[example.sample].prediction,
                label: info[example.sample].label,
            })
            .collect(),
    }
}

fn weight_samples(study: &Study, info: &[SampleInfo]) -> Option<WeightSamples> {
    let met = study.weights_meet()?;
    let all = study.plan.population().tiers();
    let sample = |&(sample, tier): &(usize, usize)| WeightSample {
        sample,
        sample_index: info[sample].sample_index,
        tier,
        right: study.is_right(sample),
        stands_for: stands_for(all[tier], met[tier], study.is_right(sample)),
    };
    Some(WeightSamples {
        run: study.met.len(),
        of: all.iter().map(|tier| tier.all).sum(),
        samples: study.met.iter().map(sample).collect(),
    })
}

fn tier_records(study: &Study, estimates: &Estimates<'_>, upper_bounds: &[f64]) -> Vec<TierRecord> {
    let tiers = estimates.population.tiers().iter().enumerate();
    let record = |(tier, samples): (usize, &Samples)| {
        let domain = Domain {
            tier: Some(tier),
            ..Domain::default()
        };
        TierRecord {
            tier,
            upper_bound: upper_bounds.get(tier).copied(),
            samples: samples.all,
            right: samples.right,
            rates: all_rates(study, estimates, domain),
        }
    };
    tiers.map(record).collect()
}

fn site_record(
    study: &Study,
    estimates: &Estimates<'_>,
    summary: &Summary,
    site: usize,
) -> SiteRecord {
    let own = &study.sites[site];
    let domain = Domain {
        site: Some(site),
        ..Domain::default()
    };
    SiteRecord {
        site: own.to_string(),
        shape: own.shape.clone(),
        places: study.plan.population().sites()[site].places,
        rates: all_rates(study, estimates, domain),
        bits: bit_records(study, estimates, Some(site)),
        patterns: summary.patterns[site],
        positions: [Axis::Head, Axis::Token]
            .into_iter()
            .flat_map(|axis| position_records(study, summary, site, axis, estimates.confidence))
            .collect(),
    }
}

/// By bit, if the faults are told apart by bits.
fn bit_records(study: &Study, estimates: &Estimates<'_>, site: Option<usize>) -> Vec<BitRecord> {
    let bits = estimates
        .population
        .sites()
        .iter()
        .map(|site| site.bits)
        .max()
        .unwrap_or(0);
    if bits < 2 {
        return vec![];
    }
    let of_bit = |bit| {
        let domain = Domain {
            site,
            bit: Some(bit),
            tier: None,
        };
        let events = OF_CELLS.into_iter();
        let known = events.filter(|event| is_known(&study.settings, *event));
        BitRecord {
            bit,
            rates: known
                .map(|event| rate_of(estimates, domain, event, Among::All))
                .collect(),
        }
    };
    (0..bits).map(of_bit).collect()
}

fn position_records(
    study: &Study,
    summary: &Summary,
    site: usize,
    axis: Axis,
    confidence: Confidence,
) -> Vec<PositionRecord> {
    let positions = summary.positions(study, site, axis, confidence);
    let record = |(position, at): (usize, crate::campaign::summary::AtPosition)| {
        let rate = |event, rate: crate::campaign::summary::Rate| RateRecord {
            event,
            among: Among::All,
            estimate: Some(rate.estimate),
            low: rate.interval.low,
            high: rate.interval.high,
            faults: at.faults,
        };
        PositionRecord {
            axis,
            position,
            faults: at.faults,
            rates: [
                (Event::Beyond, at.beyond),
                (Event::CriticalSdc, at.critical),
            ]
            .into_iter()
            .filter(|(event, _)| is_known(&study.settings, *event))
            .map(|(event, at)| rate(event, at))
            .collect(),
        }
    };
    positions.into_iter().map(record).collect()
}

/// Every event that is known among every kind of samples.
fn all_rates(study: &Study, estimates: &Estimates<'_>, domain: Domain) -> Vec<RateRecord> {
    let among = [Among::All, Among::Right].into_iter();
    let pairs = among.flat_map(|among| Event::ALL.map(|event| (event, among)));
    pairs
        .filter(|(event, _)| is_known(&study.settings, *event))
        .map(|(event, among)| rate_of(estimates, domain, event, among))
        .collect()
}

fn rate_of(estimates: &Estimates<'_>, domain: Domain, event: Event, among: Among) -> RateRecord {
    let rate = estimates.rate(&Question {
        domain,
        event,
        among,
    });
    let Interval { low, high } = rate.interval;
    RateRecord {
        event,
        among,
        estimate: rate.estimate,
        low,
        high,
        faults: rate.faults,
    }
}

fn lead_changes(summary: &Summary) -> Vec<LeadChanges> {
    let bounds = LEAD_BOUNDS.into_iter().map(Some).chain([None]);
    let pairs = bounds.zip(summary.lead_changes);
    pairs
        .map(|(upper_bound, faults)| LeadChanges {
            upper_bound,
            faults,
        })
        .collect()
}
