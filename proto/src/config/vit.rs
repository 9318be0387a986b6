//! Every number that changes the network's results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the tokens become one vector for the classification head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The class token alone.
    Cls,
    /// The mean over all tokens, the class token among them.
    Mean,
}

/// A vision transformer as plain data. Nothing about the network is inferred from anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Side of the square input image, in pixels.
    pub image_size: usize,
    /// Side of a square patch, in pixels.
    pub patch_size: usize,
    /// Colour channels of the image.
    pub channels: usize,
    /// Classes, the width of the logits.
    pub classes: usize,
    /// Width of a token, `D`.
    pub dim: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Attention heads, `H`.
    pub heads: usize,
    /// Width of one head, `h`.
    pub dim_head: usize,
    /// Hidden width of the feed-forward network.
    pub mlp_dim: usize,
    /// How tokens are pooled for the head.
    pub pool: Pool,
    /// Dropout probability after each Linear of `to_out` and `net`.
    pub dropout: f64,
    /// Dropout probability after the position embedding is added.
    pub embedding_dropout: f64,
    /// The epsilon of every LayerNorm.
    pub layer_norm_eps: f64,
}

/// Why a configuration cannot be a network.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ConfigError {
    /// A size is zero or absurdly large.
    #[error("model config: {field} is {found}, expected 1 to {most}")]
    Size {
        field: &'static str,
        found: usize,
        most: usize,
    },
    /// The image cannot be cut into whole patches.
    #[error("model config: image_size {image_size} is not a multiple of patch_size {patch_size}")]
    Patches {
        image_size: usize,
        patch_size: usize,
    },
    /// A probability or epsilon is out of its range.
    #[error(
        "model config: {field} is {found}, expected a number from 0 up to, but not including, 1"
    )]
    Fraction { field: &'static str, found: f64 },
    /// No preset has this name.
    #[error("unknown preset `{0}`: expected tiny, small, base, nano or micro")]
    UnknownPreset(String),
}

impl VitConfig {
    /// Refuses numbers that cannot be a network; sizes that pass cannot overflow any later product.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("image_size", self.image_size, 1024),
            ("patch_size", self.patch_size, 1024),
            ("channels", self.channels, 64),
            ("classes", self.classes, 1 << 20),
            ("dim", self.dim, 1 << 16),
            ("layers", self.layers, 256),
            ("heads", self.heads, 1024),
            ("dim_head", self.dim_head, 1 << 16),
            ("mlp_dim", self.mlp_dim, 1 << 18),
        ];
        for (field, found, most) in sizes {
            if found == 0 || found > most {
                return Err(ConfigError::Size { field, found, most });
            }
        }
        if !self.image_size.is_multiple_of(self.patch_size) {
            return Err(ConfigError::Patches {
                image_size: self.image_size,
                patch_size: self.patch_size,
            });
        }
        let fractions = [
            ("dropout", self.dropout),
            ("embedding_dropout", self.embedding_dropout),
            ("layer_norm_eps", self.layer_norm_eps),
        ];
        for (field, found) in fractions {
            if !(0.0..1.0).contains(&found) {
                return Err(ConfigError::Fraction { field, found });
            }
        }
        Ok(())
    }

    /// The first number, by the order of names, that another network has otherwise; dropout apart,
    /// which changes training alone.
    pub fn first_difference(&self, other: &Self) -> Option<String> {
        let numbers = |config: &Self| match serde_json::to_value(config) {
            Ok(serde_json::Value::Object(numbers)) => numbers,
            _ => unreachable!("a config is an object of numbers"),
        };
        let other = numbers(other);
        let mut own = numbers(self).into_iter();
        let (name, found) =
            own.find(|(name, found)| !name.ends_with("dropout") && other[name.as_str()] != *found)?;
        Some(format!(
            "{name} is {found}, expected {}",
            other[name.as_str()]
        ))
    }

    /// Patches along one side of the image.
    pub fn patches_per_side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of an image, `N`.
    pub fn patches(&self) -> usize {
        self.patches_per_side() * self.patches_per_side()
    }

    /// Tokens of an image: its patches and the class token, `N + 1`.
    pub fn tokens(&self) -> usize {
        self.patches() + 1
    }

    /// Numbers in a flattened patch, `P`.
    pub fn patch_dim(&self) -> usize {
        self.patch_size * self.patch_size * self.channels
    }

    /// Width of all heads side by side, `H·h`.
    pub fn inner_dim(&self) -> usize {
        self.heads * self.dim_head
    }

    /// Whether attention ends with `to_out`: it does not with one head as wide as a token.
    pub fn has_to_out(&self) -> bool {
        !(self.heads == 1 && self.dim_head == self.dim)
    }
}
