//! One module of a network in float64.

use proto::module::{Module, ModuleKind};
use tch::{Kind, Tensor};

use super::block::{Attention, Block, FeedForward};
use super::layers::{Linear, Mode};
use super::network::Vit;

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
        let attention = Attention {
            norm: attention.norm.to_float64(),
            to_qkv: attention.to_qkv.to_float64(),
            to_out: attention.to_out.as_ref().map(Linear::to_float64),
            ..*attention
        };
        let feed_forward = FeedForward {
            norm: feed_forward.norm.to_float64(),
            net_0: feed_forward.net_0.to_float64(),
            net_3: feed_forward.net_3.to_float64(),
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
        let Block {
            attention,
            feed_forward,
            ..
        } = &self.block;
        let input = input.to_kind(Kind::Double);
        let mode = Mode {
            dropout: None,
            kind: Kind::Double,
        };
        match self.kind {
            ModuleKind::Attention => attention.apply(&input, mode).value,
            ModuleKind::NormAttention => attention.apply(&attention.norm.apply(&input), mode).value,
            ModuleKind::FeedForward => feed_forward.apply(&input, mode).value,
            ModuleKind::NormFeedForward => {
                let normed = feed_forward.norm.apply(&input);
                feed_forward.apply(&normed, mode).value
            }
            ModuleKind::Block => {
                let normed = attention.norm.apply(&input);
                let (result, _) = self
                    .block
                    .apply(&input, &normed, None, mode, &mut |_, _, _| {});
                result
            }
        }
    }
}
