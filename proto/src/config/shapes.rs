//! The network that tensors are the weights of, by their names and shapes.

use std::collections::BTreeMap;

use super::preset::Preset;
use super::vit::{ConfigError, Pool, VitConfig};
use crate::preprocessing::CHANNELS;

/// Shapes by the name of a tensor, without a prefix before PyTorch's names.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Width of a head in vit-pytorch unless it is told otherwise.
const DIM_HEAD: usize = 64;
const BLOCKS: &str = "transformer.layers";

/// Names that other networks have, and which networks those are. A name counts wherever a tensor's
/// name ends with it, a layer's number apart.
const OTHERS: [(&str, &str); 11] = [
    ("linear_head.weight", SIMPLE),
    ("linear_head.1.weight", SIMPLE),
    ("to_patch_embedding.2.weight", NEWER),
    ("to_patch_embedding.3.weight", NEWER),
    ("transformer.norm.weight", NEWER),
    ("layers.0.0.to_qkv.weight", NEWER),
    ("layers.0.1.net.1.weight", NEWER),
    ("blocks.0.attn.qkv.weight", "a ViT of timm"),
    ("conv_proj.weight", "a ViT of torchvision"),
    (
        "layer.0.attention.attention.query.weight",
        "a ViT of Hugging Face transformers",
    ),
    ("distill_token", "a distilled ViT"),
];
const SIMPLE: &str = "SimpleViT of vit-pytorch";
const NEWER: &str = "a newer layout of vit-pytorch, with norms in the patch embedding and \
                     `transformer.norm`";

/// What no shape tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    pub heads: Option<usize>,
    pub pool: Option<Pool>,
}

/// Why shapes are not those of a network.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ShapesError {
    /// The names are those of another network.
    #[error("weights of another network: {network}, as its tensor `{name}` shows")]
    OtherNetwork { network: &'static str, name: String },
    #[error("tensor `{name}` is missing, expected with shape {expected}")]
    Missing {
        name: String,
        expected: &'static str,
    },
    #[error("tensor `{name}`: expected shape {expected}, found {found:?}")]
    Shape {
        name: String,
        expected: &'static str,
        found: Vec<usize>,
    },
    /// A matrix does not fit the vector that stands beside its rows or columns.
    #[error(
        "tensor `{name}` of shape {found:?} does not fit `{beside}` of {length}{}",
        transposed(*.is_transposed)
    )]
    Unlike {
        name: String,
        found: Vec<usize>,
        beside: String,
        /// Elements of the vector.
        length: usize,
        is_transposed: bool,
    },
    /// The heads cannot be of the usual width.
    #[error(
        "how many heads there are is not in the shapes: `to_qkv` has 3·{inner} outputs, which are \
         no heads of 64{}", or_preset(*.preset)
    )]
    Heads {
        /// Width of all heads side by side.
        inner: usize,
        /// A preset with these shapes.
        preset: Option<Preset>,
    },
    /// The heads given do not divide the width.
    #[error("{heads} heads: `to_qkv` has 3·{inner} outputs, which are not so many heads")]
    WrongHeads { heads: usize, inner: usize },
    /// Shapes of a preset whose heads are of another width.
    #[error(
        "how many heads there are is not in the shapes: {} of 64, or {} of {} as preset {preset} \
         has them",
        .inner / DIM_HEAD, .preset.config().heads, .preset.config().dim_head
    )]
    Ambiguous {
        /// Width of all heads side by side.
        inner: usize,
        preset: Preset,
    },
    #[error(transparent)]
    Config(#[from] ConfigError),
}

fn transposed(is_transposed: bool) -> &'static str {
    match is_transposed {
        true => ": it lies transposed",
        false => "",
    }
}

fn or_preset(preset: Option<Preset>) -> String {
    preset.map_or(String::new(), |preset| {
        let VitConfig {
            heads, dim_head, ..
        } = preset.config();
        format!("; preset {preset} has these shapes, with {heads} heads of {dim_head}")
    })
}

impl VitConfig {
    /// The network whose parameters have these names and shapes.
    ///
    /// Heads are of 64, and tokens are pooled by the class token, unless told otherwise: that is
    /// what vit-pytorch does. No shape tells dropout and the epsilon of the norms either; they are
    /// the Python repository's.
    pub fn of_shapes(shapes: &Shapes, told: Told) -> Result<Self, ShapesError> {
        refuse_other_networks(shapes.keys().map(String::as_str))?;
        let found = Found(shapes);
        let [classes, dim] = found.matrix("mlp_head.1.weight", "[classes, dim]")?;
        let (patch_size, channels) = found.patch()?;
        let heads = format!("{BLOCKS}.0.0.fn.to_qkv.weight");
        let [outputs, columns] = found.matrix(&heads, "[3·heads·dim_head, dim]")?;
        let norm = format!("{BLOCKS}.0.0.norm.weight");
        found.expect_beside(&heads, [columns, outputs], norm)?;
        let [mlp_dim, _] = found.matrix(&format!("{BLOCKS}.0.1.fn.net.0.weight"), "[mlp, dim]")?;
        let unheaded = Self {
            image_size: patch_size * found.patches_per_side()?,
            patch_size,
            channels,
            classes,
            dim,
            layers: found.layers(),
            heads: 1,
            dim_head: outputs / 3,
            mlp_dim,
            pool: told.pool.unwrap_or(Pool::Cls),
            ..Preset::Tiny.config()
        };
        let config = found.with_heads(unheaded, told)?;
        config.validate()?;
        Ok(Preset::ALL
            .map(Preset::config)
            .into_iter()
            .find(|preset| preset.is_same_but_for_dropout(&config))
            .unwrap_or(config))
    }

    /// Whether two networks compute the same from the same weights.
    pub fn is_same_but_for_dropout(&self, other: &Self) -> bool {
        let other = Self {
            dropout: self.dropout,
            embedding_dropout: self.embedding_dropout,
            ..other.clone()
        };
        *self == other
    }
}

/// Refuses the names of networks that have another forward pass.
pub fn refuse_other_networks<'n>(
    names: impl Iterator<Item = &'n str> + Clone,
) -> Result<(), ShapesError> {
    for (ending, network) in OTHERS {
        let is_one = |name: &&str| {
            let start = name.strip_suffix(ending);
            start.is_some_and(|start| start.is_empty() || start.ends_with('.'))
        };
        if let Some(name) = names.clone().find(is_one) {
            let name = name.to_owned();
            return Err(ShapesError::OtherNetwork { network, name });
        }
    }
    Ok(())
}

/// Shapes, each looked up by a parameter's name.
struct Found<'a>(&'a Shapes);

impl Found<'_> {
    fn matrix(&self, name: &str, expected: &'static str) -> Result<[usize; 2], ShapesError> {
        let name = name.to_owned();
        let Some(found) = self.0.get(&name) else {
            return Err(ShapesError::Missing { name, expected });
        };
        let &[rows, columns] = found.as_slice() else {
            return Err(ShapesError::Shape {
                name,
                expected,
                found: found.clone(),
            });
        };
        if let Some(layer) = name.strip_suffix(".weight") {
            self.expect_beside(&name, [rows, columns], format!("{layer}.bias"))?;
        }
        Ok([rows, columns])
    }

    /// Refuses a matrix of which one axis is not as long as the vector beside it, if there is one.
    fn expect_beside(
        &self,
        name: &str,
        [axis, other]: [usize; 2],
        beside: String,
    ) -> Result<(), ShapesError> {
        match self.0.get(&beside).map(Vec::as_slice) {
            Some(&[length]) if length != axis => Err(ShapesError::Unlike {
                name: name.to_owned(),
                found: self.0[name].clone(),
                beside,
                length,
                is_transposed: length == other,
            }),
            _ => Ok(()),
        }
    }

    /// Of the position embedding `[1, N+1, dim]`, `N` a square.
    fn patches_per_side(&self) -> Result<usize, ShapesError> {
        let (name, expected) = (
            "pos_embedding".to_owned(),
            "[1, 1 + a square number of patches, dim]",
        );
        let Some(found) = self.0.get(&name) else {
            return Err(ShapesError::Missing { name, expected });
        };
        let side = match found.as_slice() {
            [1, tokens, _] => tokens.checked_sub(1).and_then(square_root),
            _ => None,
        };
        side.ok_or_else(|| ShapesError::Shape {
            name,
            expected,
            found: found.clone(),
        })
    }

    /// Side of a patch, and channels: 3 if the patches can have them, else 1.
    fn patch(&self) -> Result<(usize, usize), ShapesError> {
        let (name, expected) = ("to_patch_embedding.1.weight", "[dim, patch²·channels]");
        let [dim, numbers] = self.matrix(name, expected)?;
        let of = |channels: usize| {
            let is_whole = numbers.is_multiple_of(channels);
            let side = is_whole.then(|| square_root(numbers / channels)).flatten();
            side.map(|side| (side, channels))
        };
        of(CHANNELS).or_else(|| of(1)).ok_or(ShapesError::Shape {
            name: name.to_owned(),
            expected,
            found: vec![dim, numbers],
        })
    }

    /// How many blocks there are, one after the other.
    fn layers(&self) -> usize {
        let has_block = |layer: &usize| {
            let name = format!("{BLOCKS}.{layer}.0.fn.to_qkv.weight");
            self.0.contains_key(&name)
        };
        (0..self.0.len()).take_while(has_block).count()
    }

    /// The network, as one head of all the width so far, with its heads.
    fn with_heads(&self, config: VitConfig, told: Told) -> Result<VitConfig, ShapesError> {
        let inner = config.dim_head;
        let has_to_out = self
            .0
            .contains_key(&format!("{BLOCKS}.0.0.fn.to_out.0.weight"));
        let fits = |heads: usize| {
            let divides = heads > 0 && inner.is_multiple_of(heads);
            divides && has_to_out != (heads == 1 && inner == config.dim)
        };
        let with = |heads: usize| VitConfig {
            heads,
            dim_head: inner / heads,
            ..config.clone()
        };
        if let Some(heads) = told.heads {
            let wrong = ShapesError::WrongHeads { heads, inner };
            return fits(heads).then(|| with(heads)).ok_or(wrong);
        }
        if fits(1) && !has_to_out {
            return Ok(with(1)); // the one case that shapes decide
        }
        let preset = preset_of_shapes(&config, inner);
        let usual = inner / DIM_HEAD;
        let is_usual = inner.is_multiple_of(DIM_HEAD) && fits(usual);
        match preset {
            preset if !is_usual => Err(ShapesError::Heads { inner, preset }),
            Some(preset) if preset.config().heads != usual => {
                Err(ShapesError::Ambiguous { inner, preset })
            }
            _ => Ok(with(usual)),
        }
    }
}

/// The preset with the same shapes, whatever its heads and its pooling.
fn preset_of_shapes(config: &VitConfig, inner: usize) -> Option<Preset> {
    Preset::ALL.into_iter().find(|preset| {
        let preset = preset.config();
        let with_its_heads = VitConfig {
            heads: preset.heads,
            dim_head: preset.dim_head,
            pool: preset.pool,
            ..config.clone()
        };
        preset.inner_dim() == inner && preset.is_same_but_for_dropout(&with_its_heads)
    })
}

/// The root of a square number, which is not 0.
fn square_root(number: usize) -> Option<usize> {
    let root = number.isqrt();
    (root > 0 && root * root == number).then_some(root)
}

#[cfg(test)]
mod tests;
