//! The leaves of the network, and how a pass computes them: libtorch's operations, or on the CPU
//! the kernels that do several at once.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use crate::kernels;

/// The parameters of a network by name.
pub(super) type Variables = HashMap<String, Tensor>;

/// How a pass through the network is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode {
    /// Dropout is active, and drops what this number says.
    pub(super) dropout: Option<u64>,
    /// Arithmetic of matrix products, softmax and GELU; everything between them stays float32.
    pub(super) kind: Kind,
}

/// What dropout acts on, so that each place drops elements of its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Embedding,
    Attention(u64),
    Hidden(u64),
    FeedForward(u64),
}

#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Tensor, // [out, in]
    pub(super) bias: Option<Tensor>,
}

#[derive(Debug)]
pub(super) struct LayerNorm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    pub(super) eps: f64,
}

/// What a linear layer gives: a product, and the bias if it still has to be added.
pub(super) struct Output<'a> {
    pub(super) value: Tensor,
    pub(super) bias: Option<&'a Tensor>,
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
    pub(super) fn of(variables: &Variables, name: &str) -> Self {
        Self {
            bias: Some(variables[&format!("{name}.bias")].shallow_clone()),
            ..Self::without_bias(variables, name)
        }
    }

    pub(super) fn without_bias(variables: &Variables, name: &str) -> Self {
        Self {
            weight: variables[&format!("{name}.weight")].shallow_clone(),
            bias: None,
        }
    }

    /// The same layer in float64, which holds its parameters exactly.
    pub(super) fn to_float64(&self) -> Self {
        Self {
            weight: to_float64(&self.weight),
            bias: self.bias.as_ref().map(to_float64),
        }
    }

    pub(super) fn apply(&self, x: &Tensor, mode: Mode) -> Tensor {
        if mode.kind == Kind::Float && x.device() == Device::Cpu {
            return kernels::linear(x, &self.weight, self.bias.as_ref());
        }
        let bias = self.bias.as_ref().map(|bias| bias.to_kind(mode.kind));
        x.to_kind(mode.kind)
            .linear(&self.weight.to_kind(mode.kind), bias.as_ref())
    }

    /// As [`Self::apply`], without the bias where the operation that follows can add it.
    pub(super) fn output(&self, x: &Tensor, mode: Mode) -> Output<'_> {
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
    pub(super) fn of(variables: &Variables, name: &str, eps: f64) -> Self {
        Self {
            weight: variables[&format!("{name}.weight")].shallow_clone(),
            bias: variables[&format!("{name}.bias")].shallow_clone(),
            eps,
        }
    }

    pub(super) fn to_float64(&self) -> Self {
        Self {
            weight: to_float64(&self.weight),
            bias: to_float64(&self.bias),
            eps: self.eps,
        }
    }

    pub(super) fn apply(&self, x: &Tensor) -> Tensor {
        x.layer_norm(
            self.weight.size(),
            Some(&self.weight),
            Some(&self.bias),
            self.eps,
            true,
        )
    }
}

fn to_float64(parameter: &Tensor) -> Tensor {
    parameter.detach().to_kind(Kind::Double)
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

    pub(super) fn dropout(self, x: &Tensor, p: f64, place: Place) -> Tensor {
        match self.dropout {
            Some(_) if x.device() == Device::Cpu && p > 0.0 => {
                kernels::dropout(x, p, self.key(place))
            }
            training => x.dropout(p, training.is_some()),
        }
    }

    /// Whether what follows a product adds its bias: in training on the CPU.
    fn defers_bias(self, x: &Tensor) -> bool {
        self.dropout.is_some() && x.device() == Device::Cpu
    }

    /// `residual + dropout(x)`
    pub(super) fn dropout_add(
        self,
        x: &Output<'_>,
        residual: &Tensor,
        p: f64,
        place: Place,
    ) -> Tensor {
        match self.dropout {
            Some(_) if x.value.device() == Device::Cpu => {
                kernels::dropout_add(&x.complete(), residual, p, self.key(place))
            }
            training => x.complete().dropout(p, training.is_some()) + residual,
        }
    }

    /// `residual + dropout(x)` and its norm.
    pub(super) fn add_norm(
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
    pub(super) fn gelu_dropout(self, x: &Output<'_>, p: f64, place: Place) -> Tensor {
        match self.dropout {
            Some(_) if x.value.device() == Device::Cpu => {
                kernels::gelu_dropout(&x.value, x.bias, p, self.key(place))
            }
            training => x.complete().gelu("none").dropout(p, training.is_some()),
        }
    }
}
