//! How a network is trained, as plain data: optimizer, schedule, augmentation and what is kept.

use std::f64::consts::PI;

use proto::config::{Preset, VitConfig};
use proto::preprocessing::CIFAR10_IMAGE_SIZE;
use serde::{Deserialize, Serialize};

/// Every number of a training run that is not the network's own. All have a flag of the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Images in a step; a last short batch is dropped.
    pub batch_size: usize,
    /// Passes over the training images.
    pub epochs: usize,
    pub learning_rate: f64,
    pub optimizer: Optimizer,
    /// Decay of Adam's first moment.
    pub beta1: f64,
    /// Decay of Adam's second moment.
    pub beta2: f64,
    /// Decay of Muon's momentum.
    pub momentum: f64,
    /// Decoupled decay of the matrices; nothing else decays.
    pub weight_decay: f64,
    /// Gradients longer than this are shortened to it; 0 leaves them as they are.
    pub clip_norm: f64,
    /// Course of the learning rate.
    pub schedule: Schedule,
    /// Share of all steps in which the rate rises to its peak; only with a schedule that has a
    /// warm-up.
    pub warmup: f64,
    /// Share of the target spread evenly over all classes.
    pub label_smoothing: f64,
    /// Whether training images are cropped from a zero border of four pixels.
    pub crop: bool,
    /// Whether training images are mirrored at random.
    pub flip: bool,
    /// Share of the patches left out of each training image (arXiv:2208.07220), at random, to save
    /// time.
    pub patch_dropout: f64,
    /// Standard deviation of fresh positions and class token.
    pub embedding_std: f64,
    /// Decay per step of the averaged weights that are evaluated and saved; 0 evaluates and saves
    /// the weights themselves.
    pub weight_average: f64,
    /// Arithmetic of the matrix products in training; parameters, gradients and evaluation are
    /// always float32.
    pub precision: Precision,
    /// Which epoch's weights are kept.
    pub keep: Keep,
}

/// Update rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Adam without weight decay (arXiv:1412.6980), epsilon 1e-8 as in PyTorch.
    Adam,
    /// AdamW (arXiv:1711.05101), epsilon 1e-8 as in PyTorch; only matrices decay.
    #[value(name = "adamw")]
    AdamW,
    /// Muon for the matrices of the blocks, scaled to AdamW's step size (arXiv:2502.16982), AdamW
    /// for the rest.
    Muon,
}

/// Courses of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// PyTorch's `CosineAnnealingLR(T_max=epochs)`, stepped once an epoch, down to 0, no warm-up.
    CosinePerEpoch,
    /// Linear warm-up over a share of all steps, then cosine to 0, stepped every step.
    WarmupCosine,
    /// Linear warm-up over a share of all steps, then linear to 0, stepped every step.
    WarmupLinear,
}

/// Arithmetic of the matrix products in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32.
    F32,
    /// float32 with products rounded to TF32, on CUDA GPUs.
    Tf32,
    /// bfloat16 products of float32 parameters; slow on processors without instructions for it.
    Bf16,
}

/// Which epoch's weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The epoch with the best accuracy on the test split, as the Python repository does.
    Best,
    /// The last epoch.
    Last,
}

/// A recipe that cannot be followed.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("recipe: {field} is {found}, expected {expected}")]
pub struct RecipeError {
    pub field: &'static str,
    pub found: f64,
    pub expected: &'static str,
}

impl Recipe {
    /// The recipe that goes with a preset: the Python repository's for its three, the best found
    /// for the others.
    pub fn of(preset: Preset) -> Self {
        let python = Self {
            batch_size: 100,
            epochs: 100,
            learning_rate: 1e-4,
            optimizer: Optimizer::Adam,
            beta1: 0.9,
            beta2: 0.999,
            momentum: 0.95,
            weight_decay: 0.0,
            clip_norm: 0.0,
            schedule: Schedule::CosinePerEpoch,
            warmup: 0.0,
            label_smoothing: 0.0,
            crop: true,
            flip: true,
            patch_dropout: 0.0,
            embedding_std: 1.0,
            weight_average: 0.0,
            precision: Precision::F32,
            keep: Keep::Best,
        };
        // How each number was found: docs/training.md.
        let native = Self {
            batch_size: 128,
            epochs: 3,
            learning_rate: 4e-3,
            optimizer: Optimizer::Muon,
            beta2: 0.99,
            weight_decay: 0.05,
            schedule: Schedule::WarmupCosine,
            warmup: 0.1,
            label_smoothing: 0.1,
            crop: false,
            patch_dropout: 0.5,
            embedding_std: 0.02,
            keep: Keep::Last,
            ..python.clone()
        };
        match preset {
            Preset::Tiny | Preset::Small | Preset::Base => python,
            Preset::Nano => native,
            Preset::Micro => Self {
                epochs: 16,
                crop: true,
                ..native
            },
        }
    }

    /// The recipe of the preset with these numbers; else `tiny`'s for images larger than CIFAR-10's
    /// own, and `nano`'s for those.
    pub fn of_network(config: &VitConfig) -> Self {
        let like = match Preset::of(config) {
            Some(preset) => preset,
            None if config.image_size > CIFAR10_IMAGE_SIZE => Preset::Tiny,
            None => Preset::Nano,
        };
        Self::of(like)
    }

    /// Refuses numbers out of their range.
    pub fn validate(&self) -> Result<(), RecipeError> {
        for (field, found) in [
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("momentum", self.momentum),
            ("warmup", self.warmup),
            ("label_smoothing", self.label_smoothing),
            ("patch_dropout", self.patch_dropout),
            ("weight_average", self.weight_average),
        ] {
            let expected = "a number from 0 up to, but not including, 1";
            check((0.0..1.0).contains(&found), field, found, expected)?;
        }
        for (field, found) in [
            ("weight_decay", self.weight_decay),
            ("clip_norm", self.clip_norm),
            ("embedding_std", self.embedding_std),
            ("learning_rate", self.learning_rate),
        ] {
            let is_fine = found.is_finite() && found >= 0.0;
            check(is_fine, field, found, "a finite number, 0 or more")?;
        }
        check(
            self.optimizer != Optimizer::Adam || self.weight_decay == 0.0,
            "weight_decay",
            self.weight_decay,
            "0 with adam; adamw and muon have weight decay",
        )
    }

    /// The learning rate of a step, counted from 0 over the whole run.
    pub fn learning_rate_at(&self, step: usize, steps_per_epoch: usize) -> f64 {
        let total = (self.epochs * steps_per_epoch) as f64;
        let cosine = |progress: f64| 0.5 * (1.0 + (PI * progress).cos());
        let (done, warmup_steps) = (step as f64 + 1.0, (self.warmup * total).floor());
        let share = match self.schedule {
            Schedule::CosinePerEpoch => {
                cosine((step / steps_per_epoch) as f64 / self.epochs as f64)
            }
            _ if done <= warmup_steps => done / warmup_steps,
            // Of the steps after the warm-up; the last one still moves.
            Schedule::WarmupCosine => cosine((step as f64 - warmup_steps) / (total - warmup_steps)),
            Schedule::WarmupLinear => 1.0 - (step as f64 - warmup_steps) / (total - warmup_steps),
        };
        self.learning_rate * share
    }

    /// The fields in which another recipe differs, each with this one's value and the other's.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let others = other.fields();
        let pairs = self.fields().into_iter().map(|(name, value)| {
            let other = others[&name].to_string();
            (name, value.to_string(), other)
        });
        pairs.filter(|(_, own, other)| own != other).collect()
    }

    fn fields(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => unreachable!("a struct of plain fields is a JSON object"),
        }
    }
}

fn check(
    is_fine: bool,
    field: &'static str,
    found: f64,
    expected: &'static str,
) -> Result<(), RecipeError> {
    if is_fine {
        Ok(())
    } else {
        Err(RecipeError {
            field,
            found,
            expected,
        })
    }
}

impl Precision {
    /// libtorch's name for it.
    pub fn kind(self) -> tch::Kind {
        match self {
            Self::F32 | Self::Tf32 => tch::Kind::Float,
            Self::Bf16 => tch::Kind::BFloat16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_per_epoch_is_pytorchs() {
        // torch.optim.lr_scheduler.CosineAnnealingLR(Adam(lr=1e-4), T_max=4): get_last_lr() before
        // each epoch.
        let recipe = Recipe {
            epochs: 4,
            ..Recipe::of(Preset::Base)
        };
        let expected = [
            1e-4,
            8.535_533_905_932_738e-5,
            5e-5,
            1.464_466_094_067_262_6e-5,
        ];
        for (epoch, expected) in expected.into_iter().enumerate() {
            for step in [epoch * 500, epoch * 500 + 499] {
                assert!((recipe.learning_rate_at(step, 500) / expected - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn warm_up_rises_to_the_peak_and_the_rate_falls_to_zero() {
        for schedule in [Schedule::WarmupCosine, Schedule::WarmupLinear] {
            let recipe = Recipe {
                epochs: 2,
                schedule,
                warmup: 0.1,
                ..Recipe::of(Preset::Nano)
            };
            let rates: Vec<f64> = (0..200)
                .map(|step| recipe.learning_rate_at(step, 100))
                .collect();
            assert!((rates[0] - recipe.learning_rate / 20.0).abs() < 1e-15);
            assert!((rates[19] - recipe.learning_rate).abs() < 1e-15);
            assert!(rates[..20].is_sorted() && rates[20..].is_sorted_by(|a, b| a > b));
            assert!(rates[199] > 0.0 && rates[199] < 0.01 * recipe.learning_rate);
        }
    }

    #[test]
    fn the_rate_never_leaves_its_range() {
        for schedule in [
            Schedule::CosinePerEpoch,
            Schedule::WarmupCosine,
            Schedule::WarmupLinear,
        ] {
            for (warmup, epochs, steps) in [
                (0.1, 3, 5),
                (0.5, 1, 1),
                (0.6, 2, 2),
                (0.999, 20, 1),
                (0.0, 1, 1),
                (0.07, 7, 11),
            ] {
                let recipe = Recipe {
                    epochs,
                    schedule,
                    warmup,
                    ..Recipe::of(Preset::Nano)
                };
                for step in 0..epochs * steps {
                    let rate = recipe.learning_rate_at(step, steps);
                    assert!(
                        rate > 0.0 && rate <= recipe.learning_rate,
                        "{schedule:?} {warmup} step {step}: {rate}"
                    );
                }
            }
        }
    }

    #[test]
    fn differences_name_the_fields() {
        let recipe = Recipe::of(Preset::Base);
        assert_eq!(recipe.differences(&recipe), []);
        let other = Recipe {
            learning_rate: 1e-3,
            keep: Keep::Last,
            ..recipe.clone()
        };
        let text = |name: &str, own: &str, other: &str| {
            (name.to_owned(), own.to_owned(), other.to_owned())
        };
        let expected = [
            text("keep", "\"best\"", "\"last\""),
            text("learning_rate", "0.0001", "0.001"),
        ];
        let mut found = recipe.differences(&other);
        found.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        for preset in Preset::ALL {
            assert_eq!(Recipe::of(preset).validate(), Ok(()));
        }
        let base = Recipe::of(Preset::Base);
        let message = |recipe: Recipe| recipe.validate().expect_err("must be refused").to_string();
        assert!(
            message(Recipe {
                beta1: 1.0,
                ..base.clone()
            })
            .contains("beta1 is 1, expected a number from 0")
        );
        assert!(
            message(Recipe {
                patch_dropout: f64::NAN,
                ..base.clone()
            })
            .contains("patch_dropout is NaN")
        );
        assert!(
            message(Recipe {
                weight_decay: 0.1,
                ..base
            })
            .contains("weight_decay is 0.1, expected 0 with adam")
        );
    }
}
