//! The report of a campaign: one typed, versioned document, made of the plan and the outcomes
//! alone. It holds no time and no host, so that the same campaign gives the same bytes however its
//! work was cut.

mod csv;
mod html;
mod make;
mod markdown;
mod setting;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use csv::FaultList;
pub use html::{ImagesByPosition, html_page};
pub use make::report_of;
pub use setting::short;

use super::record::BundleRecord;
use crate::campaign::settings::Settings;
use crate::campaign::statistics::{Among, Event};
use crate::campaign::summary::{Axis, Example, PatternCounts};

/// `major.minor` of the report's layout; a reader refuses another major one.
pub const CAMPAIGN_REPORT_VERSION: &str = "1.0";

/// What the faults of a campaign did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignReport {
    /// `major.minor` of this layout.
    pub report_version: String,
    /// BLAKE3 of population, sampling, seed and settings.
    pub plan: String,
    pub settings: Settings,
    pub bundle: BundleRecord,
    pub population: PopulationRecord,
    /// Faults of each round. A campaign with a margin has a pilot first. Where later rounds follow
    /// it is not counted in rates, but for strata that it drew to their end.
    pub rounds: Vec<u64>,
    /// All faults that were run.
    pub faults: u64,
    /// Of the whole population, each outcome among each kind of samples; tolerable and critical SDC
    /// only where classes are known, as everywhere.
    pub total: Vec<RateRecord>,
    pub sites: Vec<SiteRecord>,
    /// Of all sites.
    pub bits: Vec<BitRecord>,
    pub tiers: Vec<TierRecord>,
    /// Of faults beyond the tolerance in single samples whose logits are finite, by how far they
    /// moved the logits; none where classes are not known.
    pub lead_changes: Vec<LeadChanges>,
    /// Some faults that changed the class, the first by number.
    pub examples: Vec<ExampleRecord>,
}

/// What could have been drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PopulationRecord {
    /// Members: (sample, place, bit, pattern) of every site.
    pub members: f64,
    pub samples: u64,
    /// Samples that are classified correctly without a fault.
    pub right: u64,
    pub strata: usize,
    /// Faults of one place and bit in one sample: 1, or more where further bits or a value are
    /// drawn at random.
    pub patterns: u64,
    /// What faults of weights were run on, if there are such.
    #[serde(default)]
    pub weight_samples: Option<WeightSamples>,
}

/// The samples that each fault of a weight was run on. Where they are fewer than all, rates with
/// faults of weights in them hold for these samples alone, and so do the intervals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WeightSamples {
    /// How many: about as many as were asked for, and at least one for each tier and for what is
    /// classified correctly or not in it.
    pub run: usize,
    /// How many there are.
    pub of: u64,
    pub samples: Vec<WeightSample>,
}

/// A sample that faults of weights were run on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WeightSample {
    /// From 0, as faults have it.
    pub sample: usize,
    /// Its position in the split of CIFAR-10.
    pub sample_index: i64,
    pub tier: usize,
    /// Whether it is classified correctly without a fault.
    pub right: bool,
    /// How many samples of its tier it stands for.
    pub stands_for: f64,
}

/// A rate of an outcome, or of several, with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateRecord {
    pub event: Event,
    pub among: Among,
    /// 0 to 1; null where no fault was run that counts.
    #[serde(default)]
    pub estimate: Option<f64>,
    pub low: f64,
    pub high: f64,
    /// Faults that it is made of, those of the pilot left out where it is not counted.
    pub faults: u64,
}

/// What faults of one site did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SiteRecord {
    /// `kind:name`.
    pub site: String,
    /// Axes of one sample; of a weight all of its axes.
    pub shape: Vec<usize>,
    /// Where a fault can strike: elements, or regions.
    pub places: u64,
    pub rates: Vec<RateRecord>,
    pub bits: Vec<BitRecord>,
    /// Of faults beyond the tolerance, the shapes of the errors in the part's output; of weights
    /// none.
    pub patterns: PatternCounts,
    /// By head and by token, where the site has such.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positions: Vec<PositionRecord>,
}

/// What faults of one bit did; of k bits side by side the lowest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BitRecord {
    pub bit: u16,
    pub rates: Vec<RateRecord>,
}

/// What faults did to the samples of one tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierRecord {
    pub tier: usize,
    /// Confidence up to this, if the bundle says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_bound: Option<f64>,
    pub samples: u64,
    pub right: u64,
    pub rates: Vec<RateRecord>,
}

/// What faults at one head or token did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PositionRecord {
    pub axis: Axis,
    /// From 0.
    pub position: usize,
    /// Faults there.
    pub faults: u64,
    /// Beyond the tolerance, and critical; weighted like all rates.
    pub rates: Vec<RateRecord>,
}

/// Faults whose change of p(class) − p(best other class) is in a range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeadChanges {
    /// Up to this; absent of the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper_bound: Option<f64>,
    pub faults: u64,
}

/// A fault that changed a class, and what is known of its sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExampleRecord {
    #[serde(flatten)]
    pub example: Example,
    /// The sample's position in the split of CIFAR-10.
    pub sample_index: i64,
    /// The class without the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_before: Option<i64>,
    /// The true class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<i64>,
}

impl CampaignReport {
    /// The rate of the whole population.
    pub fn total(&self, event: Event, among: Among) -> Option<&RateRecord> {
        rate(&self.total, event, among)
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is JSON") + "\n"
    }
}

/// One of several rates.
pub fn rate(rates: &[RateRecord], event: Event, among: Among) -> Option<&RateRecord> {
    rates
        .iter()
        .find(|own| own.event == event && own.among == among)
}
