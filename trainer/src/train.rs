//! The training loop: shuffle, augment, step, and one evaluation an epoch.

use std::collections::HashMap;

use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::nn::{self, OptimizerConfig as _};
use tch::{Reduction, Tensor};

use crate::cifar10::Split;
use crate::evaluate::{Evaluation, evaluate, labels};
use crate::preprocess::{Augmentation, Preprocessor};
use crate::recipe::{Keep, Optimizer, Recipe};
use crate::vit::{NOT_DECAYED, Vit};

/// Images per forward pass of an evaluation; the result does not depend on it beyond rounding.
const EVALUATION_BATCH: usize = 100;

/// What an epoch came to. Everything here is a function of the command, not of the clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// From 1.
    pub epoch: usize,
    /// Learning rate of the epoch's first step.
    pub learning_rate: f64,
    /// Mean loss over the epoch's steps, label smoothing included, in nats.
    pub train_loss: f64,
    /// Mean cross-entropy on the test split, in nats.
    pub test_loss: f64,
    /// Correctly classified test images.
    pub test_correct: usize,
    /// Test images.
    pub test_samples: usize,
}

/// What happens during training, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step is done; so many images were trained on.
    Trained(usize),
    /// The epoch's steps are done; the test split comes next.
    Evaluating,
    /// An epoch is done.
    Epoch(&'a EpochRow),
}

/// What training gives back beside the network, whose parameters are those of the kept epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// One row an epoch.
    pub history: Vec<EpochRow>,
    /// The epoch whose weights were kept, from 1; 0 without any epoch.
    pub kept_epoch: usize,
}

/// Why training cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There are fewer images than a batch needs.
    #[error("{samples} training images are less than one batch of {batch_size}")]
    TooFewImages {
        /// Training images.
        samples: usize,
        /// Batch size.
        batch_size: usize,
    },
    /// The loss is infinite or not a number.
    #[error("the loss became {loss} in epoch {epoch}\nhint: a lower --lr is the usual remedy")]
    NotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// Its mean loss.
        loss: f64,
    },
}

impl EpochRow {
    /// Share of correctly classified test images, 0 to 1.
    pub fn test_accuracy(&self) -> f64 {
        self.test_correct as f64 / self.test_samples as f64
    }
}

/// Trains a network in place. Every random choice derives from `seed`.
pub fn train(
    vit: &Vit,
    recipe: &Recipe,
    seed: u64,
    train_split: &Split,
    test_split: &Split,
    mut observe: impl FnMut(Event<'_>),
) -> Result<Outcome, TrainError> {
    let steps_per_epoch = train_split.len() / recipe.batch_size;
    if steps_per_epoch == 0 && recipe.epochs > 0 {
        return Err(TrainError::TooFewImages { samples: train_split.len(), batch_size: recipe.batch_size });
    }
    let preprocessor = Preprocessor::new(vit.config().image_size);
    let mut optimizer = build_optimizer(vit.store(), recipe);
    let mut history: Vec<EpochRow> = Vec::new();
    let mut best: Option<(usize, HashMap<String, Tensor>)> = None;

    for epoch in 0..recipe.epochs {
        tch::manual_seed(dropout_seed(seed, epoch));
        let order = shuffled(train_split.len(), seed, epoch);
        let mut loss_sum = Tensor::zeros([], (tch::Kind::Float, vit.device()));
        for (step, indices) in order.chunks_exact(recipe.batch_size).enumerate() {
            optimizer.set_lr(recipe.learning_rate_at(epoch * steps_per_epoch + step, steps_per_epoch));
            let augmentation = |image| augmentation(recipe, seed, epoch, image);
            let images = preprocessor.augmented_batch(train_split, indices, augmentation).to_device(vit.device());
            let labels = labels(train_split, indices).to_device(vit.device());
            let loss = vit.forward_train(&images, recipe.precision.kind()).cross_entropy_loss::<Tensor>(
                &labels,
                None,
                Reduction::Mean,
                -100,
                recipe.label_smoothing,
            );
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            // Summed on the device: reading every loss would make a GPU wait for the host at each step.
            loss_sum += loss.detach();
            observe(Event::Trained(indices.len()));
        }
        let train_loss = loss_sum.double_value(&[]) / steps_per_epoch as f64;
        if !train_loss.is_finite() {
            return Err(TrainError::NotFinite { epoch: epoch + 1, loss: train_loss });
        }
        observe(Event::Evaluating);
        let test = evaluate(vit, test_split, EVALUATION_BATCH, |_| {});
        if !test.loss.is_finite() {
            return Err(TrainError::NotFinite { epoch: epoch + 1, loss: test.loss });
        }
        let row =
            epoch_row(epoch, recipe.learning_rate_at(epoch * steps_per_epoch, steps_per_epoch), train_loss, &test);
        observe(Event::Epoch(&row));
        if recipe.keep == Keep::Best && history.iter().all(|earlier| earlier.test_correct < row.test_correct) {
            best = Some((row.epoch, copies(vit)));
        }
        history.push(row);
    }
    let kept_epoch = match best {
        None => history.len(),
        Some((epoch, parameters)) => {
            let _no_grad = tch::no_grad_guard();
            for (name, mut variable) in vit.variables() {
                variable.copy_(&parameters[&name]);
            }
            epoch
        }
    };
    Ok(Outcome { history, kept_epoch })
}

fn build_optimizer(store: &nn::VarStore, recipe: &Recipe) -> nn::Optimizer {
    let built = match recipe.optimizer {
        Optimizer::Adam { beta1, beta2 } => nn::adam(beta1, beta2, 0.0).build(store, recipe.learning_rate),
        Optimizer::AdamW { beta1, beta2, weight_decay } => {
            nn::adamw(beta1, beta2, weight_decay).build(store, recipe.learning_rate).map(|mut optimizer| {
                optimizer.set_weight_decay_group(NOT_DECAYED, 0.0);
                optimizer
            })
        }
    };
    built.expect("an optimizer over the parameters of one network")
}

/// The order in which an epoch visits the images: a pure function of its arguments.
fn shuffled(images: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5f5f_6f72_6465_7221); // apart from augmentation's generator
    random.set_stream(epoch as u64);
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut random);
    order
}

/// The seed of libtorch's generator in an epoch, apart from that of the initialisation and of other epochs.
fn dropout_seed(seed: u64, epoch: usize) -> i64 {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x5f64_726f_706f_7574);
    random.set_stream(epoch as u64);
    random.next_u64() as i64
}

fn augmentation(recipe: &Recipe, seed: u64, epoch: usize, image: usize) -> Augmentation {
    let drawn = Augmentation::draw(seed, epoch, image);
    Augmentation {
        top: if recipe.crop { drawn.top } else { Augmentation::NONE.top },
        left: if recipe.crop { drawn.left } else { Augmentation::NONE.left },
        flip: recipe.flip && drawn.flip,
    }
}

fn epoch_row(epoch: usize, learning_rate: f64, train_loss: f64, test: &Evaluation) -> EpochRow {
    EpochRow {
        epoch: epoch + 1,
        learning_rate,
        train_loss,
        test_loss: test.loss,
        test_correct: test.correct,
        test_samples: test.samples,
    }
}

fn copies(vit: &Vit) -> HashMap<String, Tensor> {
    vit.variables().into_iter().map(|(name, variable)| (name, variable.detach().copy())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_every_image_once_in_its_own_order() {
        let first = shuffled(1000, 1, 0);
        assert_eq!(first, shuffled(1000, 1, 0));
        assert_ne!(first, shuffled(1000, 1, 1));
        assert_ne!(first, shuffled(1000, 2, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
    }
}
