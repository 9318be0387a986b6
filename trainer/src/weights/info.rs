//! What a weights file says about itself.

use proto::config::{Preset, VitConfig};
use serde::{Deserialize, Serialize};

use crate::recipe::Recipe;
use crate::train::EpochRow;

/// The key of the header's metadata.
pub const METADATA_KEY: &str = "vit_part";

/// What a weights file says about itself. No times and no paths: the same run gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightsInfo {
    pub config: VitConfig,
    /// How the weights came about, if that is known.
    pub training: Option<Training>,
}

/// How weights came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The recipe, after all flags.
    pub recipe: Recipe,
    /// The number that every random choice derives from.
    pub seed: u64,
    /// Training images used.
    pub train_samples: usize,
    /// The epoch whose weights these are, from 1; 0 is the initialisation.
    pub kept_epoch: usize,
    /// One row an epoch.
    pub history: Vec<EpochRow>,
    pub libtorch: String,
    /// Device trained on.
    pub device: String,
    /// Threads of one operation.
    pub threads: usize,
}

impl WeightsInfo {
    /// The name of the preset with these numbers, or `custom`.
    pub fn preset_name(&self) -> &'static str {
        Preset::of(&self.config).map_or("custom", Preset::name)
    }

    /// The epoch these weights are of, for people.
    pub fn epoch(&self) -> String {
        match &self.training {
            Some(Training { kept_epoch: 0, .. }) => "freshly initialised".to_owned(),
            Some(training) => format!("epoch {}", training.kept_epoch),
            None => "origin unknown".to_owned(),
        }
    }
}
