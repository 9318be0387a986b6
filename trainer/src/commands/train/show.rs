//! What a training run prints on stdout.

use std::path::Path;

use console::say;
use trainer::recipe::{Keep, Recipe};
use trainer::state::Machine;
use trainer::train::{EpochRow, Progress, Session, best_epoch};
use trainer::weights::Training;

use crate::cli::TrainArgs;

/// Columns of the recipe on the screen.
const RECIPE_WIDTH: usize = 100;

/// What is about to be trained, and the heads of the table of epochs.
pub(super) fn introduce(arguments: &TrainArgs, session: &Session<'_>) {
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
    print_recipe(&session.plan.recipe);
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
fn print_recipe(recipe: &Recipe) {
    let recipe = serde_json::to_value(recipe).unwrap_or_default();
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

/// One row of the table of epochs.
pub(super) fn epoch_line(row: &EpochRow, images_per_second: Option<f64>, seconds: f64) -> String {
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

/// Of the epoch that is kept, and of the last or the best one beside it.
pub(super) fn print_accuracy(training: &Training) {
    let percent = |row: &EpochRow| format!("{:.2} %", 100.0 * row.test_accuracy());
    let (Some(last), Some(best)) = (training.history.last(), best_epoch(&training.history)) else {
        return;
    };
    match training.recipe.keep {
        Keep::Last => say!(
            "\naccuracy     {} on the test split, last epoch (kept); \
             best epoch {}, chosen on the test split, {}",
            percent(last),
            best.epoch,
            percent(best)
        ),
        Keep::Best => say!(
            "\naccuracy     {} on the test split, best epoch {} of {} \
             (kept, chosen on the test split); last epoch {}",
            percent(best),
            best.epoch,
            training.history.len(),
            percent(last)
        ),
    }
}

/// What a run has left.
pub(super) fn print_files(weights: &Path, run: &Path) {
    say!("weights      {}", weights.display());
    say!(
        "run          {} (run.json, metrics.jsonl, curve.svg, best and last weights)",
        run.display()
    );
}
