//! `trainer train`: a run from its beginning or from where it stopped, shown and saved as it goes.

mod plan;
mod run;
mod run_folder;
mod save;
mod show;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use console::say;
use trainer::cifar10::{self, Split};
use trainer::state::SavedState;
use trainer::train::{Plan, Session};
use trainer::weights;

use super::check_out;
use super::machine::prepare;
use crate::cli::TrainArgs;
use plan::check_precision;
use run_folder::{RunFolder, Start};

pub(crate) fn train(arguments: &TrainArgs) -> Result<()> {
    let started = Instant::now();
    let device = prepare(&arguments.machine)?;
    let path = weights::default_path(&arguments.out, &arguments.model);
    check_out(&arguments.out, &path)?;
    check_weights_file(arguments, &path)?;
    if arguments.recipe.epochs == Some(0) && !arguments.resume {
        return initialise(arguments, device, &path);
    }

    // Whatever can be refused is refused before a folder is made.
    let folder = path.with_extension("");
    check_run_folder(arguments, &folder)?;
    if !arguments.resume {
        check_precision(&plan::of_new_run(arguments)?, device)?;
    }
    let mut train = cifar10::load_train(&arguments.data.data)?;
    let mut test = cifar10::load_test(&arguments.data.data)?;

    let run = RunFolder::open(folder)?;
    tempfile::tempfile_in(&arguments.out)
        .with_context(|| format!("{}: cannot be written", arguments.out.display()))?;
    let (plan, saved) = plan_and_state(arguments, &run)?;
    check_precision(&plan, device)?;
    if arguments.resume && path.symlink_metadata().is_ok() {
        check_same_run(&path, &plan)?;
    }
    train.truncate(plan.train_samples);
    test.truncate(plan.test_samples);
    let stop = console::stop_flag(console::exit::INTERRUPTED)?;

    let mut session = Session::new(arguments.model.config(), plan, device, &train, &test);
    match saved {
        Some(saved) => run::restore(saved, &mut session, &run)?,
        None => run.clear()?,
    }
    let start = Start::now(device, &session.progress);
    run.describe(arguments.model.name(), &session, start, arguments.resume)?;
    show::introduce(arguments, &session);
    let training_seconds = run::to_the_end(&mut session, &run, &arguments.model, &stop)?;

    let training = save::finish(&mut session, &path)?;
    show::print_accuracy(&training);
    show::print_files(&path, run.path());
    let seconds = started.elapsed().as_secs_f64();
    say!("time         {training_seconds:.1} s training, {seconds:.1} s in all");
    Ok(())
}

/// Refuses to replace weights unless asked to; a resumed run may, if they are its own.
fn check_weights_file(arguments: &TrainArgs, path: &Path) -> Result<()> {
    ensure!(
        !path.is_dir(),
        "{} is a folder, expected a file\nhint: --out names another folder",
        path.display()
    );
    ensure!(
        arguments.force || arguments.resume || path.symlink_metadata().is_err(),
        "{} already exists\nhint: --force replaces it, --out names another folder",
        path.display()
    );
    Ok(())
}

/// Refuses to resume what is not there, and to begin anew where a run was begun.
fn check_run_folder(arguments: &TrainArgs, folder: &Path) -> Result<()> {
    let state = RunFolder::state_in(folder);
    let has_state = state.is_file();
    ensure!(
        has_state || !arguments.resume,
        "{}: nothing to resume\nhint: without --resume a new run begins",
        state.display()
    );
    ensure!(
        !has_state || arguments.resume || arguments.force,
        "{}: a run was begun here\nhint: --resume goes on with it, --force begins again",
        folder.display()
    );
    Ok(())
}

/// What is to be done, and the state to go on from if the run is resumed.
fn plan_and_state(arguments: &TrainArgs, run: &RunFolder) -> Result<(Plan, Option<SavedState>)> {
    if !arguments.resume {
        return Ok((plan::of_new_run(arguments)?, None));
    }
    let saved = SavedState::read(&run.state())?;
    Ok((plan::of_resumed_run(arguments, &saved)?, Some(saved)))
}

/// Refuses to replace weights by those of another run.
fn check_same_run(path: &Path, plan: &Plan) -> Result<()> {
    let training = weights::load(path, tch::Device::Cpu)?.info.training;
    let is_own = training.is_some_and(|training| {
        training.recipe == plan.recipe
            && training.seed == plan.seed
            && training.train_samples == plan.train_samples
    });
    ensure!(
        is_own,
        "{} is there, and not of this run\nhint: move it away, then resume",
        path.display()
    );
    Ok(())
}

/// `--epochs 0`: the weights that a run would begin with.
fn initialise(arguments: &TrainArgs, device: tch::Device, path: &Path) -> Result<()> {
    std::fs::create_dir_all(&arguments.out).with_context(|| arguments.out.display().to_string())?;
    let mut plan = plan::of_new_run(arguments)?;
    (plan.train_samples, plan.test_samples) = (0, 0);
    let none = Split::default();
    let session = Session::new(arguments.model.config(), plan, device, &none, &none);
    show::introduce(arguments, &session);
    weights::save(path, &session.vit, &save::info(&session, 0))?;
    say!("accuracy     not measured: freshly initialised weights");
    say!("weights      {}", path.display());
    Ok(())
}
