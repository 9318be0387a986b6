//! A block of the transformer: attention and feed-forward, each with its LayerNorm before and its
//! residual after.

use proto::config::VitConfig;
use proto::module::{Module, ModuleKind};
use tch::{Device, Kind, Tensor};

use super::layers::{LayerNorm, Linear, Mode, Output, Place, Variables};
use crate::kernels;

/// Told the name, the input and the output of each module as it runs, like a forward hook of
/// PyTorch.
///
/// Modules: `to_patch_embedding` (image → `[batch, patches, dim]`), and those that [`Module`]
/// knows, all `[batch, tokens, dim]`. A module with its LayerNorm comes after the same one without.
pub type Observer<'a> = &'a mut dyn FnMut(&str, &Tensor, &Tensor);

#[derive(Debug)]
pub(super) struct Attention {
    pub(super) layer: u64,
    pub(super) norm: LayerNorm,
    pub(super) to_qkv: Linear,
    pub(super) to_out: Option<Linear>,
    pub(super) heads: i64,
    pub(super) dim_head: i64,
    pub(super) dropout: f64,
}

#[derive(Debug)]
pub(super) struct FeedForward {
    pub(super) layer: u64,
    pub(super) norm: LayerNorm,
    pub(super) net_0: Linear,
    pub(super) net_3: Linear,
    pub(super) dropout: f64,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) layer: usize,
    pub(super) attention: Attention,
    pub(super) feed_forward: FeedForward,
}

impl Attention {
    fn of(config: &VitConfig, variables: &Variables, layer: usize) -> Self {
        let name = format!("transformer.layers.{layer}.0");
        let has_to_out = config.has_to_out();
        Self {
            layer: layer as u64,
            norm: LayerNorm::of(variables, &format!("{name}.norm"), config.layer_norm_eps),
            to_qkv: Linear::without_bias(variables, &format!("{name}.fn.to_qkv")),
            to_out: has_to_out.then(|| Linear::of(variables, &format!("{name}.fn.to_out.0"))),
            heads: config.heads as i64,
            dim_head: config.dim_head as i64,
            // In the Python repository's model dropout belongs to `to_out`.
            dropout: if has_to_out { config.dropout } else { 0.0 },
        }
    }

    /// `[batch, tokens, dim]` to the same shape, without dropout and residual.
    pub(super) fn apply(&self, x: &Tensor, mode: Mode) -> Output<'_> {
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
    fn of(config: &VitConfig, variables: &Variables, layer: usize) -> Self {
        let name = format!("transformer.layers.{layer}.1");
        Self {
            layer: layer as u64,
            norm: LayerNorm::of(variables, &format!("{name}.norm"), config.layer_norm_eps),
            net_0: Linear::of(variables, &format!("{name}.fn.net.0")),
            net_3: Linear::of(variables, &format!("{name}.fn.net.3")),
            dropout: config.dropout,
        }
    }

    /// `[batch, tokens, dim]` to the same shape, without the last dropout and the residual.
    pub(super) fn apply(&self, x: &Tensor, mode: Mode) -> Output<'_> {
        let hidden = self.net_0.output(x, mode); // [batch, tokens, mlp]
        let hidden = mode.gelu_dropout(&hidden, self.dropout, Place::Hidden(self.layer));
        self.net_3.output(&hidden, mode)
    }
}

impl Block {
    pub(super) fn of(config: &VitConfig, variables: &Variables, layer: usize) -> Self {
        Self {
            layer,
            attention: Attention::of(config, variables, layer),
            feed_forward: FeedForward::of(config, variables, layer),
        }
    }

    /// Takes the residual stream `[batch, tokens, dim]` and its norm; gives it as it leaves, and
    /// the norm of the block that follows, if one does.
    pub(super) fn apply(
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
        let mut tell = |kind, input: &_, output: &_| observe(&name(*layer, kind), input, output);
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

fn name(layer: usize, kind: ModuleKind) -> String {
    Module { layer, kind }.to_string()
}
