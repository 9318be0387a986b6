//! `trainer train`: a run from its beginning or from where it stopped, shown and saved as it goes.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use trainer::cifar10::{self, Split};
use trainer::device::device_name;
use trainer::recipe::{Keep, Precision};
use trainer::state::{self, Machine, SavedState};
use trainer::train::{
    End, EpochRow, Event, Plan, Progress, Session, TEST_IMAGES, TRAIN_IMAGES, best_epoch,
};
use trainer::weights::{self, Training, WeightsInfo};

use super::progress::Bar;
use super::run_folder::{Metrics, RunFolder, Start, resident_bytes};
use super::{note, prepare, say};
use crate::cli::TrainArgs;

pub(crate) fn train(arguments: &TrainArgs) -> Result<()> {
    let started = Instant::now();
    let device = prepare(&arguments.machine)?;
    let path = weights::default_path(&arguments.out, arguments.model);
    ensure!(
        !path.is_dir(),
        "{} is a folder\nhint: --out names another folder",
        path.display()
    );
    if arguments.recipe.epochs == Some(0) && !arguments.resume {
        return initialise(arguments, device, path);
    }

    let folder = path.with_extension("");
    let has_weights = path.symlink_metadata().is_ok();
    ensure!(
        arguments.force || arguments.resume || !has_weights,
        "{} already exists\nhint: --force replaces it, --out names another folder",
        path.display()
    );
    let has_state = RunFolder::state_in(&folder).is_file();
    ensure!(
        has_state || !arguments.resume,
        "{}: nothing to resume\nhint: without --resume a new run begins",
        RunFolder::state_in(&folder).display()
    );
    ensure!(
        !has_state || arguments.resume || arguments.force,
        "{}: a run was begun here\nhint: --resume goes on with it, --force begins again",
        folder.display()
    );
    // Whatever can be refused is refused before a folder is made.
    if !arguments.resume {
        check_precision(&plan(arguments, None)?, device)?;
    }
    let (mut train, mut test) = (
        cifar10::load_train(&arguments.data.data)?,
        cifar10::load_test(&arguments.data.data)?,
    );

    let run = RunFolder::open(folder)?;
    tempfile::tempfile_in(&arguments.out)
        .with_context(|| format!("{}: cannot be written", arguments.out.display()))?;
    let saved = if arguments.resume {
        Some(SavedState::read(&run.state())?)
    } else {
        None
    };
    let plan = plan(arguments, saved.as_ref())?;
    check_precision(&plan, device)?;
    if arguments.resume && has_weights {
        check_same_run(&path, &plan)?;
    }
    train.truncate(plan.train_samples);
    test.truncate(plan.test_samples);
    let stop = trainer::signals::stop_flag()?;

    let mut session = Session::new(&arguments.model.config(), plan, device, &train, &test);
    match saved {
        Some(saved) => restore(saved, &mut session, &run)?,
        None => run.clear()?,
    }
    let (epochs, steps) = (session.progress.epochs(), session.progress.step);
    let start = Start::now(device, epochs, steps);
    run.describe(
        arguments.model.name(),
        session.vit.config(),
        &session.plan,
        start,
        arguments.resume,
    )?;
    introduce(arguments, &session);
    let training_seconds = train_and_save(&mut session, &run, arguments.model.name(), &stop)?;

    let training = finish(&mut session, &path)?;
    print_accuracy(&training);
    say!("weights      {}", path.display());
    say!(
        "run          {} (run.json, metrics.jsonl, curve.svg, best and last weights)",
        run.path().display()
    );
    say!(
        "time         {training_seconds:.1} s training, {:.1} s in all",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Weights that are there already may be replaced by a resumed run only if they are its own.
fn check_same_run(path: &Path, plan: &Plan) -> Result<()> {
    let training = weights::load(path, tch::Device::Cpu)?.info.training;
    let is_own = training.is_some_and(|training| {
        (training.recipe, training.seed, training.train_samples)
            == (plan.recipe.clone(), plan.seed, plan.train_samples)
    });
    ensure!(
        is_own,
        "{} is there, and not of this run\nhint: move it away, then resume",
        path.display()
    );
    Ok(())
}

/// Puts a fresh session where the run was, and the files beside the state with it.
fn restore(saved: SavedState, session: &mut Session<'_>, run: &RunFolder) -> Result<()> {
    let (before, now) = (
        saved.description.machine.clone(),
        Machine::current(session.vit.device()),
    );
    if before != now {
        note!(
            "warning: the run was on {before}, now it is on {now}: results may differ in the last bits"
        );
    }
    saved.restore(session)?;
    run.keep_metrics_of(&session.progress.history)?;
    if let Some(best) = best_epoch(&session.progress.history) {
        let mut info = info(session, best.epoch);
        // As it was when the epoch ended.
        info.training
            .iter_mut()
            .for_each(|training| training.history.truncate(best.epoch));
        session.with_best(|session| weights::save(&run.best(), &session.vit, &info))?;
    }
    Ok(())
}

/// `--epochs 0`: the weights that a run would begin with.
fn initialise(arguments: &TrainArgs, device: tch::Device, path: PathBuf) -> Result<()> {
    ensure!(
        arguments.force || path.symlink_metadata().is_err(),
        "{} already exists\nhint: --force replaces it, --out names another folder",
        path.display()
    );
    std::fs::create_dir_all(&arguments.out).with_context(|| arguments.out.display().to_string())?;
    let mut plan = plan(arguments, None)?;
    (plan.train_samples, plan.test_samples) = (0, 0);
    let none = Split::default();
    let session = Session::new(&arguments.model.config(), plan, device, &none, &none);
    introduce(arguments, &session);
    weights::save(&path, &session.vit, &info(&session, 0))?;
    say!("accuracy     not measured: freshly initialised weights");
    say!("weights      {}", path.display());
    Ok(())
}

/// What is to be done: the preset's recipe, or that of the run to be resumed, after all flags.
fn plan(arguments: &TrainArgs, saved: Option<&SavedState>) -> Result<Plan> {
    let asked = |own: Plan| Plan {
        recipe: arguments.recipe.applied_to(own.recipe),
        seed: arguments.seed.unwrap_or(own.seed),
        train_samples: arguments.train_samples.unwrap_or(own.train_samples),
        test_samples: arguments.test_samples.unwrap_or(own.test_samples),
    };
    let useless = |plan: &Plan| match arguments.recipe.without_effect(&plan.recipe) {
        Some(message) => bail!(message),
        None => Ok(()),
    };
    let Some(saved) = saved else {
        let recipe = trainer::recipe::Recipe::of(arguments.model);
        let plan = asked(Plan {
            recipe,
            seed: 0,
            train_samples: TRAIN_IMAGES,
            test_samples: TEST_IMAGES,
        });
        useless(&plan)?;
        plan.validate()?;
        return Ok(plan);
    };
    let state = &saved.description;
    let mut differences = Vec::new();
    if state.config != arguments.model.config() {
        let preset = proto::config::Preset::of(&state.config)
            .map_or("a custom network", |preset| preset.name());
        differences.push(format!(
            "model: the run has {preset}, asked for {}",
            arguments.model
        ));
    }
    let asked = asked(state.plan.clone());
    for (name, run, asked) in state.plan.recipe.differences(&asked.recipe) {
        differences.push(format!("{name}: the run has {run}, asked for {asked}"));
    }
    let numbers = |plan: &Plan| {
        [
            plan.seed,
            plan.train_samples as u64,
            plan.test_samples as u64,
        ]
    };
    for (name, (run, asked)) in ["seed", "train_samples", "test_samples"]
        .iter()
        .zip(numbers(&state.plan).into_iter().zip(numbers(&asked)))
    {
        if run != asked {
            differences.push(format!("{name}: the run has {run}, asked for {asked}"));
        }
    }
    ensure!(
        differences.is_empty(),
        "a resumed run goes on with what it was begun with, but\n  {}\n\
         hint: leave the flags out to go on; --out names another folder for another run",
        differences.join("\n  ")
    );
    Ok(asked)
}

/// A precision asked for is a precision used.
fn check_precision(plan: &Plan, device: tch::Device) -> Result<()> {
    ensure!(
        plan.recipe.precision != Precision::Tf32 || matches!(device, tch::Device::Cuda(_)),
        "--precision tf32 is the arithmetic of CUDA GPUs, and this run is on {}\nhint: f32 or bf16",
        device_name(device)
    );
    Ok(())
}

fn introduce(arguments: &TrainArgs, session: &Session<'_>) {
    let Machine {
        device,
        threads,
        libtorch,
        ..
    } = Machine::current(session.vit.device());
    say!(
        "model        {} ({} parameters)",
        arguments.model,
        session.vit.config().parameter_count()
    );
    let s = if threads == 1 { "" } else { "s" };
    say!("device       {device} ({threads} thread{s}), libtorch {libtorch}");
    print_recipe(session);
    if session.plan.recipe.epochs == 0 {
        return;
    }
    say!(
        "data         {} training, {} test images",
        session.plan.train_samples,
        session.plan.test_samples
    );
    let Progress { step, .. } = session.progress;
    let (epochs, all) = (session.progress.epochs(), session.plan.recipe.epochs);
    if epochs == all {
        say!("resumed      complete already: {epochs} of {all} epochs");
        return;
    }
    if arguments.resume {
        say!("resumed      after {epochs} of {all} epochs and {step} steps");
    }
    say!("\nepoch      start rate   train loss   test loss   test accuracy   images/s       time");
}

/// Every number of the recipe by the name of its flag.
fn print_recipe(session: &Session<'_>) {
    let recipe = serde_json::to_value(&session.plan.recipe).unwrap_or_default();
    let fields = recipe.as_object().into_iter().flatten();
    let words = fields.map(|(name, value)| {
        format!(
            "{} {}",
            name.replace('_', "-"),
            value.to_string().trim_matches('"')
        )
    });
    let mut lines = vec![String::new()];
    for word in words {
        let last = lines.last_mut().expect("never empty");
        if last.is_empty() {
            *last = word;
        } else if last.len() + word.len() < RECIPE_WIDTH {
            *last += &format!(", {word}");
        } else {
            lines.push(word);
        }
    }
    say!("recipe       {}", lines.join(",\n             "));
}

/// Columns of the recipe on the screen.
const RECIPE_WIDTH: usize = 100;

/// Trains to the end, keeping the run folder up to date; fails when told to stop. Gives the seconds
/// it took.
fn train_and_save(
    session: &mut Session<'_>,
    run: &RunFolder,
    preset: &str,
    stop: &AtomicBool,
) -> Result<f64> {
    let trained = Instant::now();
    let epochs = session.plan.recipe.epochs;
    let images = session.images_per_epoch();
    let done =
        session.progress.epochs() * images + session.progress.step * session.plan.recipe.batch_size;
    let steps = images / session.plan.recipe.batch_size;
    let mut bar = Bar::new(epochs * images, done);
    let (mut epoch_started, mut epoch_images, mut rate) = (Instant::now(), 0, None);
    let end = session.run(stop, |session, event| -> Result<()> {
        match event {
            Event::Trained(images) => {
                epoch_images += images;
                bar.advance(images);
            }
            Event::Evaluating => {
                let per_second = epoch_images as f64 / epoch_started.elapsed().as_secs_f64();
                // none when stopped in the evaluation
                rate = (epoch_images > 0).then_some(per_second);
            }
            Event::Epoch(row) => {
                let seconds = epoch_started.elapsed().as_secs_f64();
                save_epoch(session, run, preset, row, rate, seconds)?;
                bar.suspend(|| say!("{}", epoch_line(row, rate, seconds)));
                (epoch_started, epoch_images) = (Instant::now(), 0);
            }
        }
        Ok(())
    });
    bar.finish();
    if end? == End::Stopped {
        state::save(&run.state(), session)?;
        let (epoch, step) = (session.progress.epochs() + 1, session.progress.step);
        bail!(
            "stopped in epoch {epoch} of {epochs} after {step} of its {steps} steps; everything up to there is kept in {}\n\
             hint: `trainer train --model {preset} --resume`, with the same --out and --data, goes on",
            run.path().display()
        );
    }
    Ok(trained.elapsed().as_secs_f64())
}

/// The state goes last, and holds all that is needed to go on and to finish: whatever a kill leaves
/// of the other files.
fn save_epoch(
    session: &mut Session<'_>,
    run: &RunFolder,
    preset: &str,
    row: &EpochRow,
    images_per_second: Option<f64>,
    seconds: f64,
) -> Result<()> {
    let info = info(session, row.epoch);
    let is_best = best_epoch(&session.progress.history).is_some_and(|best| best.epoch == row.epoch);
    session.with_result(|session| {
        if is_best {
            weights::save(&run.best(), &session.vit, &info)?;
        }
        weights::save(&run.last(), &session.vit, &info)
    })?;
    run.draw_curve(
        &format!("{preset} on CIFAR-10"),
        &session.progress.history,
        session.plan.recipe.epochs,
    )?;
    let (test_accuracy, resident_bytes) = (row.test_accuracy(), resident_bytes());
    let seconds = Some(seconds);
    run.append_metrics(&Metrics {
        row: row.clone(),
        test_accuracy,
        images_per_second,
        seconds,
        resident_bytes,
    })?;
    state::save(&run.state(), session)?;
    Ok(())
}

/// Writes the weights that the recipe keeps under their own name.
fn finish(session: &mut Session<'_>, path: &Path) -> Result<Training> {
    let epoch = match session.plan.recipe.keep {
        Keep::Best => best_epoch(&session.progress.history).map_or(0, |row| row.epoch),
        Keep::Last => session.progress.epochs(),
    };
    let info = info(session, epoch);
    let save = |session: &Session<'_>| weights::save(path, &session.vit, &info);
    match session.plan.recipe.keep {
        Keep::Best => session.with_best(save)?,
        Keep::Last => session.with_result(save)?,
    }
    Ok(info.training.expect("just made"))
}

fn info(session: &Session<'_>, kept_epoch: usize) -> WeightsInfo {
    let Plan {
        recipe,
        seed,
        train_samples,
        ..
    } = session.plan.clone();
    let Machine {
        device,
        threads,
        libtorch,
        ..
    } = Machine::current(session.vit.device());
    let history = session.progress.history.clone();
    let training = Training {
        recipe,
        seed,
        train_samples,
        kept_epoch,
        history,
        libtorch,
        device,
        threads,
    };
    WeightsInfo {
        config: session.vit.config().clone(),
        training: Some(training),
    }
}

fn epoch_line(row: &EpochRow, images_per_second: Option<f64>, seconds: f64) -> String {
    let rate = images_per_second.map_or("-".to_owned(), |rate| format!("{rate:.0}"));
    format!(
        "{:>5}   {:>13.3e}   {:>10.4}   {:>9.4}   {:>11.2} %   {rate:>8}   {seconds:>6.1} s",
        row.epoch,
        row.learning_rate,
        row.train_loss,
        row.test_loss,
        100.0 * row.test_accuracy(),
    )
}

fn print_accuracy(training: &Training) {
    let percent = |row: &EpochRow| format!("{:.2} %", 100.0 * row.test_accuracy());
    let (Some(last), Some(best)) = (training.history.last(), best_epoch(&training.history)) else {
        return;
    };
    match training.recipe.keep {
        Keep::Last => say!(
            "\naccuracy     {} on the test split, last epoch (kept); best epoch {}, chosen on the test split, {}",
            percent(last),
            best.epoch,
            percent(best)
        ),
        Keep::Best => say!(
            "\naccuracy     {} on the test split, best epoch {} of {} (kept, chosen on the test split); last epoch {}",
            percent(best),
            best.epoch,
            training.history.len(),
            percent(last)
        ),
    }
}
