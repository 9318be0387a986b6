//! Names for some configurations.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::vit::{ConfigError, Pool, VitConfig};

/// A named configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// ViT-Ti at 224 pixels, as in the Python repository.
    Tiny,
    /// ViT-S at 224 pixels, as in the Python repository.
    Small,
    /// ViT-B at 224 pixels, as in the Python repository.
    Base,
    /// A CIFAR-native ViT at 32 pixels that trains on a laptop's CPU in minutes.
    Nano,
    /// A larger one, for accuracy in a quarter of an hour.
    Micro,
}

impl Preset {
    /// All presets, in the order they are listed to users.
    pub const ALL: [Self; 5] = [Self::Tiny, Self::Small, Self::Base, Self::Nano, Self::Micro];

    /// The preset's numbers. Tiny, small and base are those of the DeiT and ViT papers
    /// (arXiv:2012.12877 table 1, arXiv:2010.11929 table 1) with ten classes.
    pub fn config(self) -> VitConfig {
        match self {
            Self::Tiny => at_224(192, 3, 768),
            Self::Small => at_224(384, 6, 1536),
            Self::Base => at_224(768, 12, 3072),
            Self::Nano => at_32(96, 3, 192, 4),
            Self::Micro => at_32(128, 4, 256, 6),
        }
    }

    /// The preset with exactly these numbers.
    pub fn of(config: &VitConfig) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.config() == *config)
    }

    /// The name used on the command line, in files and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Base => "base",
            Self::Nano => "nano",
            Self::Micro => "micro",
        }
    }
}

/// A ViT for images of 224 pixels, as in the Python repository.
fn at_224(dim: usize, heads: usize, mlp_dim: usize) -> VitConfig {
    VitConfig {
        image_size: 224,
        patch_size: 16,
        channels: 3,
        classes: 10,
        dim,
        layers: 12,
        heads,
        dim_head: 64,
        mlp_dim,
        pool: Pool::Cls,
        dropout: 0.1,
        embedding_dropout: 0.1,
        layer_norm_eps: 1e-5,
    }
}

/// A ViT for CIFAR-10's own 32 pixels.
fn at_32(dim: usize, heads: usize, mlp_dim: usize, layers: usize) -> VitConfig {
    VitConfig {
        image_size: 32,
        patch_size: 4,
        layers,
        dim_head: 32,
        pool: Pool::Mean,
        dropout: 0.0,
        embedding_dropout: 0.0,
        ..at_224(dim, heads, mlp_dim)
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| ConfigError::UnknownPreset(name.to_owned()))
    }
}
