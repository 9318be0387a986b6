//! How a model is to be run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::device::{self, Device};

/// How far the runtime may rewrite the graph before it runs it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Optimization {
    /// Not at all.
    None,
    /// Folding and removal of what changes nothing.
    Basic,
    /// And fusions of operators.
    Extended,
    /// And changes of layout.
    #[default]
    All,
}

/// How a model is to be run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    pub device: Device,
    /// Which one of several such devices.
    pub device_id: Option<u32>,
    /// Settings of the provider, handed on as they are; they come last.
    pub device_options: Vec<(String, String)>,
    /// Whether TF32 and other reduced precision are left to the provider.
    pub allow_reduced_precision: bool,
    /// Threads for one operation on the CPU; `None` leaves it to the runtime.
    pub threads: Option<usize>,
    pub optimization: Optimization,
}

impl Optimization {
    /// The name that the flag takes and reports give.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Extended => "extended",
            Self::All => "all",
        }
    }
}

impl Options {
    /// What is known about the arithmetic: the settings that keep it in float32, and that the
    /// user's may undo them.
    pub fn precision(&self) -> String {
        let own = self.device.precision(self.allow_reduced_precision);
        if self.device_options.is_empty() {
            return own.to_owned();
        }
        let options = device::key_values(&self.device_options).join(", ");
        format!("{own}; unless changed by the device options {options}")
    }
}
