//! The training loop: shuffle, augment, step, and one evaluation an epoch. It can stop after any
//! step and go on later.

use std::sync::atomic::{AtomicBool, Ordering};

use proto::config::VitConfig;
use tch::{Device, Kind, Reduction, Tensor};

use super::error::TrainError;
use super::history::{EpochRow, Progress, best_epoch};
use super::plan::Plan;
use super::random;
use crate::cifar10::Split;
use crate::evaluate::{Evaluation, evaluate};
use crate::images::Images;
use crate::kernels;
use crate::optimizer::{Moments, update_average};
use crate::parameters::Parameters;
use crate::recipe::{Precision, Recipe};
use crate::vit::{TrainingPass, Vit};

/// Images per forward pass of an evaluation; the result does not depend on it beyond rounding.
const EVALUATION_BATCH: usize = 100;
/// Steps between two looks at the losses where looking makes the host wait for a GPU.
const STEPS_BETWEEN_LOOKS: usize = 100;

/// What happens during training, for whoever shows and saves it.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step is done; so many images were trained on.
    Trained(usize),
    /// The epoch's steps are done; the test split comes next.
    Evaluating,
    Epoch(&'a EpochRow),
}

/// How [`Session::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Complete,
    Stopped,
}

/// A training run: everything that changes in it, and what it is made from.
#[derive(Debug)]
pub struct Session<'a> {
    pub vit: Vit,
    /// What decides the course.
    pub plan: Plan,
    pub progress: Progress,
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
        while self.progress.epochs() < self.plan.recipe.epochs {
            let order = random::shuffled(
                self.plan.train_samples,
                self.plan.seed,
                self.progress.epochs(),
            );
            while self.progress.step < self.steps_per_epoch {
                if stop.load(Ordering::Relaxed) {
                    self.check()?;
                    return Ok(End::Stopped);
                }
                let start = self.progress.step * self.plan.recipe.batch_size;
                self.step(&order[start..start + self.plan.recipe.batch_size])?;
                observe(self, Event::Trained(self.plan.recipe.batch_size))?;
            }
            self.check()?;
            observe(self, Event::Evaluating)?;
            let Some(test) = self.evaluate(stop) else {
                return Ok(End::Stopped);
            };
            let row = self.finish_epoch(&test)?;
            observe(self, Event::Epoch(&row))?;
        }
        Ok(End::Complete)
    }

    /// One step on these images.
    fn step(&mut self, indices: &[usize]) -> Result<(), TrainError> {
        let step_of_run = self.progress.epochs() * self.steps_per_epoch + self.progress.step;
        let loss = self.forward(indices, random::step_key(self.plan.seed, step_of_run));
        let gradient = self.parameters.gradient(&loss);
        if self.plan.recipe.precision == Precision::Tf32 {
            kernels::allow_tf32(false); // `forward` allowed it; evaluation is float32
        }
        self.update(&gradient, step_of_run);
        // Kept on the device: reading every loss would make a GPU wait for the host at each step.
        self.losses
            .get(self.progress.step as i64)
            .copy_(&loss.detach());
        self.progress.step += 1;
        let steps_between_looks = match self.vit.device() {
            Device::Cpu => 1,
            _ => STEPS_BETWEEN_LOOKS,
        };
        if self.progress.step.is_multiple_of(steps_between_looks) {
            self.check_last_losses(steps_between_looks)
        } else {
            Ok(())
        }
    }

    /// The loss on these images as training computes it.
    fn forward(&self, indices: &[usize], key: u64) -> Tensor {
        let Plan { recipe, seed, .. } = &self.plan;
        let epoch = self.progress.epochs();
        let (images, labels) = self.train.batch(indices, |image| {
            random::augmentation(recipe, *seed, epoch, image)
        });
        if self.vit.device() != Device::Cpu {
            tch::manual_seed(key as i64); // for dropout
        }
        let pass = TrainingPass {
            kind: recipe.precision.kind(),
            dropout_key: key,
            kept_patches: self.kept_patches(indices),
        };
        if recipe.precision == Precision::Tf32 {
            kernels::allow_tf32(true);
        }
        let logits = self.vit.forward_train(&images, &pass);
        let smoothing = recipe.label_smoothing;
        logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -100, smoothing)
    }

    /// The patches that take part in each of these images, `[batch, kept]`; `None` when all do.
    fn kept_patches(&self, indices: &[usize]) -> Option<Tensor> {
        let patches = self.vit.config().patches();
        let kept = patches - (self.plan.recipe.patch_dropout * patches as f64).round() as usize;
        if kept == patches {
            return None;
        }
        let (seed, epoch) = (self.plan.seed, self.progress.epochs());
        let numbers = random::kept_patches(patches, kept, seed, epoch, indices);
        Some(
            Tensor::from_slice(&numbers)
                .view([indices.len() as i64, -1]) // [batch, kept]
                .to_device(self.vit.device()),
        )
    }

    /// Moves the parameters, and their average if there is one, by one step.
    fn update(&mut self, gradient: &Tensor, step_of_run: usize) {
        let recipe = &self.plan.recipe;
        let rate = recipe.learning_rate_at(step_of_run, self.steps_per_epoch);
        self.moments.update(
            &mut self.parameters,
            gradient,
            recipe,
            step_of_run + 1,
            rate,
        );
        if let Some(average) = &mut self.average {
            let decay = recipe.weight_average;
            update_average(average, &self.parameters, decay, step_of_run);
        }
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

    /// Measures the weights that would be saved now; `None` when told to stop meanwhile.
    fn evaluate(&mut self, stop: &AtomicBool) -> Option<Evaluation> {
        self.with_result(|session| {
            evaluate(&session.vit, &session.test, EVALUATION_BATCH, |_| {
                !stop.load(Ordering::Relaxed)
            })
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
