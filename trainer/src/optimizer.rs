//! The update rules, each over the whole buffer of parameters at once.

use tch::{Kind, Tensor};

use crate::kernels::{self, AdamStep};
use crate::parameters::{Parameters, Stack};
use crate::recipe::{Optimizer, Recipe};

/// Coefficients of the quintic Newton-Schulz iteration that makes all singular values of a matrix
/// nearly 1, and how often it is applied: Keller Jordan, "Muon: An optimizer for hidden layers in
/// neural networks" (2024).
const NEWTON_SCHULZ: [f64; 3] = [3.4445, -4.7750, 2.0315];
const NEWTON_SCHULZ_STEPS: usize = 5;
/// Root mean square of an AdamW update, which Muon's is scaled to (arXiv:2502.16982, section 2.2).
const ADAMW_UPDATE_RMS: f64 = 0.2;

/// What an optimizer remembers between steps: two buffers in the order of the parameters.
#[derive(Debug)]
pub struct Moments {
    /// The first moment; for matrices under Muon, the momentum.
    pub mean: Tensor,
    /// The second moment; unused for matrices under Muon.
    pub square: Tensor,
}

impl Moments {
    /// Before the first step.
    pub fn new(parameters: &Parameters) -> Self {
        Self {
            mean: parameters.flat.zeros_like(),
            square: parameters.flat.zeros_like(),
        }
    }

    /// One step in place; `step` counts from 1.
    pub fn update(
        &mut self,
        parameters: &mut Parameters,
        gradient: &Tensor,
        recipe: &Recipe,
        step: usize,
        rate: f64,
    ) {
        let _no_grad = tch::no_grad_guard();
        let gradient = &clipped(gradient, recipe.clip_norm);
        let (matrices, count) = (parameters.matrices.end, parameters.count());
        let mut adam_from = 0;
        if recipe.optimizer == Optimizer::Muon {
            for stack in &parameters.hidden {
                muon(stack, &parameters.flat, gradient, &self.mean, recipe, rate);
            }
            adam_from = parameters.hidden_matrices.end;
        }
        for (start, end, weight_decay) in [
            (adam_from, matrices, recipe.weight_decay),
            (matrices, count, 0.0),
        ] {
            let section = |buffer: &Tensor| buffer.narrow(0, start as i64, (end - start) as i64);
            let Recipe { beta1, beta2, .. } = *recipe;
            let numbers = AdamStep {
                step,
                learning_rate: rate,
                beta1,
                beta2,
                weight_decay,
            };
            let moments = [&section(&self.mean), &section(&self.square)];
            kernels::adam(
                &section(&parameters.flat),
                &section(gradient),
                moments,
                numbers,
            );
        }
    }
}

/// The gradient, shortened to a norm if it is longer. One that is not a number stays so, to be
/// noticed.
fn clipped(gradient: &Tensor, norm: f64) -> Tensor {
    if norm == 0.0 {
        return gradient.shallow_clone();
    }
    let found = gradient.norm();
    let scale = ((&found + 1e-6).reciprocal() * norm).clamp_max(1.0);
    // An infinite norm would make the step 0, and nobody would notice.
    gradient
        * scale.where_self(
            &found.isfinite(),
            &Tensor::from(f32::NAN).to_device(found.device()),
        )
}

/// Muon with Nesterov momentum on equal matrices.
fn muon(
    stack: &Stack,
    parameters: &Tensor,
    gradient: &Tensor,
    momentum: &Tensor,
    recipe: &Recipe,
    rate: f64,
) {
    let (mut weights, gradient, mut momentum) =
        (stack.of(parameters), stack.of(gradient), stack.of(momentum));
    let _ = momentum.lerp_(&gradient, 1.0 - recipe.momentum);
    let update = orthogonalised(&gradient.lerp(&momentum, recipe.momentum));
    let longest = stack.shape.into_iter().max().unwrap_or_default() as f64;
    let _ = weights.g_mul_scalar_(1.0 - rate * recipe.weight_decay);
    weights -= update * (rate * ADAMW_UPDATE_RMS * longest.sqrt());
}

/// Matrices `[count, rows, columns]` with the same singular vectors and singular values near 1.
fn orthogonalised(matrices: &Tensor) -> Tensor {
    let is_tall = matrices.size()[1] > matrices.size()[2];
    let wide = if is_tall {
        matrices.transpose(1, 2)
    } else {
        matrices.shallow_clone()
    };
    let norms = wide.norm_scalaropt_dim(2.0, [1i64, 2].as_slice(), true); // [count, 1, 1]
    let mut x = wide / (norms + 1e-7);
    let [a, b, c] = NEWTON_SCHULZ;
    for _ in 0..NEWTON_SCHULZ_STEPS {
        let gram = x.bmm(&x.transpose(1, 2)); // [count, rows, rows]
        let polynomial = gram.bmm(&gram) * c + gram * b;
        x = polynomial.bmm(&x) + x * a;
    }
    if is_tall { x.transpose(1, 2) } else { x }
}

/// The decay of an average after so many steps: short at first, so that it does not remember the
/// initialisation.
fn average_decay(decay: f64, step: usize) -> f64 {
    decay.min((1 + step) as f64 / (10 + step) as f64)
}

/// Moves an average of the parameters one step.
pub fn update_average(average: &mut Tensor, parameters: &Parameters, decay: f64, step: usize) {
    let _no_grad = tch::no_grad_guard();
    let _ = average.lerp_(&parameters.flat, 1.0 - average_decay(decay, step));
    debug_assert_eq!(average.kind(), Kind::Float);
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn orthogonalised_matrices_have_singular_values_near_one() {
        tch::manual_seed(4);
        for shape in [[3, 16, 16], [2, 48, 16], [2, 16, 48]] {
            let x = orthogonalised(&Tensor::randn(shape, (Kind::Float, Device::Cpu)));
            assert_eq!(x.size(), shape);
            let (_, singular, _) = x.svd(true, false);
            let (least, most) = (
                singular.min().double_value(&[]),
                singular.max().double_value(&[]),
            );
            // The coefficients trade exactness for speed: values end between about 0.7 and 1.2.
            assert!(least > 0.3 && most < 1.3, "{shape:?}: {least} to {most}");
        }
    }

    #[test]
    fn clipping_shortens_and_keeps_what_is_not_a_number() {
        let gradient = Tensor::from_slice(&[3.0_f32, 4.0]);
        let norm = |clip: f64| clipped(&gradient, clip).norm().double_value(&[]);
        assert_eq!((norm(0.0), norm(10.0)), (5.0, 5.0));
        assert!((norm(1.0) - 1.0).abs() < 1e-6);
        let nan = Tensor::from_slice(&[f32::NAN, 1.0]);
        assert!(clipped(&nan, 1.0).isnan().all().int64_value(&[]) == 1);
        let huge = Tensor::from_slice(&[3e38_f32, 3e38]);
        assert!(clipped(&huge, 1.0).isnan().all().int64_value(&[]) == 1);
    }

    #[test]
    fn an_average_follows_quickly_at_first() {
        assert!((average_decay(0.999, 0) - 0.1).abs() < 1e-12);
        assert_eq!(average_decay(0.9, 1000), 0.9);
    }
}
