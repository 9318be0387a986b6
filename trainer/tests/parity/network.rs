//! The network, module for module.

use std::collections::HashMap;

use proto::config::Pool;
use tch::{Kind, Tensor};
use trainer::vit::TrainingPass;

use super::fixtures::reference;

fn assert_close(what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let error = (found - expected).abs().max().double_value(&[]);
    // A NaN compares false, so the comparison is written to fail on it.
    assert!(
        error <= tolerance,
        "{what}: largest absolute error {error:e}, tolerance {tolerance:e}"
    );
}

/// In PyTorch on a Zen 4 CPU, AVX2 kernels instead of AVX-512 ones move the blocks of these models
/// by 3.3e-7 and the logits by 1.8e-7. A LayerNorm epsilon of 1e-6 instead of 1e-5 moves the logits
/// by 3.9e-6 or more, a tanh GELU by
/// 3.3e-5, q and k exchanged by 4.3e-2.
const ATTENTION_TOLERANCE: f64 = 1e-6;
const LOGITS_TOLERANCE: f64 = 2e-6;

fn network_equals_pytorch(name: &str, pool: Pool, has_to_out: bool) {
    let (vit, expected) = reference(name);
    assert_eq!(
        (vit.config().pool, vit.config().has_to_out()),
        (pool, has_to_out)
    );
    let mut seen = HashMap::new();
    let logits = tch::no_grad(|| {
        vit.forward_observed(&expected("image"), &mut |module, input, output| {
            let tensors = (input.shallow_clone(), output.shallow_clone());
            seen.insert(module.to_owned(), tensors);
        })
    });
    let (_, patches) = &seen["to_patch_embedding"];
    assert_close(
        "patch embedding",
        patches,
        &expected("patch_embedding"),
        ATTENTION_TOLERANCE,
    );
    let (input, output) = &seen["transformer.layers.0.0.fn"];
    assert_close(
        "attention input",
        input,
        &expected("attention_input"),
        ATTENTION_TOLERANCE,
    );
    assert_close(
        "attention output",
        output,
        &expected("attention_output"),
        ATTENTION_TOLERANCE,
    );
    for layer in 0..vit.config().layers {
        let (_, block) = &seen[&format!("transformer.layers.{layer}")];
        assert_close(
            &format!("block {layer}"),
            block,
            &expected(&format!("block.{layer}")),
            LOGITS_TOLERANCE,
        );
    }
    assert_close("logits", &logits, &expected("logits"), LOGITS_TOLERANCE);
}

#[test]
fn the_network_with_cls_pooling_equals_pytorchs() {
    network_equals_pytorch("vit_cls.safetensors", Pool::Cls, true);
}

#[test]
fn the_network_with_mean_pooling_equals_pytorchs() {
    network_equals_pytorch("vit_mean.safetensors", Pool::Mean, true);
}

#[test]
fn the_network_with_one_head_and_no_to_out_equals_pytorchs() {
    network_equals_pytorch("vit_one_head.safetensors", Pool::Cls, false);
}

#[test]
fn dropout_acts_in_training_alone() {
    let (vit, expected) = reference("vit_cls.safetensors");
    let image = expected("image");
    let pass = |dropout_key| TrainingPass {
        kind: Kind::Float,
        dropout_key,
        kept_patches: None,
    };
    let train = |key| vit.forward_train(&image, &pass(key));
    let distance = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
    assert_eq!(distance(&vit.forward(&image), &vit.forward(&image)), 0.0);
    assert_eq!(distance(&train(1), &train(1)), 0.0);
    assert!(distance(&train(1), &train(2)) > 1e-3);
}
