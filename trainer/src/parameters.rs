//! All parameters of a network as one buffer, so that a step of the optimizer, an average or a file
//! is one operation.

use std::ops::Range;

use proto::config::{ParameterKind, VitConfig};
use tch::{Kind, Tensor};

use crate::vit::Vit;

/// The parameters of a network in one flat float32 tensor; the network's own tensors are views of
/// it.
#[derive(Debug)]
pub struct Parameters {
    /// `[count]`
    pub flat: Tensor,
    variables: Vec<Tensor>,
    /// The matrices inside the blocks: every layer's of one role and shape lie together.
    pub hidden: Vec<Stack>,
    /// All matrices, which decay; what comes after them does not.
    pub matrices: Range<usize>,
    /// The matrices inside the blocks.
    pub hidden_matrices: Range<usize>,
}

/// Equal matrices that lie one after the other in the buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    pub start: usize,
    pub count: usize,
    /// Rows and columns of each.
    pub shape: [usize; 2],
}

/// What part of the buffer a parameter belongs to, and its place there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    /// The role of a matrix in its block, such as `0.fn.to_qkv.weight`.
    Hidden(String),
    OtherMatrix,
    Rest,
}

impl Parameters {
    /// Moves the parameters of a network into one buffer.
    pub fn new(vit: &Vit) -> Self {
        let _no_grad = tch::no_grad_guard();
        let order = order(vit.config());
        let layout = Layout::of(&order);
        let flat = Tensor::zeros([layout.count as i64], (Kind::Float, vit.device()));
        let mut named = vit.variables();
        let (mut variables, mut start) = (Vec::new(), 0);
        for (_, name, shape) in &order {
            let count: usize = shape.iter().product();
            let mut variable = named.remove(name).expect("a parameter of the config");
            let mut view = flat
                .narrow(0, start as i64, count as i64)
                .view_as(&variable);
            view.copy_(&variable);
            variable.set_data(&view);
            variables.push(variable);
            start += count;
        }
        Self {
            flat,
            variables,
            hidden: layout.hidden,
            hidden_matrices: 0..layout.hidden_end,
            matrices: 0..layout.matrices_end,
        }
    }

    /// How many numbers there are.
    pub fn count(&self) -> usize {
        self.flat.numel()
    }

    /// The gradient of a loss, in the buffer's order.
    pub fn gradient(&self, loss: &Tensor) -> Tensor {
        let gradients = Tensor::run_backward(&[loss], &self.variables, false, false);
        let flat: Vec<Tensor> = gradients
            .iter()
            .map(|gradient| gradient.reshape([-1]))
            .collect();
        Tensor::cat(&flat, 0)
    }
}

impl Stack {
    /// Of a parameter whose rows are `parts` matrices, one below the other.
    fn new(start: usize, parts: usize, shape: &[usize]) -> Self {
        Self {
            start,
            count: parts,
            shape: [shape[0] / parts, shape[1]],
        }
    }

    /// The matrices `[count, rows, columns]` as a view of a buffer.
    pub fn of(&self, flat: &Tensor) -> Tensor {
        let [rows, columns] = self.shape;
        let shape = [self.count as i64, rows as i64, columns as i64];
        flat.narrow(0, self.start as i64, shape.iter().product())
            .view(shape)
    }
}

/// What lies where in the buffer.
struct Layout {
    hidden: Vec<Stack>,
    hidden_end: usize,
    matrices_end: usize,
    /// Numbers in all.
    count: usize,
}

impl Layout {
    fn of(order: &[Parameter]) -> Self {
        let mut stacks: Vec<(&str, Stack)> = Vec::new();
        let (mut hidden_end, mut matrices_end, mut start) = (0, 0, 0);
        for (section, _, shape) in order {
            let end = start + shape.iter().product::<usize>();
            match section {
                Section::Hidden(role) => {
                    // Queries, keys and values are three matrices, one below the other.
                    let parts = if role.contains("to_qkv") { 3 } else { 1 };
                    match stacks.last_mut() {
                        Some((last, stack)) if last == role => stack.count += parts,
                        _ => stacks.push((role, Stack::new(start, parts, shape))),
                    }
                    (hidden_end, matrices_end) = (end, end);
                }
                Section::OtherMatrix => matrices_end = end,
                Section::Rest => {}
            }
            start = end;
        }
        Self {
            hidden: stacks.into_iter().map(|(_, stack)| stack).collect(),
            hidden_end,
            matrices_end,
            count: start,
        }
    }
}

/// A parameter's section, name and shape.
type Parameter = (Section, String, Vec<usize>);

/// The parameters in the buffer's order.
fn order(config: &VitConfig) -> Vec<Parameter> {
    let mut order: Vec<_> = config
        .parameters()
        .into_iter()
        .map(|parameter| {
            let is_matrix = matches!(parameter.kind, ParameterKind::Linear { .. })
                && parameter.shape.len() == 2;
            let section = match parameter.name.strip_prefix("transformer.layers.") {
                Some(rest) if is_matrix => Section::Hidden(
                    rest.split_once('.')
                        .map_or(rest, |(_, role)| role)
                        .to_owned(),
                ),
                None if is_matrix => Section::OtherMatrix,
                _ => Section::Rest,
            };
            (section, parameter.name, parameter.shape)
        })
        .collect();
    order.sort_by(|(a, ..), (b, ..)| a.cmp(b)); // stable: layers stay in order
    order
}

#[cfg(test)]
mod tests {
    use proto::config::Preset;
    use tch::Device;

    use super::*;

    #[test]
    fn the_network_and_the_buffer_are_one() {
        tch::manual_seed(1);
        let vit = Vit::new(&Preset::Nano.config(), Device::Cpu, 0.02);
        let before = vit.variables();
        let copies: Vec<_> = before
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.detach().copy()))
            .collect();
        let parameters = Parameters::new(&vit);
        assert_eq!(parameters.count(), vit.config().parameter_count());
        for (name, copy) in &copies {
            assert_eq!(&vit.variables()[name], copy, "{name}");
        }
        tch::no_grad(|| drop(parameters.flat.shallow_clone().fill_(2.0)));
        assert!(
            vit.variables()
                .values()
                .all(|tensor| tensor.eq(2.0).all().int64_value(&[]) == 1)
        );
    }

    #[test]
    fn matrices_come_first_and_equal_ones_lie_together() {
        let config = Preset::Nano.config();
        let vit = Vit::new(&config, Device::Cpu, 0.02);
        let parameters = Parameters::new(&vit);
        let layer_1 = parameters
            .hidden
            .iter()
            .find(|stack| stack.shape == [96, 96] && stack.count == 12);
        let queries = layer_1
            .expect("queries, keys and values of four layers")
            .of(&parameters.flat);
        let weight = &vit.variables()["transformer.layers.1.0.fn.to_qkv.weight"];
        assert_eq!(
            queries.get(4),
            weight.narrow(0, 96, 96).detach(),
            "keys of layer 1"
        );
        assert_eq!(
            parameters
                .hidden
                .iter()
                .map(|stack| stack.count)
                .sum::<usize>(),
            4 * 6
        );
        assert_eq!(
            parameters.hidden_matrices.end,
            4 * (3 * 96 * 96 + 96 * 96 + 2 * 96 * 192)
        );
        assert_eq!(
            parameters.matrices.end,
            parameters.hidden_matrices.end + 48 * 96 + 96 * 10
        );
    }

    #[test]
    fn the_gradient_has_the_buffers_order() {
        let config = VitConfig {
            dim: 8,
            layers: 2,
            heads: 2,
            dim_head: 4,
            mlp_dim: 8,
            ..Preset::Nano.config()
        };
        let vit = Vit::new(&config, Device::Cpu, 0.02);
        let parameters = Parameters::new(&vit);
        let loss = vit
            .variables()
            .iter()
            .fold(Tensor::from(0.0_f32), |sum, (_, tensor)| {
                sum + tensor.square().sum(Kind::Float)
            });
        let gradient = parameters.gradient(&loss);
        assert_eq!(gradient, &parameters.flat * 2.0);
    }
}
