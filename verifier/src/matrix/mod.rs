//! Several configurations of runtime, device and graph optimisation against each other: a child
//! process each, so that a crash or a hang is a result and not the end.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::{Difference, difference_of_outputs};
use crate::engine::Device;
use crate::engine::onnxruntime::Optimization;
use crate::engine::placement::Placement;
use crate::samples::{Recording, SamplesError};

/// One runtime on one device, and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// Its number in the table, from 1.
    pub number: usize,
    /// The runtime library.
    #[serde(serialize_with = "proto::regular_file::path_as_text")]
    pub runtime: PathBuf,
    pub device: Device,
    /// Graph optimisation level.
    pub optimization: Optimization,
    /// The library's version, if it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SHA-256 of the library, if it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Seconds of the whole process.
    pub seconds: f64,
}

/// What a configuration came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It ran to its end.
    Ran(Box<Ran>),
    /// It did not.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A configuration against the golden.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ran {
    /// Whether every element is within the tolerance.
    pub within_tolerance: bool,
    /// Nodes on each execution provider.
    pub nodes: Placement,
    /// Samples with an element outside.
    pub faulty_samples: usize,
    /// Elements outside, those that are not finite included.
    pub outside_elements: usize,
    /// Against the golden.
    pub golden: Difference,
    /// Seconds in the engine.
    pub running_seconds: f64,
}

/// Two configurations that ran, against each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// Their numbers.
    pub configurations: [usize; 2],
    /// How far they are apart.
    #[serde(flatten)]
    pub difference: Difference,
}

/// Compares the outputs of every two configurations; `None` stands for one that did not run.
pub fn pairs(outputs: &[Option<Vec<Recording>>]) -> Result<Vec<Pair>, SamplesError> {
    let mut pairs = Vec::new();
    for (a, of_a) in outputs.iter().enumerate() {
        for (b, of_b) in outputs.iter().enumerate().skip(a + 1) {
            let (Some(of_a), Some(of_b)) = (of_a, of_b) else {
                continue;
            };
            pairs.push(Pair {
                configurations: [a + 1, b + 1],
                difference: difference_of_outputs(of_a, of_b)?,
            });
        }
    }
    Ok(pairs)
}
