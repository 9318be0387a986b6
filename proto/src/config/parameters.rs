//! The parameters that a configuration implies, in the order of the Python model's `state_dict()`.

use super::vit::VitConfig;

/// What a parameter is, which decides how it is initialised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// `pos_embedding` or `cls_token`.
    Embedding,
    /// Weight or bias of a Linear with this many inputs.
    Linear {
        fan_in: usize,
    },
    NormWeight,
    NormBias,
}

/// One entry of the network's state dict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// PyTorch's name, such as `transformer.layers.0.0.fn.to_qkv.weight`.
    pub name: String,
    /// PyTorch's shape; a Linear's weight is `[out, in]`.
    pub shape: Vec<usize>,
    pub kind: ParameterKind,
}

impl VitConfig {
    /// Every parameter in the order of the Python model's `state_dict()`.
    pub fn parameters(&self) -> Vec<Parameter> {
        let (dim, patch) = (self.dim, self.patch_dim());
        let mut list = vec![
            embedding("pos_embedding", &[1, self.tokens(), dim]),
            embedding("cls_token", &[1, 1, dim]),
        ];
        list.extend(linear("to_patch_embedding.1", dim, patch));
        for layer in 0..self.layers {
            list.extend(self.block(&format!("transformer.layers.{layer}")));
        }
        list.extend(layer_norm("mlp_head.0", dim));
        list.extend(linear("mlp_head.1", self.classes, dim));
        list
    }

    fn block(&self, block: &str) -> Vec<Parameter> {
        let (dim, inner, mlp) = (self.dim, self.inner_dim(), self.mlp_dim);
        let [to_qkv, _no_bias] = linear(&format!("{block}.0.fn.to_qkv"), 3 * inner, dim);
        let to_out = linear(&format!("{block}.0.fn.to_out.0"), dim, inner);
        let mut list = Vec::from(layer_norm(&format!("{block}.0.norm"), dim));
        list.push(to_qkv);
        list.extend(to_out.into_iter().filter(|_| self.has_to_out()));
        list.extend(layer_norm(&format!("{block}.1.norm"), dim));
        list.extend(linear(&format!("{block}.1.fn.net.0"), mlp, dim));
        list.extend(linear(&format!("{block}.1.fn.net.3"), dim, mlp));
        list
    }

    /// How many numbers the network learns.
    pub fn parameter_count(&self) -> usize {
        let elements = |parameter: &Parameter| parameter.shape.iter().product::<usize>();
        self.parameters().iter().map(elements).sum()
    }
}

fn embedding(name: &str, shape: &[usize]) -> Parameter {
    parameter(name, shape, ParameterKind::Embedding)
}

/// Weight `[outputs, inputs]` and bias.
fn linear(module: &str, outputs: usize, inputs: usize) -> [Parameter; 2] {
    let kind = ParameterKind::Linear { fan_in: inputs };
    [
        parameter(&format!("{module}.weight"), &[outputs, inputs], kind),
        parameter(&format!("{module}.bias"), &[outputs], kind),
    ]
}

fn layer_norm(module: &str, dim: usize) -> [Parameter; 2] {
    [
        parameter(
            &format!("{module}.weight"),
            &[dim],
            ParameterKind::NormWeight,
        ),
        parameter(&format!("{module}.bias"), &[dim], ParameterKind::NormBias),
    ]
}

fn parameter(name: &str, shape: &[usize], kind: ParameterKind) -> Parameter {
    Parameter {
        name: name.to_owned(),
        shape: shape.to_vec(),
        kind,
    }
}
