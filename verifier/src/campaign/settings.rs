//! The settings of a campaign: everything that decides which faults are run and what comes of them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::FaultModel;
use crate::compare::Tolerance;
use crate::engine::Device;
use crate::engine::onnxruntime::Optimization;

/// `major.minor` of the files of a campaign; another major one is refused.
pub const CAMPAIGN_VERSION: &str = "1.0";

/// Everything that decides which faults are run and what comes of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// `major.minor` of the files.
    pub campaign_version: String,
    /// The version of the verifier.
    pub verifier: String,
    /// BLAKE3 of the bundle.
    pub bundle: String,
    /// The part that faults are put into.
    pub part: String,
    /// First sample and the one after the last.
    pub samples: [usize; 2],
    /// The sites, each as `kind:name`.
    pub sites: Vec<String>,
    pub model: FaultModel,
    #[serde(flatten)]
    pub tolerance: Tolerance,
    pub sampling: Asked,
    /// The rates that a margin is asked for; none without one.
    pub margin_of: Vec<RatesOf>,
    /// Of every interval, such as 0.95.
    pub confidence: f64,
    pub seed: u64,
    /// Whether the classes of faulty outputs are known: the part gives logits, or `tail` does.
    pub classes_known: bool,
    /// Samples that each fault of a weight is run on.
    pub samples_per_weight_fault: usize,
    /// Faults in a batch, the unit of work.
    pub batch_faults: u64,
    /// Samples in one run of the engine.
    pub run_samples: usize,
    pub engine: EngineSettings,
}

/// What runs the part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineSettings {
    /// ONNX Runtime's version.
    pub version: String,
    /// SHA-256 of its library.
    pub sha256: String,
    pub device: Device,
    /// What computes inputs from pixels, and classes from outputs.
    pub other_parts_on: Device,
    pub optimization: Optimization,
    /// Whether TF32 and other reduced precision were left to the provider.
    pub allow_reduced_precision: bool,
}

/// How many faults are run, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// So many of the whole population.
    Faults(u64),
    /// So many of each stratum, or all that it has.
    PerStratum(u64),
    /// As many as it takes until the rate of critical SDC, without a tail that of any element
    /// beyond the tolerance, has an interval of this half-width.
    Margin(f64),
}

/// Rates that a margin can be asked for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum RatesOf {
    /// That of the whole population.
    Total,
    /// One of each site.
    Sites,
    /// One of each bit.
    Bits,
    /// One of each tier.
    Tiers,
}

impl RatesOf {
    const ALL: [(Self, &str); 4] = [
        (Self::Total, "total"),
        (Self::Sites, "sites"),
        (Self::Bits, "bits"),
        (Self::Tiers, "tiers"),
    ];
}

impl fmt::Display for RatesOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Self::ALL.iter().find(|(of, _)| of == self);
        f.write_str(own.map_or("", |(_, name)| name))
    }
}

impl FromStr for RatesOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let own = Self::ALL.iter().find(|(_, name)| *name == text);
        let own = own.ok_or("expected total, sites, bits or tiers");
        Ok(own?.0)
    }
}
