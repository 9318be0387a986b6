//! The network: the vision transformer of the Python repository, module for module, under the same
//! names.
//!
//! After "An Image is Worth 16x16 Words" (arXiv:2010.11929) as lucidrains' `vit-pytorch` 0.24 to
//! 0.29 builds it: pre-norm blocks, no bias in `to_qkv`, no LayerNorm but the head's after the last
//! block.

use std::collections::HashMap;

use proto::config::{ParameterKind, Pool, VitConfig};
use proto::module::{Module, ModuleKind};
use tch::{Device, Kind, Tensor, nn};

use crate::kernels;

/// Told the name, the input and the output of each module as it runs, like a forward hook of
/// PyTorch.
///
/// Modules: `to_patch_embedding` (image → `[batch, patches, dim]`), and those that [`Module`]
/// knows, all `[batch, tokens, dim]`. A module with its LayerNorm comes after the same one without.
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
    /// Dropout is active, and drops what this number says.
    dropout: Option<u64>,
    /// Arithmetic of matrix products, softmax and GELU; everything between them stays float32.
    kind: Kind,
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
    layer: u64,
    norm: LayerNorm,
    to_qkv: Linear,
    to_out: Option<Linear>,
    heads: i64,
    dim_head: i64,
    dropout: f64,
}

#[derive(Debug)]
struct FeedForward {
    layer: u64,
    norm: LayerNorm,
    net_0: Linear,
    net_3: Linear,
    dropout: f64,
}

#[derive(Debug)]
struct Block {
    layer: usize,
    attention: Attention,
    feed_forward: FeedForward,
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
            let init = match parameter.kind {
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
            };
            let mut names = parameter.name.split('.').collect::<Vec<_>>();
            let last = names.pop().expect("split yields at least one name");
            let path = names.iter().fold(store.root(), |path, name| path / name);
            let shape: Vec<i64> = parameter.shape.iter().map(|&axis| axis as i64).collect();
            let _: Tensor = path.var(last, &shape, init);
        }
        Self::assemble(config, store)
    }

    fn assemble(config: &VitConfig, store: nn::VarStore) -> Self {
        let variables = store.variables();
        let get = |name: &str| variables[name].shallow_clone();
        let linear = |name: &str| Linear {
            weight: get(&format!("{name}.weight")),
            bias: Some(get(&format!("{name}.bias"))),
        };
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
                        layer: layer as u64,
                        norm: norm(&format!("{name}.0.norm")),
                        to_qkv: Linear {
                            weight: get(&format!("{name}.0.fn.to_qkv.weight")),
                            bias: None,
                        },
                        to_out: config
                            .has_to_out()
                            .then(|| linear(&format!("{name}.0.fn.to_out.0"))),
                        heads: config.heads as i64,
                        dim_head: config.dim_head as i64,
                        // In the Python repository's model dropout belongs to `to_out`.
                        dropout: if config.has_to_out() {
                            config.dropout
                        } else {
                            0.0
                        },
                    },
                    feed_forward: FeedForward {
                        layer: layer as u64,
                        norm: norm(&format!("{name}.1.norm")),
                        net_0: linear(&format!("{name}.1.fn.net.0")),
                        net_3: linear(&format!("{name}.1.fn.net.3")),
                        dropout: config.dropout,
                    },
                    layer,
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

    /// As [`Self::forward`], the way a step of training computes it.
    pub fn forward_train(&self, images: &Tensor, pass: &TrainingPass) -> Tensor {
        let mode = Mode {
            dropout: Some(pass.dropout_key),
            kind: pass.kind,
        };
        let input = self.patches(images);
        let Some(kept) = &pass.kept_patches else {
            let patches = self.to_patch_embedding.apply(&input, mode);
            return self.classify(&patches, &self.pos_embedding, mode, &mut |_, _, _| {});
        };
        let (batch, count) = (kept.size()[0], kept.size()[1]);
        let index = kept
            .unsqueeze(-1)
            .expand([batch, count, input.size()[2]], false);
        let patches = self
            .to_patch_embedding
            .apply(&input.gather(1, &index, false), mode); // [batch, kept, dim]
        let positions = self.pos_embedding.squeeze_dim(0); // [tokens, dim]
        let of_patches = positions
            .index_select(0, &(kept.reshape([-1]) + 1))
            .view_as(&patches);
        let of_class = positions.narrow(0, 0, 1).expand([batch, 1, -1], false);
        let positions = Tensor::cat(&[of_class, of_patches], 1); // [batch, 1 + kept, dim]
        self.classify(&patches, &positions, mode, &mut |_, _, _| {})
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
        let batch = patches.size()[0];
        let cls = self.cls_token.expand([batch, -1, -1], false); // [batch, 1, dim]
        // [batch, tokens, dim]
        let x = Tensor::cat(&[cls, patches.to_kind(Kind::Float)], 1) + positions;
        let mut x = mode.dropout(&x, self.config.embedding_dropout);
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

/// What dropout acts on, so that each place drops elements of its own.
#[derive(Debug, Clone, Copy)]
enum Place {
    Embedding,
    Attention(u64),
    Hidden(u64),
    FeedForward(u64),
}

impl Mode {
    fn key(self, place: Place) -> u64 {
        let place = match place {
            Place::Embedding => 0,
            Place::Attention(layer) => 3 * layer + 1,
            Place::Hidden(layer) => 3 * layer + 2,
            Place::FeedForward(layer) => 3 * layer + 3,
        };
        self.dropout
            .unwrap_or_default()
            .wrapping_add(place.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn dropout(self, x: &Tensor, p: f64) -> Tensor {
        match self.dropout {
            Some(_) if x.device() == Device::Cpu && p > 0.0 => {
                kernels::dropout(x, p, self.key(Place::Embedding))
            }
            training => x.dropout(p, training.is_some()),
        }
    }

    /// Whether what follows a product adds its bias: in training on the CPU.
    fn defers_bias(self, x: &Tensor) -> bool {
        self.dropout.is_some() && x.device() == Device::Cpu
    }

    /// `residual + dropout(x)`
    fn dropout_add(self, x: &Output<'_>, residual: &Tensor, p: f64, place: Place) -> Tensor {
        match self.dropout {
            Some(_) if x.value.device() == Device::Cpu => {
                kernels::dropout_add(&x.complete(), residual, p, self.key(place))
            }
            training => x.complete().dropout(p, training.is_some()) + residual,
        }
    }

    /// `residual + dropout(x)` and its norm.
    fn add_norm(
        self,
        x: &Output<'_>,
        residual: &Tensor,
        p: f64,
        place: Place,
        norm: &LayerNorm,
    ) -> (Tensor, Tensor) {
        if self.defers_bias(&x.value) {
            let norm = kernels::Norm {
                weight: &norm.weight,
                bias: &norm.bias,
                eps: norm.eps,
            };
            return kernels::add_norm(&x.value, x.bias, residual, p, self.key(place), norm);
        }
        let sum = self.dropout_add(x, residual, p, place);
        let normed = norm.apply(&sum);
        (sum, normed)
    }

    /// `dropout(gelu(x))`
    fn gelu_dropout(self, x: &Output<'_>, p: f64, place: Place) -> Tensor {
        match self.dropout {
            Some(_) if x.value.device() == Device::Cpu => {
                kernels::gelu_dropout(&x.value, x.bias, p, self.key(place))
            }
            training => x.complete().gelu("none").dropout(p, training.is_some()),
        }
    }
}

/// What a linear layer gives: a product, and the bias if it still has to be added.
struct Output<'a> {
    value: Tensor,
    bias: Option<&'a Tensor>,
}

impl Output<'_> {
    fn complete(&self) -> Tensor {
        self.bias.map_or_else(
            || self.value.shallow_clone(),
            |bias| &self.value + bias.to_kind(self.value.kind()),
        )
    }
}

impl Linear {
    fn apply(&self, x: &Tensor, mode: Mode) -> Tensor {
        if mode.kind == Kind::Float && x.device() == Device::Cpu {
            return kernels::linear(x, &self.weight, self.bias.as_ref());
        }
        let bias = self.bias.as_ref().map(|bias| bias.to_kind(mode.kind));
        x.to_kind(mode.kind)
            .linear(&self.weight.to_kind(mode.kind), bias.as_ref())
    }

    /// As [`Self::apply`], without the bias where the operation that follows can add it.
    fn output(&self, x: &Tensor, mode: Mode) -> Output<'_> {
        if !mode.defers_bias(x) {
            return Output {
                value: self.apply(x, mode),
                bias: None,
            };
        }
        let product = Self {
            weight: self.weight.shallow_clone(),
            bias: None,
        };
        Output {
            value: product.apply(x, mode),
            bias: self.bias.as_ref(),
        }
    }
}

impl LayerNorm {
    fn apply(&self, x: &Tensor) -> Tensor {
        x.layer_norm(
            self.weight.size(),
            Some(&self.weight),
            Some(&self.bias),
            self.eps,
            true,
        )
    }
}

impl Attention {
    /// `[batch, tokens, dim]` to the same shape, without dropout and residual.
    fn apply(&self, x: &Tensor, mode: Mode) -> Output<'_> {
        let qkv = self.to_qkv.apply(x, mode); // [batch, tokens, 3·heads·dim_head]
        let has_kernel = qkv.device() == Device::Cpu && mode.kind != Kind::Double;
        let mixed = if has_kernel {
            kernels::attention(&qkv, self.heads)
        } else {
            self.mix(&qkv, mode)
        }; // [batch, tokens, heads·dim_head]
        match &self.to_out {
            Some(to_out) => to_out.output(&mixed, mode),
            None => Output {
                value: mixed,
                bias: None,
            },
        }
    }

    /// softmax(q·kᵀ·dim_head^-½)·v of every head, the heads side by side.
    fn mix(&self, qkv: &Tensor, mode: Mode) -> Tensor {
        let (batch, tokens) = (qkv.size()[0], qkv.size()[1]);
        let qkv = qkv
            .view([batch, tokens, 3, self.heads, self.dim_head])
            .permute([2, 0, 3, 1, 4]) // [3, batch, heads, tokens, dim_head]
            .unbind(0);
        let [query, key, value] = qkv.as_slice() else {
            unreachable!("the first axis is 3")
        };
        let mixed = if mode.dropout.is_some() {
            // Keeps no map of softmax for the backward pass.
            Tensor::scaled_dot_product_attention::<&Tensor>(
                query, key, value, None, 0.0, false, None, false,
            )
        } else {
            let scale = (self.dim_head as f64).powf(-0.5);
            // [batch, heads, tokens, tokens]
            let scores = query.matmul(&key.transpose(-1, -2)) * scale;
            scores.softmax(-1, None).matmul(value) // [batch, heads, tokens, dim_head]
        };
        mixed
            .transpose(1, 2)
            .reshape([batch, tokens, self.heads * self.dim_head]) // [batch, tokens, heads·dim_head]
    }
}

impl FeedForward {
    /// `[batch, tokens, dim]` to the same shape, without the last dropout and the residual.
    fn apply(&self, x: &Tensor, mode: Mode) -> Output<'_> {
        let hidden = self.net_0.output(x, mode); // [batch, tokens, mlp]
        let hidden = mode.gelu_dropout(&hidden, self.dropout, Place::Hidden(self.layer));
        self.net_3.output(&hidden, mode)
    }
}

impl Block {
    /// Takes the residual stream `[batch, tokens, dim]` and its norm; gives it as it leaves, and
    /// the norm of the block that follows, if one does.
    fn apply(
        &self,
        x: &Tensor,
        normed: &Tensor,
        next: Option<&LayerNorm>,
        mode: Mode,
        observe: Observer<'_>,
    ) -> (Tensor, Option<Tensor>) {
        let Self {
            layer,
            attention,
            feed_forward,
        } = self;
        // No output lacks its bias where an observer looks: only steps of training leave it out.
        let mut tell = |kind, input: &Tensor, output: &Tensor| {
            observe(
                &Module {
                    layer: *layer,
                    kind,
                }
                .to_string(),
                input,
                output,
            );
        };
        let output = attention.apply(normed, mode);
        tell(ModuleKind::Attention, normed, &output.value);
        tell(ModuleKind::NormAttention, x, &output.value);
        let place = Place::Attention(attention.layer);
        let (between, normed) =
            mode.add_norm(&output, x, attention.dropout, place, &feed_forward.norm);

        let output = feed_forward.apply(&normed, mode);
        tell(ModuleKind::FeedForward, &normed, &output.value);
        tell(ModuleKind::NormFeedForward, &between, &output.value);
        let (p, place) = (feed_forward.dropout, Place::FeedForward(feed_forward.layer));
        let (result, normed) = match next {
            Some(norm) => {
                let (result, normed) = mode.add_norm(&output, &between, p, place, norm);
                (result, Some(normed))
            }
            None => (mode.dropout_add(&output, &between, p, place), None),
        };
        tell(ModuleKind::Block, x, &result);
        (result, normed)
    }
}

/// One module of a network in float64, to tell how far the network's own float32 results are from
/// it.
#[derive(Debug)]
pub struct Float64Module {
    kind: ModuleKind,
    block: Block,
}

impl Float64Module {
    /// The module with its parameters, which float64 holds exactly.
    pub fn new(vit: &Vit, module: Module) -> Self {
        let Block {
            layer,
            attention,
            feed_forward,
        } = &vit.layers[module.layer];
        let double = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double);
        let linear = |linear: &Linear| Linear {
            weight: double(&linear.weight),
            bias: linear.bias.as_ref().map(double),
        };
        let norm = |norm: &LayerNorm| LayerNorm {
            weight: double(&norm.weight),
            bias: double(&norm.bias),
            eps: norm.eps,
        };
        let attention = Attention {
            norm: norm(&attention.norm),
            to_qkv: linear(&attention.to_qkv),
            to_out: attention.to_out.as_ref().map(linear),
            ..*attention
        };
        let feed_forward = FeedForward {
            norm: norm(&feed_forward.norm),
            net_0: linear(&feed_forward.net_0),
            net_3: linear(&feed_forward.net_3),
            ..*feed_forward
        };
        Self {
            kind: module.kind,
            block: Block {
                layer: *layer,
                attention,
                feed_forward,
            },
        }
    }

    /// The module's output `[batch, tokens, dim]`, float64, for an input of the same shape.
    pub fn forward(&self, input: &Tensor) -> Tensor {
        let Self {
            kind,
            block:
                Block {
                    attention,
                    feed_forward,
                    ..
                },
        } = self;
        let (input, mode) = (
            input.to_kind(Kind::Double),
            Mode {
                dropout: None,
                kind: Kind::Double,
            },
        );
        match kind {
            ModuleKind::Attention => attention.apply(&input, mode).value,
            ModuleKind::NormAttention => attention.apply(&attention.norm.apply(&input), mode).value,
            ModuleKind::FeedForward => feed_forward.apply(&input, mode).value,
            ModuleKind::NormFeedForward => {
                feed_forward
                    .apply(&feed_forward.norm.apply(&input), mode)
                    .value
            }
            ModuleKind::Block => {
                self.block
                    .apply(
                        &input,
                        &attention.norm.apply(&input),
                        None,
                        mode,
                        &mut |_, _, _| {},
                    )
                    .0
            }
        }
    }
}
