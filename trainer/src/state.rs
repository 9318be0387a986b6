//! A training run as one file, from which it goes on as if it had never stopped.
//!
//! A `.safetensors` file: the parameters in the order of [`crate::parameters`], the optimizer's two
//! moments, the averaged parameters if there are any, those of the best epoch, and the losses of
//! the epoch under way; [`Description`] as JSON in its metadata.

use std::io;
use std::path::{Path, PathBuf};

use proto::config::{ConfigError, VitConfig};
use proto::regular_file;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, SafeTensorError};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::device::{LIBTORCH_VERSION, device_name};
use crate::tensor_file;
use crate::train::{EpochRow, Plan, PlanError, Progress, Session};

/// The key of the header's metadata.
const METADATA_KEY: &str = "vit_part_state";

/// What a state says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub config: VitConfig,
    /// What decides the course of the run.
    pub plan: Plan,
    pub progress: Progress,
    /// What it ran on so far; another machine rounds differently in the last bits.
    pub machine: Machine,
}

/// What rounding depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Device trained on.
    pub device: String,
    /// Threads of one operation.
    pub threads: usize,
    pub libtorch: String,
    /// Model of the processor.
    pub cpu: String,
}

/// Why a state cannot be written or used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct StateError {
    pub path: PathBuf,
    pub fault: StateFault,
}

/// The rule that a state file breaks.
#[derive(Debug, thiserror::Error)]
pub enum StateFault {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Not the format.
    #[error("not a valid state of a training run: {0}")]
    Format(#[from] SafeTensorError),
    /// The description is absent or cannot be understood.
    #[error("not a state of a training run of this version: `{METADATA_KEY}` in its metadata: {0}")]
    Description(String),
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The network is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A row of the history cannot be.
    #[error("row {row} of its history cannot be: {found:?}")]
    History {
        /// The row, from 1.
        row: usize,
        found: Box<EpochRow>,
    },
    /// A number is infinite or not a number.
    #[error("tensor `{0}` holds an infinite number, or what is none")]
    NotFinite(&'static str),
    /// A tensor does not fit the network.
    #[error("tensor `{name}`: expected {expected} float32 numbers, found {found}")]
    Tensor {
        name: &'static str,
        expected: usize,
        found: String,
    },
    /// The run is further than its recipe goes.
    #[error("{epochs} epochs and {steps} steps done: more than the recipe has")]
    TooFar {
        epochs: usize,
        /// Steps done in the next one.
        steps: usize,
    },
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            device,
            threads,
            libtorch,
            cpu,
        } = self;
        write!(
            f,
            "{device} ({cpu}, {threads} threads, libtorch {libtorch})"
        )
    }
}

impl Description {
    /// Refuses what no run can have written.
    fn check(&self) -> Result<(), StateFault> {
        self.config.validate()?;
        self.plan.validate()?;
        for (index, row) in self.progress.history.iter().enumerate() {
            let numbers = [row.learning_rate, row.train_loss, row.test_loss];
            let fits = row.epoch == index + 1
                && row.test_samples == self.plan.test_samples
                && row.test_correct <= row.test_samples
                && numbers.iter().all(|number| number.is_finite());
            if !fits {
                return Err(StateFault::History {
                    row: index + 1,
                    found: Box::new(row.clone()),
                });
            }
        }
        Ok(())
    }
}

impl Machine {
    /// This one.
    pub fn current(device: tch::Device) -> Self {
        Self {
            device: device_name(device),
            threads: tch::get_num_threads().max(1) as usize,
            libtorch: LIBTORCH_VERSION.to_owned(),
            cpu: console::host::cpu_name(),
        }
    }
}

/// Writes the state of a run; the file is whole or the old one.
pub fn save(path: &Path, session: &Session<'_>) -> Result<(), StateError> {
    let description = Description {
        config: session.vit.config().clone(),
        plan: session.plan.clone(),
        progress: session.progress.clone(),
        machine: Machine::current(session.vit.device()),
    };
    let metadata = serde_json::to_string(&description).expect("plain data is JSON");
    let tensors = tensors(session)
        .into_iter()
        .map(|(name, tensor)| (name.to_owned(), tensor))
        .collect();
    tensor_file::write(path, METADATA_KEY, metadata, tensors).map_err(|fault| StateError {
        path: path.to_owned(),
        fault: fault.into(),
    })
}

/// Everything that changes, by name.
fn tensors(session: &Session<'_>) -> Vec<(&'static str, Tensor)> {
    let mut tensors = vec![
        ("parameters", session.parameters.flat.shallow_clone()),
        ("mean", session.moments.mean.shallow_clone()),
        ("square", session.moments.square.shallow_clone()),
        ("losses", session.losses.shallow_clone()),
        ("best", session.best.shallow_clone()),
    ];
    tensors.extend(
        session
            .average
            .as_ref()
            .map(|average| ("average", average.shallow_clone())),
    );
    tensors
}

/// A state file that was read, but not yet given to a session.
#[derive(Debug)]
pub struct SavedState {
    path: PathBuf,
    bytes: Vec<u8>,
    /// What it says about itself.
    pub description: Description,
}

impl SavedState {
    pub fn read(path: &Path) -> Result<Self, StateError> {
        Self::read_file(path).map_err(|fault| StateError {
            path: path.to_owned(),
            fault,
        })
    }

    fn read_file(path: &Path) -> Result<Self, StateFault> {
        let bytes = regular_file::read(path)?;
        let (_, header) = SafeTensors::read_metadata(&bytes)?;
        let text = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(METADATA_KEY))
            .ok_or_else(|| StateFault::Description("absent".to_owned()))?;
        let description: Description = serde_json::from_str(text)
            .map_err(|error| StateFault::Description(error.to_string()))?;
        description.check()?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
            description,
        })
    }

    /// Puts a fresh session of the same config and plan where this run was.
    pub fn restore(self, session: &mut Session<'_>) -> Result<(), StateError> {
        let Self {
            path,
            bytes,
            description,
        } = self;
        restore(&bytes, description.progress, session).map_err(|fault| StateError { path, fault })
    }
}

fn restore(bytes: &[u8], progress: Progress, session: &mut Session<'_>) -> Result<(), StateFault> {
    let (epochs, steps) = (progress.epochs(), progress.step);
    let all_epochs = session.plan.recipe.epochs;
    let most_steps = if epochs == all_epochs {
        0
    } else {
        session.losses.numel()
    };
    if epochs > all_epochs || steps > most_steps {
        return Err(StateFault::TooFar { epochs, steps });
    }
    let file = SafeTensors::deserialize(bytes)?;
    let _no_grad = tch::no_grad_guard();
    for (name, mut tensor) in tensors(session) {
        let expected = tensor.numel();
        let view = file.tensor(name)?;
        if view.dtype() != Dtype::F32 || view.shape() != [expected] {
            return Err(StateFault::Tensor {
                name,
                expected,
                found: format!("{:?} of shape {:?}", view.dtype(), view.shape()),
            });
        }
        let numbers = Tensor::from_data_size(view.data(), &[expected as i64], Kind::Float);
        tensor.copy_(&numbers);
        if tensor.isfinite().all().int64_value(&[]) == 0 {
            return Err(StateFault::NotFinite(name));
        }
    }
    session.progress = progress;
    Ok(())
}
