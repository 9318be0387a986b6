//! The run itself: its epochs shown and saved one after the other.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Result, bail};
use console::{Progress, note, say};
use proto::config::Network;
use trainer::state::{self, Machine, SavedState};
use trainer::train::{End, EpochRow, Event, Session, best_epoch};
use trainer::weights;

use super::run_folder::RunFolder;
use super::{save, show};

/// Puts a fresh session where the run was, and the files beside the state with it.
pub(super) fn restore(saved: SavedState, session: &mut Session<'_>, run: &RunFolder) -> Result<()> {
    let before = saved.description.machine.clone();
    let now = Machine::current(session.vit.device());
    if before != now {
        note!(
            "warning: the run was on {before}, now it is on {now}: \
             results may differ in the last bits"
        );
    }
    saved.restore(session)?;
    run.keep_metrics_of(&session.progress.history)?;
    if let Some(best) = best_epoch(&session.progress.history) {
        let mut info = save::info(session, best.epoch);
        if let Some(training) = &mut info.training {
            training.history.truncate(best.epoch); // as it was when the epoch ended
        }
        session.with_best(|session| weights::save(&run.best(), &session.vit, &info))?;
    }
    Ok(())
}

/// Trains to the end, keeping the run folder up to date; fails when told to stop. Gives the seconds
/// it took.
pub(super) fn to_the_end(
    session: &mut Session<'_>,
    run: &RunFolder,
    network: &Network,
    stop: &AtomicBool,
) -> Result<f64> {
    let started = Instant::now();
    let epochs = session.plan.recipe.epochs;
    let mut reporter = Reporter::new(session, run, network.name());
    let end = session.run(stop, |session, event| reporter.report(session, event));
    drop(reporter);
    if end? == End::Stopped {
        state::save(&run.state(), session)?;
        let steps = session.images_per_epoch() / session.plan.recipe.batch_size;
        let (epoch, step) = (session.progress.epochs() + 1, session.progress.step);
        bail!(
            "stopped in epoch {epoch} of {epochs} after {step} of its {steps} steps; \
             everything up to there is kept in {}\n\
             hint: `trainer train --model {} --resume`, with the same --out and --data, \
             goes on",
            run.path().display(),
            network.argument()
        );
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Shows and saves what happens in a run.
struct Reporter<'a> {
    run: &'a RunFolder,
    preset: &'a str,
    progress: Progress,
    epoch_started: Instant,
    /// Images trained on since then.
    epoch_images: usize,
    /// Of the epoch's steps, without its evaluation; none when it was stopped in the evaluation.
    images_per_second: Option<f64>,
}

impl<'a> Reporter<'a> {
    fn new(session: &Session<'_>, run: &'a RunFolder, preset: &'a str) -> Self {
        let images = session.images_per_epoch();
        let done = session.progress.epochs() * images
            + session.progress.step * session.plan.recipe.batch_size;
        let all = session.plan.recipe.epochs * images;
        Self {
            run,
            preset,
            progress: Progress::count("images", all as u64).starting_at(done as u64),
            epoch_started: Instant::now(),
            epoch_images: 0,
            images_per_second: None,
        }
    }

    fn report(&mut self, session: &mut Session<'_>, event: Event<'_>) -> Result<()> {
        match event {
            Event::Trained(images) => {
                self.epoch_images += images;
                self.progress.advance(images as u64);
            }
            Event::Evaluating => {
                let seconds = self.epoch_started.elapsed().as_secs_f64();
                self.images_per_second =
                    (self.epoch_images > 0).then_some(self.epoch_images as f64 / seconds);
            }
            Event::Epoch(row) => self.end_of_epoch(session, row)?,
        }
        Ok(())
    }

    fn end_of_epoch(&mut self, session: &mut Session<'_>, row: &EpochRow) -> Result<()> {
        let seconds = self.epoch_started.elapsed().as_secs_f64();
        let rate = self.images_per_second;
        save::save_epoch(session, self.run, self.preset, row, rate, seconds)?;
        let line = show::epoch_line(row, rate, seconds);
        self.progress.suspend(|| say!("{line}"));
        (self.epoch_started, self.epoch_images) = (Instant::now(), 0);
        Ok(())
    }
}
