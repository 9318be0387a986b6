//! Several engines, devices and settings against each other: a child process each, so that a crash
//! or a hang is a result and not the end.

mod clusters;
mod tally;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use clusters::clusters;
pub use tally::Tally;

use crate::compare::pair::pairs_of;
use crate::compare::{Difference, Top1, differences_of_outputs};
use crate::engine::Device;
use crate::engine::command::{Ends, EngineSays, Expected};
use crate::engine::onnxruntime::Optimization;
use crate::engine::placement::Placement;
use crate::engine::recorded::OutputsRecord;
use crate::samples::{Recording, SamplesError};

/// One engine in one setting, and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// Its number in the table, from 1.
    pub number: usize,
    #[serde(flatten)]
    pub engine: Computer,
    /// Samples in one run, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Threads, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Seconds of the whole process.
    pub seconds: f64,
}

/// What computed the outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "engine", rename_all = "lowercase")]
pub enum Computer {
    /// ONNX Runtime on a device.
    OnnxRuntime {
        /// The library.
        #[serde(serialize_with = "proto::regular_file::path_as_text")]
        runtime: PathBuf,
        device: Device,
        /// Graph optimisation level.
        optimization: Optimization,
        /// The library's version, if it was loaded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// SHA-256 of the library, if it was loaded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// Another engine's process.
    Command {
        name: String,
        /// What it said of itself.
        says: EngineSays,
        /// How it may end; a control should not pass.
        expected: Ends,
    },
    /// Nothing here: they came in files.
    Outputs {
        name: String,
        #[serde(serialize_with = "proto::regular_file::path_as_text")]
        path: PathBuf,
        /// What was found in them, if they could be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<OutputsRecord>,
    },
}

/// What a configuration came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It ran to its end.
    Ran(Box<Ran>),
    /// It says that it cannot run here.
    Cannot {
        /// Why.
        reason: String,
    },
    /// It did not come to an end.
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
    /// Nodes on each execution provider of ONNX Runtime.
    #[serde(default, skip_serializing_if = "Placement::is_empty")]
    pub nodes: Placement,
    /// Samples with an element outside.
    pub faulty_samples: usize,
    /// Elements outside, those that are not finite included.
    pub outside_elements: usize,
    /// Against the golden.
    pub golden: Difference,
    /// How many classes are right, of its logits, or of those that `tail` gives for its outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top1: Option<Top1>,
    /// Seconds in the engine, if they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_seconds: Option<f64>,
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

impl Configuration {
    /// What was found in files of outputs.
    pub fn found(&self) -> Option<&OutputsRecord> {
        match &self.engine {
            Computer::Outputs { found, .. } => found.as_ref(),
            Computer::OnnxRuntime { .. } | Computer::Command { .. } => None,
        }
    }

    /// Whether its numbers came as decimal text, which has no bits.
    pub fn is_decimal(&self) -> bool {
        self.found().is_some_and(|found| found.decimal_text)
    }

    /// Whether it ended as it may.
    pub fn is_as_expected(&self) -> bool {
        let end = match &self.outcome {
            Outcome::Ran(ran) if ran.within_tolerance => Expected::Pass,
            Outcome::Ran(_) => Expected::Fail,
            Outcome::Cannot { .. } => Expected::Cannot,
            Outcome::Failed { .. } => return false,
        };
        match &self.engine {
            Computer::Command { expected, .. } => expected.include(end),
            Computer::OnnxRuntime { .. } | Computer::Outputs { .. } => end == Expected::Pass,
        }
    }
}

/// Compares the outputs of every two configurations, bits only where both have them; `None` stands
/// for one that did not run.
pub fn pairs(
    configurations: &[Configuration],
    outputs: &[Option<Vec<Recording>>],
) -> Result<Vec<Pair>, SamplesError> {
    let ran = outputs.iter().enumerate();
    let ran = ran.filter_map(|(index, outputs)| Some((index + 1, outputs.as_deref()?)));
    let (numbers, sets): (Vec<usize>, Vec<&[Recording]>) = ran.unzip();
    let found = differences_of_outputs(&sets)?;
    let pairs = pairs_of(numbers.len()).into_iter().zip(found);
    let pairs = pairs.map(|((a, b), difference)| Pair {
        configurations: [numbers[a], numbers[b]],
        difference,
    });
    let mut pairs: Vec<Pair> = pairs.collect();
    for pair in &mut pairs {
        let both = pair
            .configurations
            .map(|number| &configurations[number - 1]);
        if both.into_iter().any(Configuration::is_decimal) {
            pair.difference.without_bits();
        }
    }
    Ok(pairs)
}
