//! The training loop: shuffle, augment, step, and one evaluation an epoch. It can stop after any
//! step and go on later.

use std::sync::atomic::{AtomicBool, Ordering};

use proto::config::VitConfig;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Reduction, Tensor};

use crate::cifar10::Split;
use crate::evaluate::{Evaluation, evaluate};
use crate::images::Images;
use crate::kernels;
use crate::optimizer::{Moments, update_average};
use crate::parameters::Parameters;
use crate::preprocess::Augmentation;
use crate::recipe::{Precision, Recipe, RecipeError};
use crate::vit::{TrainingPass, Vit};

/// Images per forward pass of an evaluation; the result does not depend on it beyond rounding.
const EVALUATION_BATCH: usize = 100;
/// Steps between two looks at the losses where looking makes the host wait for a GPU.
const STEPS_BETWEEN_LOOKS: usize = 100;

/// What decides the course of a training run, apart from the network. The same plan on the same
/// machine, with the same number of threads, gives the same weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The recipe, after all flags.
    pub recipe: Recipe,
    /// The number that every random choice derives from.
    pub seed: u64,
    /// Training images used.
    pub train_samples: usize,
    /// Test images used.
    pub test_samples: usize,
}

/// Images in the training split.
pub const TRAIN_IMAGES: usize = 50_000;
/// Images in the test split.
pub const TEST_IMAGES: usize = 10_000;
/// More would make the history longer than the header of a weights file may be.
pub const MOST_EPOCHS: usize = 100_000;

/// A plan that cannot be followed.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PlanError {
    /// A number of the recipe is out of its range.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A step needs more images than there are.
    #[error(
        "batch_size is {batch_size}, more than the {train_samples} training images\nhint: --batch-size {train_samples}"
    )]
    Batch {
        /// Images in a step.
        batch_size: usize,
        /// Training images.
        train_samples: usize,
    },
    /// A count is out of its range.
    #[error("{field} is {found}, expected {least} to {most}")]
    Range {
        /// The count.
        field: &'static str,
        /// Its value.
        found: usize,
        /// The least that would do.
        least: usize,
        /// The most that would do.
        most: usize,
    },
}

/// What an epoch came to. Everything here is a function of the plan, not of the clock.
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

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done in the epoch under way.
    pub step: usize,
    /// One row for each epoch that is complete.
    pub history: Vec<EpochRow>,
}

/// What happens during training, for whoever shows and saves it.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step is done; so many images were trained on.
    Trained(usize),
    /// The epoch's steps are done; the test split comes next.
    Evaluating,
    /// An epoch is done.
    Epoch(&'a EpochRow),
}

/// How [`Session::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All epochs are done.
    Complete,
    /// It was told to stop.
    Stopped,
}

/// Why training cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss is infinite or not a number.
    #[error(
        "the loss became {loss} in step {step} of epoch {epoch}\n\
         hint: a lower --learning-rate or --clip-norm 1 is the usual remedy"
    )]
    NotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// The step in the epoch, from 1.
        step: usize,
        /// Its loss.
        loss: f32,
    },
    /// A parameter or moment is infinite or not a number though no loss was.
    #[error(
        "the weights became infinite or not a number by step {step} of epoch {epoch}\n\
         hint: a lower --learning-rate or --clip-norm 1 is the usual remedy"
    )]
    ParametersNotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// The step in the epoch, from 1, after which it was noticed.
        step: usize,
    },
    /// The loss on the test split is infinite or not a number.
    #[error(
        "the test loss became {loss} after epoch {epoch}\nhint: a lower --learning-rate is the usual remedy"
    )]
    TestNotFinite {
        /// The epoch, from 1.
        epoch: usize,
        /// The loss.
        loss: f64,
    },
}

impl EpochRow {
    /// Share of correctly classified test images, 0 to 1.
    pub fn test_accuracy(&self) -> f64 {
        self.test_correct as f64 / self.test_samples as f64
    }
}

impl Plan {
    /// Refuses what cannot be done with CIFAR-10.
    pub fn validate(&self) -> Result<(), PlanError> {
        self.recipe.validate()?;
        let Self {
            recipe: Recipe {
                batch_size, epochs, ..
            },
            train_samples,
            test_samples,
            ..
        } = *self;
        for (field, found, least, most) in [
            ("train_samples", train_samples, 1, TRAIN_IMAGES),
            ("test_samples", test_samples, 1, TEST_IMAGES),
            ("batch_size", batch_size, 1, TRAIN_IMAGES),
            ("epochs", epochs, 0, MOST_EPOCHS),
        ] {
            if !(least..=most).contains(&found) {
                return Err(PlanError::Range {
                    field,
                    found,
                    least,
                    most,
                });
            }
        }
        if batch_size > train_samples && epochs > 0 {
            return Err(PlanError::Batch {
                batch_size,
                train_samples,
            });
        }
        Ok(())
    }
}

impl Progress {
    /// Epochs that are complete.
    pub fn epochs(&self) -> usize {
        self.history.len()
    }
}

/// The epoch with the best accuracy on the test split, the first of equals.
pub fn best_epoch(history: &[EpochRow]) -> Option<&EpochRow> {
    history.iter().reduce(|best, row| {
        if row.test_correct > best.test_correct {
            row
        } else {
            best
        }
    })
}

/// A training run: everything that changes in it, and what it is made from.
#[derive(Debug)]
pub struct Session<'a> {
    /// The network.
    pub vit: Vit,
    /// What decides the course.
    pub plan: Plan,
    /// How far it is.
    pub progress: Progress,
    /// The network's parameters.
    pub parameters: Parameters,
    /// The optimizer's memory.
    pub moments: Moments,
    /// The averaged parameters, if the recipe wants them.
    pub average: Option<Tensor>,
    /// The result of the best epoch on the test split; until there is one, of the initialisation.
    pub best: Tensor,
    /// The loss of each step of the epoch under way, `[steps]`, on the network's device.
    pub losses: Tensor,
    train: Images<'a>,
    test: Images<'a>,
    steps_per_epoch: usize,
}

impl<'a> Session<'a> {
    /// A run from its beginning. The plan is valid, and the splits are as long as it says.
    pub fn new(
        config: &VitConfig,
        plan: Plan,
        device: Device,
        train: &'a Split,
        test: &'a Split,
    ) -> Self {
        let Recipe {
            batch_size,
            weight_average,
            embedding_std,
            ..
        } = plan.recipe;
        let steps_per_epoch = train.len() / batch_size;
        tch::manual_seed(plan.seed as i64);
        let vit = Vit::new(config, device, embedding_std);
        let parameters = Parameters::new(&vit);
        Self {
            moments: Moments::new(&parameters),
            average: (weight_average > 0.0).then(|| parameters.flat.copy()),
            best: parameters.flat.copy(),
            losses: Tensor::zeros([steps_per_epoch as i64], (Kind::Float, device)),
            train: Images::new(train, config.image_size, device),
            test: Images::new(test, config.image_size, device),
            progress: Progress::default(),
            parameters,
            steps_per_epoch,
            vit,
            plan,
        }
    }

    /// Images that the steps of an epoch take.
    pub fn images_per_epoch(&self) -> usize {
        self.steps_per_epoch * self.plan.recipe.batch_size
    }

    /// Trains to the end, or until `stop` is set. `observe` may fail, which ends the run.
    pub fn run<E: From<TrainError>>(
        &mut self,
        stop: &AtomicBool,
        mut observe: impl FnMut(&mut Self, Event<'_>) -> Result<(), E>,
    ) -> Result<End, E> {
        let stopped = || stop.load(Ordering::Relaxed);
        while self.progress.epochs() < self.plan.recipe.epochs {
            let order = shuffled(
                self.plan.train_samples,
                self.plan.seed,
                self.progress.epochs(),
            );
            while self.progress.step < self.steps_per_epoch {
                if stopped() {
                    self.check()?;
                    return Ok(End::Stopped);
                }
                let start = self.progress.step * self.plan.recipe.batch_size;
                self.step(&order[start..start + self.plan.recipe.batch_size])?;
                observe(self, Event::Trained(self.plan.recipe.batch_size))?;
            }
            self.check()?;
            observe(self, Event::Evaluating)?;
            let Some(test) = self.evaluate(|| !stopped()) else {
                return Ok(End::Stopped);
            };
            let row = self.finish_epoch(&test)?;
            observe(self, Event::Epoch(&row))?;
        }
        Ok(End::Complete)
    }

    /// One step on these images.
    fn step(&mut self, indices: &[usize]) -> Result<(), TrainError> {
        let Plan { recipe, seed, .. } = &self.plan;
        let (epoch, step) = (self.progress.epochs(), self.progress.step);
        let step_of_run = epoch * self.steps_per_epoch + step;
        let key = step_key(*seed, step_of_run);
        let (images, labels) = self
            .train
            .batch(indices, |image| augmentation(recipe, *seed, epoch, image));
        if self.vit.device() != Device::Cpu {
            tch::manual_seed(key as i64); // for dropout
        }
        let pass = TrainingPass {
            kind: recipe.precision.kind(),
            dropout_key: key,
            kept_patches: self.kept_patches(indices, epoch),
        };
        let wants_tf32 = recipe.precision == Precision::Tf32;
        if wants_tf32 {
            kernels::allow_tf32(true); // until the gradient is there: evaluation is float32
        }
        let logits = self.vit.forward_train(&images, &pass);
        let loss = logits.cross_entropy_loss::<Tensor>(
            &labels,
            None,
            Reduction::Mean,
            -100,
            recipe.label_smoothing,
        );
        let gradient = self.parameters.gradient(&loss);
        if wants_tf32 {
            kernels::allow_tf32(false);
        }
        let rate = recipe.learning_rate_at(step_of_run, self.steps_per_epoch);
        self.moments.update(
            &mut self.parameters,
            &gradient,
            recipe,
            step_of_run + 1,
            rate,
        );
        if let Some(average) = &mut self.average {
            update_average(
                average,
                &self.parameters,
                recipe.weight_average,
                step_of_run,
            );
        }
        // Kept on the device: reading every loss would make a GPU wait for the host at each step.
        self.losses.get(step as i64).copy_(&loss.detach());
        self.progress.step += 1;
        let looks = if self.vit.device() == Device::Cpu {
            1
        } else {
            STEPS_BETWEEN_LOOKS
        };
        if self.progress.step.is_multiple_of(looks) {
            self.check_last_losses(looks)
        } else {
            Ok(())
        }
    }

    /// The patches that take part in each of these images, `[batch, kept]`; `None` when all do.
    fn kept_patches(&self, indices: &[usize], epoch: usize) -> Option<Tensor> {
        let patches = self.vit.config().patches();
        let kept = patches - (self.plan.recipe.patch_dropout * patches as f64).round() as usize;
        if kept == patches {
            return None;
        }
        let mut numbers: Vec<i64> = Vec::with_capacity(indices.len() * kept);
        for &image in indices {
            let mut random = generator(self.plan.seed, Purpose::Patches, epoch as u64);
            random.set_word_pos(4 * patches as u128 * image as u128); // more than a shuffle draws
            let mut order: Vec<i64> = (0..patches as i64).collect();
            numbers.extend_from_slice(order.partial_shuffle(&mut random, kept.max(1)).0);
        }
        let shape = [indices.len() as i64, -1];
        Some(
            Tensor::from_slice(&numbers)
                .view(shape)
                .to_device(self.vit.device()),
        )
    }

    /// Fails with the first loss of the epoch so far that is not finite, or when a parameter or
    /// moment is not: what passes may be saved.
    fn check(&self) -> Result<(), TrainError> {
        self.check_last_losses(self.progress.step)?;
        let buffers = [
            &self.parameters.flat,
            &self.moments.mean,
            &self.moments.square,
        ];
        if buffers
            .iter()
            .all(|buffer| buffer.isfinite().all().int64_value(&[]) == 1)
        {
            return Ok(());
        }
        Err(TrainError::ParametersNotFinite {
            epoch: self.progress.epochs() + 1,
            step: self.progress.step,
        })
    }

    fn check_last_losses(&self, count: usize) -> Result<(), TrainError> {
        let done = self.progress.step;
        let losses = self.losses_of(done - count.min(done)..done);
        match losses.iter().position(|loss| !loss.is_finite()) {
            None => Ok(()),
            Some(index) => Err(TrainError::NotFinite {
                epoch: self.progress.epochs() + 1,
                step: done - losses.len() + index + 1,
                loss: losses[index],
            }),
        }
    }

    fn losses_of(&self, steps: std::ops::Range<usize>) -> Vec<f32> {
        let losses = self
            .losses
            .narrow(0, steps.start as i64, steps.len() as i64);
        Vec::try_from(losses).expect("a one-dimensional float32 tensor")
    }

    /// Measures the weights that would be saved now.
    fn evaluate(&mut self, go_on: impl Fn() -> bool) -> Option<Evaluation> {
        self.with_result(|session| {
            evaluate(&session.vit, &session.test, EVALUATION_BATCH, |_| go_on())
        })
    }

    /// Does something while the network has the weights that are a result: averaged ones, if the
    /// recipe wants them.
    pub fn with_result<T>(&mut self, act: impl FnOnce(&Self) -> T) -> T {
        match self.average.as_ref().map(Tensor::shallow_clone) {
            Some(average) => self.with_parameters(&average, act),
            None => act(self),
        }
    }

    /// Does something while the network has the weights of the best epoch.
    pub fn with_best<T>(&mut self, act: impl FnOnce(&Self) -> T) -> T {
        self.with_parameters(&self.best.shallow_clone(), act)
    }

    fn with_parameters<T>(&mut self, flat: &Tensor, act: impl FnOnce(&Self) -> T) -> T {
        let _no_grad = tch::no_grad_guard();
        let raw = self.parameters.flat.copy();
        self.parameters.flat.copy_(flat);
        let result = act(self);
        self.parameters.flat.copy_(&raw);
        result
    }

    fn finish_epoch(&mut self, test: &Evaluation) -> Result<EpochRow, TrainError> {
        let epoch = self.progress.epochs();
        if !test.loss.is_finite() {
            return Err(TrainError::TestNotFinite {
                epoch: epoch + 1,
                loss: test.loss,
            });
        }
        let losses = self.losses_of(0..self.steps_per_epoch);
        let row = EpochRow {
            epoch: epoch + 1,
            learning_rate: self
                .plan
                .recipe
                .learning_rate_at(epoch * self.steps_per_epoch, self.steps_per_epoch),
            train_loss: losses.iter().map(|&loss| f64::from(loss)).sum::<f64>()
                / losses.len() as f64,
            test_loss: test.loss,
            test_correct: test.correct,
            test_samples: test.samples,
        };
        self.progress.history.push(row.clone());
        self.progress.step = 0;
        if best_epoch(&self.progress.history) == Some(&row) {
            let _no_grad = tch::no_grad_guard();
            self.best
                .copy_(self.average.as_ref().unwrap_or(&self.parameters.flat));
        }
        Ok(row)
    }
}

/// What a random number is for; each purpose has a generator of its own.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
enum Purpose {
    Order = 0x5f5f_6f72_6465_7221,
    Dropout = 0x5f64_726f_706f_7574,
    Patches = 0x5f70_6174_6368_6573,
}

fn generator(seed: u64, purpose: Purpose, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ purpose as u64);
    random.set_stream(stream);
    random
}

/// The order in which an epoch visits the images: a pure function of its arguments.
fn shuffled(images: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut generator(seed, Purpose::Order, epoch as u64));
    order
}

/// What decides the dropout of a step, apart from that of all others.
fn step_key(seed: u64, step_of_run: usize) -> u64 {
    generator(seed, Purpose::Dropout, step_of_run as u64).next_u64()
}

fn augmentation(recipe: &Recipe, seed: u64, epoch: usize, image: usize) -> Augmentation {
    let drawn = Augmentation::draw(seed, epoch, image);
    Augmentation {
        top: if recipe.crop {
            drawn.top
        } else {
            Augmentation::NONE.top
        },
        left: if recipe.crop {
            drawn.left
        } else {
            Augmentation::NONE.left
        },
        flip: recipe.flip && drawn.flip,
    }
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

    #[test]
    fn the_best_epoch_is_the_first_of_equals() {
        let row = |epoch, test_correct| EpochRow {
            epoch,
            test_correct,
            learning_rate: 0.0,
            train_loss: 0.0,
            test_loss: 0.0,
            test_samples: 10,
        };
        let history = [row(1, 3), row(2, 7), row(3, 7), row(4, 5)];
        assert_eq!(best_epoch(&history).map(|row| row.epoch), Some(2));
    }
}
