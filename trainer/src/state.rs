//! A training run as one file, from which it goes on as if it had never stopped.
//!
//! A `.safetensors` file: the parameters in the order of [`crate::parameters`], the optimizer's two
//! moments, the averaged parameters if there are any, those of the best epoch, and the losses of
//! the epoch under way. In its metadata stand [`Description`] as JSON and the BLAKE3 of it and of
//! every tensor.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use proto::config::{ConfigError, VitConfig};
use proto::digest::blake3_bytes;
use proto::regular_file;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, SafeTensorError};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::device::{LIBTORCH_VERSION, device_name};
use crate::tensor_file::{self, shape_and_bytes};
use crate::train::{EpochRow, Plan, PlanError, Progress, Session};

#[cfg(test)]
mod tests;

/// The key of the description in the header's metadata, and in the digests.
const METADATA_KEY: &str = "vit_part_state";
/// The key of the digests in the header's metadata.
const DIGESTS_KEY: &str = "vit_part_state_blake3";

/// BLAKE3 of the description and of each tensor's bytes, hexadecimal, by name.
type Digests = BTreeMap<String, String>;

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
    /// Written before states had digests.
    #[error(
        "a state of an earlier version, which cannot be checked for damage: \
         no `{DIGESTS_KEY}` in its metadata"
    )]
    NoDigests,
    /// The digests cannot be understood.
    #[error("damaged: `{DIGESTS_KEY}` in its metadata: {0}")]
    Digests(String),
    /// Not what was written.
    #[error("damaged: the BLAKE3 of `{part}` is {found}, expected {expected}")]
    Damaged {
        /// The description's key or a tensor's name.
        part: String,
        expected: String,
        found: String,
    },
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
    let description = serde_json::to_string(&description).expect("plain data is JSON");
    let tensors: BTreeMap<String, Tensor> = tensors(session)
        .into_iter()
        .map(|(name, tensor)| (name.to_owned(), tensor))
        .collect();
    let mut digests = Digests::from([(
        METADATA_KEY.to_owned(),
        blake3_bytes(description.as_bytes()),
    )]);
    for (name, tensor) in &tensors {
        digests.insert(name.clone(), blake3_bytes(&shape_and_bytes(tensor).1));
    }
    let digests = serde_json::to_string(&digests).expect("plain data is JSON");
    let metadata = BTreeMap::from([(METADATA_KEY, description), (DIGESTS_KEY, digests)]);
    tensor_file::write(path, &metadata, &tensors).map_err(|error| StateError {
        path: path.to_owned(),
        fault: error.into(),
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
        let description = checked_description(&bytes)?;
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

/// What a file says about itself; refuses one that is not as it was written.
fn checked_description(bytes: &[u8]) -> Result<Description, StateFault> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let metadata = header.metadata().as_ref();
    let text = |key| metadata.and_then(|metadata| metadata.get(key));
    let description =
        text(METADATA_KEY).ok_or_else(|| StateFault::Description("absent".to_owned()))?;
    let digests = text(DIGESTS_KEY).ok_or(StateFault::NoDigests)?;
    check_digests(bytes, description, digests)?;
    let description: Description = serde_json::from_str(description)
        .map_err(|error| StateFault::Description(error.to_string()))?;
    description.check()?;
    Ok(description)
}

fn check_digests(bytes: &[u8], description: &str, digests: &str) -> Result<(), StateFault> {
    let digests: Digests =
        serde_json::from_str(digests).map_err(|error| StateFault::Digests(error.to_string()))?;
    let file = SafeTensors::deserialize(bytes)?;
    let tensors = file.iter().map(|(name, view)| (name, view.data()));
    for (part, bytes) in tensors.chain([(METADATA_KEY, description.as_bytes())]) {
        let found = blake3_bytes(bytes);
        match digests.get(part) {
            Some(expected) if *expected == found => {}
            expected => {
                return Err(StateFault::Damaged {
                    part: part.to_owned(),
                    expected: expected.map_or("none", String::as_str).to_owned(),
                    found,
                });
            }
        }
    }
    Ok(())
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
