//! Keeping the run folder and the weights up to date.

use std::path::Path;

use anyhow::Result;
use trainer::recipe::Keep;
use trainer::state::{self, Machine};
use trainer::train::{EpochRow, Session, best_epoch};
use trainer::weights::{self, Training, WeightsInfo};

use super::run_folder::{Metrics, RunFolder, resident_bytes};

/// The state goes last, and holds all that is needed to go on and to finish: whatever a kill leaves
/// of the other files.
pub(super) fn save_epoch(
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
    run.append_metrics(&Metrics {
        row: row.clone(),
        test_accuracy: row.test_accuracy(),
        images_per_second,
        seconds: Some(seconds),
        resident_bytes: resident_bytes(),
    })?;
    state::save(&run.state(), session)?;
    Ok(())
}

/// Writes the weights that the recipe keeps under their own name.
pub(super) fn finish(session: &mut Session<'_>, path: &Path) -> Result<Training> {
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

pub(super) fn info(session: &Session<'_>, kept_epoch: usize) -> WeightsInfo {
    let plan = session.plan.clone();
    let machine = Machine::current(session.vit.device());
    let training = Training {
        recipe: plan.recipe,
        seed: plan.seed,
        train_samples: plan.train_samples,
        kept_epoch,
        history: session.progress.history.clone(),
        libtorch: machine.libtorch,
        device: machine.device,
        threads: machine.threads,
    };
    WeightsInfo {
        config: session.vit.config().clone(),
        training: Some(training),
    }
}
