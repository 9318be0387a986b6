//! The whole network: patches, blocks, head.

use std::collections::HashMap;

use proto::config::{ParameterKind, Pool, VitConfig};
use tch::{Kind, Tensor, nn};

use super::block::{Block, Observer};
use super::layers::{LayerNorm, Linear, Mode, Place};

/// A vision transformer with its parameters.
#[derive(Debug)]
pub struct Vit {
    config: VitConfig,
    store: nn::VarStore,
    pos_embedding: Tensor, // [1, tokens, dim]
    cls_token: Tensor,     // [1, 1, dim]
    to_patch_embedding: Linear,
    pub(super) layers: Vec<Block>,
    head_norm: LayerNorm,
    head: Linear,
}

/// How a step of training is computed.
#[derive(Debug)]
pub struct TrainingPass {
    /// Arithmetic of matrix products.
    pub kind: Kind,
    /// On the CPU, what decides which elements dropout drops; elsewhere libtorch's generator does
    /// (`tch::manual_seed`).
    pub dropout_key: u64,
    /// The patches that take part, `[batch, kept]` int64; all without it.
    pub kept_patches: Option<Tensor>,
}

impl Vit {
    /// A freshly initialised network, drawn from libtorch's random generator (`tch::manual_seed`).
    ///
    /// Linear layers are U(±1/√fan_in), weight and bias, which is what `nn.Linear` amounts to in
    /// PyTorch (`kaiming_uniform_` with a = √5); norms are 1 and 0; positions and class token are
    /// N(0, `embedding_std`²), 1 in the Python repository.
    pub fn new(config: &VitConfig, device: tch::Device, embedding_std: f64) -> Self {
        let store = nn::VarStore::new(device);
        for parameter in config.parameters() {
            let mut names = parameter.name.split('.').collect::<Vec<_>>();
            let last = names.pop().expect("split yields at least one name");
            let path = names.iter().fold(store.root(), |path, name| path / name);
            let shape: Vec<i64> = parameter.shape.iter().map(|&axis| axis as i64).collect();
            let init = initialisation(parameter.kind, embedding_std);
            let _: Tensor = path.var(last, &shape, init);
        }
        Self::assemble(config, store)
    }

    fn assemble(config: &VitConfig, store: nn::VarStore) -> Self {
        let variables = store.variables();
        Self {
            pos_embedding: variables["pos_embedding"].shallow_clone(),
            cls_token: variables["cls_token"].shallow_clone(),
            to_patch_embedding: Linear::of(&variables, "to_patch_embedding.1"),
            layers: (0..config.layers)
                .map(|layer| Block::of(config, &variables, layer))
                .collect(),
            head_norm: LayerNorm::of(&variables, "mlp_head.0", config.layer_norm_eps),
            head: Linear::of(&variables, "mlp_head.1"),
            config: config.clone(),
            store,
        }
    }

    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Where the parameters are.
    pub fn device(&self) -> tch::Device {
        self.store.device()
    }

    /// The parameters by name.
    pub fn variables(&self) -> HashMap<String, Tensor> {
        self.store.variables()
    }

    /// Images `[batch, 3, S, S]` to logits `[batch, classes]`, float32, without dropout.
    pub fn forward(&self, images: &Tensor) -> Tensor {
        self.forward_observed(images, &mut |_, _, _| {})
    }

    /// As [`Self::forward`], and the observer sees every module's input and output.
    pub fn forward_observed(&self, images: &Tensor, observe: Observer<'_>) -> Tensor {
        self.run(
            images,
            Mode {
                dropout: None,
                kind: Kind::Float,
            },
            observe,
        )
    }

    /// Images `[batch, 3, S, S]` to what the first attention is given, `[batch, tokens, dim]`: all
    /// that comes before it, and no more.
    pub fn first_attention_input(&self, images: &Tensor) -> Tensor {
        let mode = Mode {
            dropout: None,
            kind: Kind::Float,
        };
        let patches = self.to_patch_embedding.apply(&self.patches(images), mode);
        let x = self.with_positions(&patches, &self.pos_embedding);
        let first = self.layers.first().expect("a network has a block");
        first.attention.norm.apply(&x)
    }

    /// As [`Self::forward`], the way a step of training computes it.
    pub fn forward_train(&self, images: &Tensor, pass: &TrainingPass) -> Tensor {
        let mode = Mode {
            dropout: Some(pass.dropout_key),
            kind: pass.kind,
        };
        let input = self.patches(images);
        let (patches, positions) = match &pass.kept_patches {
            None => (
                self.to_patch_embedding.apply(&input, mode),
                self.pos_embedding.shallow_clone(),
            ),
            Some(kept) => self.embed_kept(&input, kept, mode),
        };
        self.classify(&patches, &positions, mode, &mut |_, _, _| {})
    }

    /// Of patches `[batch, patches, patch_dim]`, those kept `[batch, kept]`, embedded
    /// `[batch, kept, dim]`, and the positions of class token and patches `[batch, 1 + kept, dim]`.
    fn embed_kept(&self, patches: &Tensor, kept: &Tensor, mode: Mode) -> (Tensor, Tensor) {
        let (batch, count) = (kept.size()[0], kept.size()[1]);
        let index = kept
            .unsqueeze(-1)
            .expand([batch, count, patches.size()[2]], false);
        let embedded = self
            .to_patch_embedding
            .apply(&patches.gather(1, &index, false), mode); // [batch, kept, dim]
        let positions = self.pos_embedding.squeeze_dim(0); // [tokens, dim]
        let of_patches = positions
            .index_select(0, &(kept.reshape([-1]) + 1))
            .view_as(&embedded); // [batch, kept, dim]
        let of_class = positions.narrow(0, 0, 1).expand([batch, 1, -1], false);
        (embedded, Tensor::cat(&[of_class, of_patches], 1))
    }

    fn run(&self, images: &Tensor, mode: Mode, observe: Observer<'_>) -> Tensor {
        // [batch, patches, dim]
        let patches = self.to_patch_embedding.apply(&self.patches(images), mode);
        observe("to_patch_embedding", images, &patches);
        self.classify(&patches, &self.pos_embedding, mode, observe)
    }

    /// Embedded patches `[batch, patches, dim]` and positions `[1 or batch, 1 + patches, dim]` to
    /// logits.
    fn classify(
        &self,
        patches: &Tensor,
        positions: &Tensor,
        mode: Mode,
        observe: Observer<'_>,
    ) -> Tensor {
        let x = self.with_positions(patches, positions);
        let mut x = mode.dropout(&x, self.config.embedding_dropout, Place::Embedding);
        let mut normed = self
            .layers
            .first()
            .map(|block| block.attention.norm.apply(&x));
        for (index, block) in self.layers.iter().enumerate() {
            let next = self
                .layers
                .get(index + 1)
                .map(|block| &block.attention.norm);
            let input = normed.expect("there is a norm for every block");
            (x, normed) = block.apply(&x, &input, next, mode, observe);
        }
        let pooled = match self.config.pool {
            Pool::Cls => x.select(1, 0),
            Pool::Mean => x.mean_dim([1i64].as_slice(), false, Kind::Float),
        }; // [batch, dim]
        self.head
            .apply(&self.head_norm.apply(&pooled), mode)
            .to_kind(Kind::Float) // [batch, classes]
    }

    /// Puts the class token before embedded patches and adds positions: `[batch, tokens, dim]`.
    fn with_positions(&self, patches: &Tensor, positions: &Tensor) -> Tensor {
        let batch = patches.size()[0];
        let cls = self.cls_token.expand([batch, -1, -1], false); // [batch, 1, dim]
        Tensor::cat(&[cls, patches.to_kind(Kind::Float)], 1) + positions
    }

    /// Cuts images into flattened patches, each ordered (row in patch, column in patch, channel).
    fn patches(&self, images: &Tensor) -> Tensor {
        let (side, patch) = (
            self.config.patches_per_side() as i64,
            self.config.patch_size as i64,
        );
        let channels = self.config.channels as i64;
        images
            .view([-1, channels, side, patch, side, patch])
            // [batch, row, column, row in patch, column in patch, channel]
            .permute([0, 2, 4, 3, 5, 1])
            .reshape([-1, side * side, patch * patch * channels]) // [batch, patches, patch_dim]
    }
}

fn initialisation(kind: ParameterKind, embedding_std: f64) -> nn::Init {
    match kind {
        ParameterKind::Linear { fan_in } => {
            let bound = 1.0 / (fan_in as f64).sqrt();
            nn::Init::Uniform {
                lo: -bound,
                up: bound,
            }
        }
        ParameterKind::Embedding => nn::Init::Randn {
            mean: 0.0,
            stdev: embedding_std,
        },
        ParameterKind::NormWeight => nn::Init::Const(1.0),
        ParameterKind::NormBias => nn::Init::Const(0.0),
    }
}
