//! What is to be trained: the preset's recipe, or that of the run to be resumed, after all flags.

use anyhow::{Result, bail, ensure};
use proto::config::Network;
use trainer::device::device_name;
use trainer::recipe::{Precision, Recipe};
use trainer::state::{Description, SavedState};
use trainer::train::{Plan, TEST_IMAGES, TRAIN_IMAGES};

use crate::cli::TrainArgs;

/// The plan of a run from its beginning.
pub(super) fn of_new_run(arguments: &TrainArgs) -> Result<Plan> {
    let preset = Plan {
        recipe: Recipe::of_network(arguments.model.config()),
        seed: 0,
        train_samples: TRAIN_IMAGES,
        test_samples: TEST_IMAGES,
    };
    let plan = with_flags(arguments, preset);
    if let Some(message) = arguments.recipe.without_effect(&plan.recipe) {
        bail!(message);
    }
    plan.validate()?;
    Ok(plan)
}

/// The plan of a run that is resumed; refuses flags that would make it another one.
pub(super) fn of_resumed_run(arguments: &TrainArgs, saved: &SavedState) -> Result<Plan> {
    let run = &saved.description;
    let asked = with_flags(arguments, run.plan.clone());
    let differences = differences(arguments, run, &asked);
    ensure!(
        differences.is_empty(),
        "a resumed run goes on with what it was begun with, but\n  {}\n\
         hint: leave the flags out to go on; --out names another folder for another run",
        differences.join("\n  ")
    );
    Ok(asked)
}

/// A plan with the numbers that were given.
fn with_flags(arguments: &TrainArgs, plan: Plan) -> Plan {
    Plan {
        recipe: arguments.recipe.applied_to(plan.recipe),
        seed: arguments.seed.unwrap_or(plan.seed),
        train_samples: arguments.train_samples.unwrap_or(plan.train_samples),
        test_samples: arguments.test_samples.unwrap_or(plan.test_samples),
    }
}

/// What is asked for otherwise than the run has it, a line each.
fn differences(arguments: &TrainArgs, run: &Description, asked: &Plan) -> Vec<String> {
    let mut differences = Vec::new();
    if run.config != *arguments.model.config() {
        let found = Network::of(&run.config);
        let model = &arguments.model;
        differences.push(format!("model: the run has {found}, asked for {model}"));
    }
    for (name, run, asked) in run.plan.recipe.differences(&asked.recipe) {
        differences.push(format!("{name}: the run has {run}, asked for {asked}"));
    }
    let samples = |plan: &Plan| (plan.train_samples as u64, plan.test_samples as u64);
    let ((run_train, run_test), (train, test)) = (samples(&run.plan), samples(asked));
    for (name, run, asked) in [
        ("seed", run.plan.seed, asked.seed),
        ("train_samples", run_train, train),
        ("test_samples", run_test, test),
    ] {
        if run != asked {
            differences.push(format!("{name}: the run has {run}, asked for {asked}"));
        }
    }
    differences
}

/// A precision asked for is a precision used.
pub(super) fn check_precision(plan: &Plan, device: tch::Device) -> Result<()> {
    ensure!(
        plan.recipe.precision != Precision::Tf32 || matches!(device, tch::Device::Cuda(_)),
        "--precision tf32 is the arithmetic of CUDA GPUs, and this run is on {}\n\
         hint: --precision f32 or bf16",
        device_name(device)
    );
    Ok(())
}
