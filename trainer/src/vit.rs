//! The network: the vision transformer of the Python repository, module for module, under the same names.
//!
//! After "An Image is Worth 16x16 Words" (arXiv:2010.11929) as lucidrains' `vit-pytorch` 0.24 to 0.29 builds it:
//! pre-norm blocks, no bias in `to_qkv`, no LayerNorm but the head's after the last block.

use std::collections::HashMap;

use proto::config::{ParameterKind, Pool, VitConfig};
use tch::{Kind, Tensor, nn};

/// The group of parameters that weight decay applies to: the matrices of Linear layers.
pub const DECAYED: usize = 0;
/// The group of all others: norms, biases, positions and the class token.
pub const NOT_DECAYED: usize = 1;

/// Told the name, the input and the output of each module as it runs, like a forward hook of PyTorch.
///
/// Modules: `to_patch_embedding` (image → `[batch, patches, dim]`), and for every layer `i`
/// `transformer.layers.i.0.fn` (attention), `transformer.layers.i.1.fn` (feed-forward) and `transformer.layers.i`
/// (the whole block), all `[batch, tokens, dim]`.
pub type Observer<'a> = &'a mut dyn FnMut(&str, &Tensor, &Tensor);

/// A vision transformer with its parameters.
#[derive(Debug)]
pub struct Vit {
    config: VitConfig,
    store: nn::VarStore,
    pos_embedding: Tensor, // [1, tokens, dim]
    cls_token: Tensor,     // [1, 1, dim]
    to_patch_embedding: Linear,
    layers: Vec<Block>,
    head_norm: LayerNorm,
    head: Linear,
}

/// How a pass through the network is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode {
    /// Dropout is active.
    train: bool,
    /// Arithmetic of matrix products, softmax and GELU; everything between them stays float32.
    kind: Kind,
}

#[derive(Debug)]
struct Linear {
    weight: Tensor, // [out, in]
    bias: Option<Tensor>,
}

#[derive(Debug)]
struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

#[derive(Debug)]
struct Attention {
    name: String,
    norm: LayerNorm,
    to_qkv: Linear,
    to_out: Option<Linear>,
    heads: i64,
    dim_head: i64,
    dropout: f64,
}

#[derive(Debug)]
struct FeedForward {
    name: String,
    norm: LayerNorm,
    net_0: Linear,
    net_3: Linear,
    dropout: f64,
}

#[derive(Debug)]
struct Block {
    name: String,
    attention: Attention,
    feed_forward: FeedForward,
}

impl Vit {
    /// A freshly initialised network, drawn from libtorch's random generator (`tch::manual_seed`).
    ///
    /// Linear layers are U(±1/√fan_in), weight and bias, which is what `nn.Linear` amounts to in PyTorch
    /// (`kaiming_uniform_` with a = √5); norms are 1 and 0; positions and class token are N(0, `embedding_std`²),
    /// 1 in the Python repository.
    pub fn new(config: &VitConfig, device: tch::Device, embedding_std: f64) -> Self {
        let store = nn::VarStore::new(device);
        for parameter in config.parameters() {
            let (group, init) = match parameter.kind {
                ParameterKind::Linear { fan_in } => {
                    let bound = 1.0 / (fan_in as f64).sqrt();
                    let group = if parameter.shape.len() == 2 { DECAYED } else { NOT_DECAYED };
                    (group, nn::Init::Uniform { lo: -bound, up: bound })
                }
                ParameterKind::Embedding => (NOT_DECAYED, nn::Init::Randn { mean: 0.0, stdev: embedding_std }),
                ParameterKind::NormWeight => (NOT_DECAYED, nn::Init::Const(1.0)),
                ParameterKind::NormBias => (NOT_DECAYED, nn::Init::Const(0.0)),
            };
            let mut names = parameter.name.split('.').collect::<Vec<_>>();
            let last = names.pop().expect("split yields at least one name");
            let path = names.iter().fold(store.root(), |path, name| path / name).set_group(group);
            let shape: Vec<i64> = parameter.shape.iter().map(|&axis| axis as i64).collect();
            let _: Tensor = path.var(last, &shape, init);
        }
        Self::assemble(config, store)
    }

    fn assemble(config: &VitConfig, store: nn::VarStore) -> Self {
        let variables = store.variables();
        let get = |name: &str| variables[name].shallow_clone();
        let linear =
            |name: &str| Linear { weight: get(&format!("{name}.weight")), bias: Some(get(&format!("{name}.bias"))) };
        let norm = |name: &str| LayerNorm {
            weight: get(&format!("{name}.weight")),
            bias: get(&format!("{name}.bias")),
            eps: config.layer_norm_eps,
        };
        let layers = (0..config.layers)
            .map(|layer| {
                let name = format!("transformer.layers.{layer}");
                Block {
                    attention: Attention {
                        name: format!("{name}.0.fn"),
                        norm: norm(&format!("{name}.0.norm")),
                        to_qkv: Linear { weight: get(&format!("{name}.0.fn.to_qkv.weight")), bias: None },
                        to_out: config.has_to_out().then(|| linear(&format!("{name}.0.fn.to_out.0"))),
                        heads: config.heads as i64,
                        dim_head: config.dim_head as i64,
                        dropout: config.dropout,
                    },
                    feed_forward: FeedForward {
                        name: format!("{name}.1.fn"),
                        norm: norm(&format!("{name}.1.norm")),
                        net_0: linear(&format!("{name}.1.fn.net.0")),
                        net_3: linear(&format!("{name}.1.fn.net.3")),
                        dropout: config.dropout,
                    },
                    name,
                }
            })
            .collect();
        Self {
            pos_embedding: get("pos_embedding"),
            cls_token: get("cls_token"),
            to_patch_embedding: linear("to_patch_embedding.1"),
            layers,
            head_norm: norm("mlp_head.0"),
            head: linear("mlp_head.1"),
            config: config.clone(),
            store,
        }
    }

    /// The network's numbers.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// The store that owns the parameters, for an optimizer.
    pub fn store(&self) -> &nn::VarStore {
        &self.store
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
        self.run(images, Mode { train: false, kind: Kind::Float }, observe)
    }

    /// As [`Self::forward`] with dropout, and with matrix products in `kind`.
    pub fn forward_train(&self, images: &Tensor, kind: Kind) -> Tensor {
        self.run(images, Mode { train: true, kind }, &mut |_, _, _| {})
    }

    fn run(&self, images: &Tensor, mode: Mode, observe: Observer<'_>) -> Tensor {
        let patches = self.to_patch_embedding.apply(&self.patches(images), mode); // [batch, patches, dim]
        observe("to_patch_embedding", images, &patches);
        let batch = images.size()[0];
        let cls = self.cls_token.expand([batch, -1, -1], false); // [batch, 1, dim]
        let mut x = (Tensor::cat(&[cls, patches.to_kind(Kind::Float)], 1) + &self.pos_embedding) // [batch, tokens, dim]
            .dropout(self.config.embedding_dropout, mode.train);
        for block in &self.layers {
            x = block.apply(&x, mode, observe);
        }
        let pooled = match self.config.pool {
            Pool::Cls => x.select(1, 0),
            Pool::Mean => x.mean_dim([1i64].as_slice(), false, Kind::Float),
        }; // [batch, dim]
        self.head.apply(&self.head_norm.apply(&pooled), mode).to_kind(Kind::Float) // [batch, classes]
    }

    /// Cuts images into flattened patches, each ordered (row in patch, column in patch, channel).
    fn patches(&self, images: &Tensor) -> Tensor {
        let (side, patch) = (self.config.patches_per_side() as i64, self.config.patch_size as i64);
        let channels = self.config.channels as i64;
        images
            .view([-1, channels, side, patch, side, patch])
            .permute([0, 2, 4, 3, 5, 1]) // [batch, row, column, row in patch, column in patch, channel]
            .reshape([-1, side * side, patch * patch * channels]) // [batch, patches, patch_dim]
    }
}

impl Linear {
    fn apply(&self, x: &Tensor, mode: Mode) -> Tensor {
        let bias = self.bias.as_ref().map(|bias| bias.to_kind(mode.kind));
        x.to_kind(mode.kind).linear(&self.weight.to_kind(mode.kind), bias.as_ref())
    }
}

impl LayerNorm {
    fn apply(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps, true)
    }
}

impl Attention {
    /// `[batch, tokens, dim]` to the same shape, without the residual.
    fn apply(&self, x: &Tensor, mode: Mode) -> Tensor {
        let (batch, tokens) = (x.size()[0], x.size()[1]);
        let qkv = self
            .to_qkv
            .apply(x, mode) // [batch, tokens, 3·heads·dim_head]
            .view([batch, tokens, 3, self.heads, self.dim_head])
            .permute([2, 0, 3, 1, 4]) // [3, batch, heads, tokens, dim_head]
            .unbind(0);
        let [query, key, value] = qkv.as_slice() else { unreachable!("the first axis is 3") };
        let scale = (self.dim_head as f64).powf(-0.5);
        let scores = query.matmul(&key.transpose(-1, -2)) * scale; // [batch, heads, tokens, tokens]
        let mixed = scores
            .softmax(-1, None)
            .matmul(value) // [batch, heads, tokens, dim_head]
            .transpose(1, 2)
            .reshape([batch, tokens, self.heads * self.dim_head]); // [batch, tokens, heads·dim_head]
        match &self.to_out {
            Some(to_out) => to_out.apply(&mixed, mode).dropout(self.dropout, mode.train),
            None => mixed,
        }
    }
}

impl FeedForward {
    /// `[batch, tokens, dim]` to the same shape, without the residual.
    fn apply(&self, x: &Tensor, mode: Mode) -> Tensor {
        let hidden = self.net_0.apply(x, mode).gelu("none").dropout(self.dropout, mode.train); // [batch, tokens, mlp]
        self.net_3.apply(&hidden, mode).dropout(self.dropout, mode.train)
    }
}

impl Block {
    fn apply(&self, x: &Tensor, mode: Mode, observe: Observer<'_>) -> Tensor {
        let input = self.attention.norm.apply(x);
        let output = self.attention.apply(&input, mode);
        observe(&self.attention.name, &input, &output);
        let between = output + x;

        let input = self.feed_forward.norm.apply(&between);
        let output = self.feed_forward.apply(&input, mode);
        observe(&self.feed_forward.name, &input, &output);
        let result = output + between;
        observe(&self.name, x, &result);
        result
    }
}
