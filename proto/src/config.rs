//! The network's numbers: everything that changes its results, the presets, and the parameters they
//! imply.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the tokens become one vector for the classification head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The class token alone.
    Cls,
    /// The mean over all tokens, the class token among them.
    Mean,
}

/// A vision transformer as plain data. Nothing about the network is inferred from anything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// What a parameter is, which decides how it is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// `pos_embedding` or `cls_token`.
    Embedding,
    /// Weight or bias of a Linear with this many inputs.
    Linear {
        /// Inputs of the layer.
        fan_in: usize,
    },
    /// Weight of a LayerNorm.
    NormWeight,
    /// Bias of a LayerNorm.
    NormBias,
}

/// One entry of the network's state dict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// PyTorch's name, such as `transformer.layers.0.0.fn.to_qkv.weight`.
    pub name: String,
    /// PyTorch's shape; a Linear's weight is `[out, in]`.
    pub shape: Vec<usize>,
    /// What it is.
    pub kind: ParameterKind,
}

/// Why a configuration cannot be a network.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ConfigError {
    /// A size is zero or absurdly large.
    #[error("model config: {field} is {found}, expected 1 to {most}")]
    Size {
        /// The field.
        field: &'static str,
        /// Its value.
        found: usize,
        /// The largest value accepted.
        most: usize,
    },
    /// The image cannot be cut into whole patches.
    #[error("model config: image_size {image_size} is not a multiple of patch_size {patch_size}")]
    Patches {
        /// Image side.
        image_size: usize,
        /// Patch side.
        patch_size: usize,
    },
    /// A probability or epsilon is out of its range.
    #[error(
        "model config: {field} is {found}, expected a number from 0 up to, but not including, 1"
    )]
    Fraction {
        /// The field.
        field: &'static str,
        /// Its value.
        found: f64,
    },
    /// No preset has this name.
    #[error("unknown preset `{0}`: expected tiny, small, base, nano or micro")]
    UnknownPreset(String),
}

impl Preset {
    /// All presets, in the order they are listed to users.
    pub const ALL: [Self; 5] = [Self::Tiny, Self::Small, Self::Base, Self::Nano, Self::Micro];

    /// The preset's numbers. Tiny, small and base are those of the DeiT and ViT papers
    /// (arXiv:2012.12877 table 1, arXiv:2010.11929 table 1) with ten classes.
    pub fn config(self) -> VitConfig {
        let at_224 = |dim, heads, mlp_dim| VitConfig {
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
        };
        let at_32 = |dim, heads, mlp_dim, layers| VitConfig {
            image_size: 32,
            patch_size: 4,
            layers,
            dim_head: 32,
            pool: Pool::Mean,
            dropout: 0.0,
            embedding_dropout: 0.0,
            ..at_224(dim, heads, mlp_dim)
        };
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

    /// Every parameter in the order of the Python model's `state_dict()`.
    pub fn parameters(&self) -> Vec<Parameter> {
        let (dim, inner, mlp) = (self.dim, self.inner_dim(), self.mlp_dim);
        let mut list = Vec::new();
        let mut add = |name: String, shape: &[usize], kind| {
            list.push(Parameter {
                name,
                shape: shape.to_vec(),
                kind,
            })
        };
        let linear = |fan_in| ParameterKind::Linear { fan_in };
        let embedding = ParameterKind::Embedding;

        add("pos_embedding".into(), &[1, self.tokens(), dim], embedding);
        add("cls_token".into(), &[1, 1, dim], embedding);
        add(
            "to_patch_embedding.1.weight".into(),
            &[dim, self.patch_dim()],
            linear(self.patch_dim()),
        );
        add(
            "to_patch_embedding.1.bias".into(),
            &[dim],
            linear(self.patch_dim()),
        );
        for layer in 0..self.layers {
            let at = |rest: &str| format!("transformer.layers.{layer}.{rest}");
            add(at("0.norm.weight"), &[dim], ParameterKind::NormWeight);
            add(at("0.norm.bias"), &[dim], ParameterKind::NormBias);
            add(at("0.fn.to_qkv.weight"), &[3 * inner, dim], linear(dim));
            if self.has_to_out() {
                add(at("0.fn.to_out.0.weight"), &[dim, inner], linear(inner));
                add(at("0.fn.to_out.0.bias"), &[dim], linear(inner));
            }
            add(at("1.norm.weight"), &[dim], ParameterKind::NormWeight);
            add(at("1.norm.bias"), &[dim], ParameterKind::NormBias);
            add(at("1.fn.net.0.weight"), &[mlp, dim], linear(dim));
            add(at("1.fn.net.0.bias"), &[mlp], linear(dim));
            add(at("1.fn.net.3.weight"), &[dim, mlp], linear(mlp));
            add(at("1.fn.net.3.bias"), &[dim], linear(mlp));
        }
        add(
            "mlp_head.0.weight".into(),
            &[dim],
            ParameterKind::NormWeight,
        );
        add("mlp_head.0.bias".into(), &[dim], ParameterKind::NormBias);
        add(
            "mlp_head.1.weight".into(),
            &[self.classes, dim],
            linear(dim),
        );
        add("mlp_head.1.bias".into(), &[self.classes], linear(dim));
        list
    }

    /// How many numbers the network learns.
    pub fn parameter_count(&self) -> usize {
        self.parameters()
            .iter()
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_the_documented_parameter_counts() {
        let counts = Preset::ALL.map(|preset| preset.config().parameter_count());
        assert_eq!(
            counts,
            [5_519_434, 21_655_690, 85_778_698, 310_186, 808_842]
        );
    }

    #[test]
    fn every_preset_is_valid_and_found_by_its_numbers_and_its_name() {
        for preset in Preset::ALL {
            assert_eq!(preset.config().validate(), Ok(()));
            assert_eq!(Preset::of(&preset.config()), Some(preset));
            assert_eq!(preset.name().parse(), Ok(preset));
        }
    }

    #[test]
    fn one_head_as_wide_as_a_token_has_no_to_out() {
        let config = VitConfig {
            heads: 1,
            dim_head: 96,
            ..Preset::Nano.config()
        };
        assert!(
            config
                .parameters()
                .iter()
                .all(|parameter| !parameter.name.contains("to_out"))
        );
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let good = Preset::Nano.config();
        let broken = [
            VitConfig {
                dim: 0,
                ..good.clone()
            },
            VitConfig {
                layers: usize::MAX,
                ..good.clone()
            },
            VitConfig {
                patch_size: 5,
                ..good.clone()
            },
            VitConfig {
                dropout: f64::NAN,
                ..good.clone()
            },
            VitConfig {
                dropout: 1.0,
                ..good
            },
        ];
        for config in broken {
            assert!(config.validate().is_err(), "{config:?}");
        }
    }
}
