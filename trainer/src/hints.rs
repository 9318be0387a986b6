//! What a user may do about an error of the library, by the flags of the command that met it.

use anyhow::{Error, anyhow};
use proto::config::{ShapesError, Told};
use trainer::cifar10::{DataError, FetchError};
use trainer::device::DeviceError;
use trainer::failure::TorchFailure;
use trainer::pth::{self, Difference, PthError, PthFault, SizesError};
use trainer::state::{StateError, StateFault};
use trainer::train::{PlanError, TrainError};

use crate::cli::{Command, ImportArgs};
use crate::commands::sizes;

const GET_DATA: &str = "`trainer data --data DIR` fetches CIFAR-10 into DIR, or makes it of what \
                        lies there; --data names a folder that has it";
const FETCH_YOURSELF: &str = "check the network, or put cifar-10-binary.tar.gz or torchvision's \
                              cifar-10-python.tar.gz into the folder: it is taken from there";
const OTHER_DEVICE: &str = "`make build DEVICE=cuda` fetches the CUDA libraries and builds with \
                            them; --device cpu runs on the CPU";
const SMALLER_BATCH: &str = "a smaller --batch-size needs less";
const BEGIN_AGAIN: &str = "--force begins the run again";
const SMALLER_STEPS: &str = "a lower --learning-rate or --clip-norm 1 is the usual remedy";
const LOWER_RATE: &str = "a lower --learning-rate is the usual remedy";
const ROUND: &str = "--convert rounds the numbers to float32";
const SAY_HEADS: &str = "--heads N --pool cls or mean, as the network was trained";
const ONE_OF_SEVERAL: &str = "--key NAME takes one of them";
const NO_IMPORT: &str = "`trainer eval --weights FILE`, `exporter bundle --weights FILE`";

/// The error, with a hint if there is one for the command that met it.
pub(crate) fn with_hint(error: Error, command: &Command) -> Error {
    match hint(&error, command) {
        Some(hint) => anyhow!("{error:#}\nhint: {hint}"),
        None => error,
    }
}

fn hint(error: &Error, command: &Command) -> Option<String> {
    match command {
        Command::Data(_) => of_fetching(error.downcast_ref()?).map(str::to_owned),
        Command::Train(_) => of_training(error).or_else(|| of_evaluation(error)),
        Command::Eval(_) => of_evaluation(error),
        Command::Import(arguments) => of_import(error, arguments),
        Command::Export(_) => None,
    }
}

fn of_fetching(error: &FetchError) -> Option<&'static str> {
    match error {
        FetchError::NoSource { .. } => Some(FETCH_YOURSELF),
        FetchError::Data(DataError::Missing(_)) => Some(GET_DATA),
        FetchError::Data(_) | FetchError::Staging(_) => None,
    }
}

/// Of what needs the data and a device, as training does too.
fn of_evaluation(error: &Error) -> Option<String> {
    let hint = match error.downcast_ref() {
        Some(DataError::Missing(_)) => GET_DATA,
        _ => match error.downcast_ref() {
            Some(DeviceError::Unavailable { .. }) => OTHER_DEVICE,
            _ if is_out_of_memory(error) => SMALLER_BATCH,
            _ => return None,
        },
    };
    Some(hint.to_owned())
}

fn is_out_of_memory(error: &Error) -> bool {
    error
        .downcast_ref()
        .is_some_and(TorchFailure::is_out_of_memory)
}

fn of_training(error: &Error) -> Option<String> {
    if let Some(PlanError::Batch { train_samples, .. }) = error.downcast_ref() {
        return Some(format!("--batch-size {train_samples}"));
    }
    let hint = match error.downcast_ref() {
        Some(TrainError::NotFinite { .. } | TrainError::ParametersNotFinite { .. }) => {
            SMALLER_STEPS
        }
        Some(TrainError::TestNotFinite { .. }) => LOWER_RATE,
        None => match &error.downcast_ref::<StateError>()?.fault {
            StateFault::Format(_)
            | StateFault::Description(_)
            | StateFault::NoDigests
            | StateFault::Digests(_)
            | StateFault::Damaged { .. } => BEGIN_AGAIN,
            _ => return None,
        },
    };
    Some(hint.to_owned())
}

fn of_import(error: &Error, arguments: &ImportArgs) -> Option<String> {
    match error.downcast_ref() {
        Some(SizesError::Several { .. }) => Some(ONE_OF_SEVERAL.to_owned()),
        Some(SizesError::Shapes { fault, .. }) => of_shapes(fault),
        Some(SizesError::Pth(error)) => of_checkpoint(error, arguments),
        None => of_checkpoint(error.downcast_ref()?, arguments),
    }
}

/// What no shape tells must be said.
fn of_shapes(fault: &ShapesError) -> Option<String> {
    match fault {
        ShapesError::Heads { preset: None, .. } => Some(SAY_HEADS.to_owned()),
        ShapesError::Heads {
            preset: Some(preset),
            ..
        }
        | ShapesError::Ambiguous { preset, .. } => {
            Some(format!("{SAY_HEADS}; or --model {preset}"))
        }
        _ => None,
    }
}

fn of_checkpoint(error: &PthError, arguments: &ImportArgs) -> Option<String> {
    match &error.fault {
        PthFault::Difference {
            fits: Some(preset), ..
        } => Some(format!(
            "its shapes are those of preset {preset}: --model {preset}"
        )),
        PthFault::Difference { difference, .. } => {
            of_other_sizes(arguments).or_else(|| of_difference(difference))
        }
        PthFault::Dtype {
            found: "float64", ..
        } => Some(ROUND.to_owned()),
        PthFault::Several(_) => Some(ONE_OF_SEVERAL.to_owned()),
        PthFault::TwoValues(two) => Some(format!(
            "--key {} takes `{}` and what stands with it; to take the other one, rename it in \
             Python",
            two.key, two.chosen
        )),
        PthFault::OwnWeights => Some(NO_IMPORT.to_owned()),
        _ => None,
    }
}

/// Of weights of another network than the one asked for.
fn of_other_sizes(arguments: &ImportArgs) -> Option<String> {
    let asked = arguments.model.as_ref()?.config();
    let key = arguments.key.as_deref();
    match pth::config_of(&arguments.pth, key, Told::default()) {
        Ok(config) if config.is_same_but_for_dropout(asked) => None,
        Ok(config) => Some(format!(
            "its shapes are {}: leave out --model",
            sizes(&config)
        )),
        Err(SizesError::Shapes { fault, .. }) => match of_shapes(&fault) {
            Some(said) => Some(format!("leave out --model, and say {said}")),
            None => Some(fault.to_string()),
        },
        Err(_) => None,
    }
}

fn of_difference(difference: &Difference) -> Option<String> {
    match difference {
        Difference::Extra { name, .. } => Some(format!(
            "another network, if it computes with that; if not, leave it out, in Python: \
             torch.save({{name: tensor for name, tensor in torch.load(FILE).items() if not \
             name.endswith(\"{name}\")}}, NEW)"
        )),
        _ => None,
    }
}
