//! Steps of training, and the schedule.

use std::collections::BTreeMap;
use std::fs;

use proto::config::Preset;
use serde::Deserialize;
use tch::{Device, Tensor};
use trainer::images::Images;
use trainer::optimizer::Moments;
use trainer::parameters::Parameters;
use trainer::preprocess::Augmentation;
use trainer::recipe::Recipe;

use super::fixtures::{fixture, reference, twenty_images};

#[derive(Deserialize)]
struct TrainingFixture {
    learning_rate: f64,
    losses: Vec<f64>,
    cosine: BTreeMap<String, Vec<f64>>,
}

fn training_fixture() -> TrainingFixture {
    serde_json::from_str(&fs::read_to_string(fixture("training.json")).expect("fixture"))
        .expect("fixture")
}

/// Relative. Found on a Zen 4 CPU: at most 1e-7 over the 20 steps.
const LOSS_TOLERANCE: f64 = 1e-5;

#[test]
fn twenty_steps_of_adam_equal_pytorchs() {
    let (vit, _) = reference("vit_cls.safetensors");
    let (split, expected) = (twenty_images(), training_fixture());
    let mut parameters = Parameters::new(&vit);
    let mut moments = Moments::new(&parameters);
    let recipe = Recipe::of(Preset::Base);
    let images = Images::new(&split, vit.config().image_size, Device::Cpu);
    assert_eq!(expected.losses.len(), 20);
    for (step, expected_loss) in expected.losses.into_iter().enumerate() {
        let indices: Vec<usize> = (0..8).map(|k| (8 * step + k) % 20).collect();
        let (batch, labels) = images.batch(&indices, |_| Augmentation::NONE);
        // The network in the fixture has dropout, which PyTorch's run had not.
        let logits = vit.forward(&batch);
        let loss =
            logits.cross_entropy_loss::<Tensor>(&labels, None, tch::Reduction::Mean, -100, 0.0);
        let gradient = parameters.gradient(&loss);
        moments.update(
            &mut parameters,
            &gradient,
            &recipe,
            step + 1,
            expected.learning_rate,
        );
        let error = (loss.double_value(&[]) / expected_loss - 1.0).abs();
        assert!(
            error <= LOSS_TOLERANCE,
            "step {step}: relative error {error:e}"
        );
    }
}

#[test]
fn the_learning_rate_of_every_epoch_equals_cosine_annealings() {
    for (epochs, rates) in training_fixture().cosine {
        let recipe = Recipe {
            epochs: epochs.parse().expect("a number"),
            ..Recipe::of(Preset::Base)
        };
        assert_eq!(rates.len(), recipe.epochs);
        for (epoch, expected) in rates.into_iter().enumerate() {
            let found = recipe.learning_rate_at(epoch * 500, 500);
            // PyTorch's recurrence loses a few bits from epoch to epoch.
            assert!(
                (found - expected).abs() <= 1e-12 * recipe.learning_rate.max(expected),
                "epoch {epoch} of {epochs}"
            );
        }
    }
}
