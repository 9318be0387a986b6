//! Where a check keeps what it meets: the worst samples with their images, outputs, a dump of
//! faulty samples.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use console::{Progress, note};
use proto::staging;
use verifier::check::Event;
use verifier::check::dump::Dump;
use verifier::check::worst::WorstSamples;
use verifier::compare::Tolerance;
use verifier::report::Format;
use verifier::samples::Images;
use verifier::samples::outputs::OutputsFolder;

use super::super::opened::Opened;
use super::super::recorded::refuse_inside;
use crate::cli::CheckArgs;

/// Where a check keeps what it meets.
pub(super) struct Keepers {
    pub(super) worst: WorstSamples,
    /// For a page, if one is asked for and the bundle has pixels.
    pub(super) images: Option<Images>,
    pub(super) outputs: Option<OutputsFolder>,
    pub(super) dump: Option<Dump>,
    /// What could not be kept, and why: the check goes on without it.
    pub(super) failures: Vec<String>,
    pub(super) progress: Progress,
    /// Samples that are to be run.
    pub(super) asked: usize,
}

impl Keepers {
    pub(super) fn new(
        arguments: &CheckArgs,
        opened: &Opened,
        tolerance: Tolerance,
    ) -> Result<Self> {
        let mut keepers = Self {
            worst: WorstSamples::new(tolerance),
            images: None,
            outputs: None,
            dump: None,
            failures: vec![],
            progress: Progress::count("samples", opened.samples.len() as u64),
            asked: opened.samples.len(),
        };
        let is_page = |report: &PathBuf| Format::of(report) == Some(Format::Html);
        if arguments.reports.iter().any(is_page) {
            keepers.images = Images::of(&opened.bundle)?;
        }
        if let Some(folder) = &arguments.dump_faulty {
            refuse_inside("--dump-faulty", folder)?;
            // The folder is made with the first faulty sample, of which there may be none.
            for leftover in staging::remove_leftovers_beside(folder) {
                note!("removed {leftover}, left by a run that was killed");
            }
            keepers.dump = Some(Dump::new(folder, tolerance).context("--dump-faulty")?);
        }
        if let Some(folder) = &arguments.save_outputs {
            refuse_inside("--save-outputs", folder)?;
            let (goldens, samples) = (&opened.recordings.goldens, opened.samples.len());
            let outputs = OutputsFolder::create(folder, goldens, samples);
            keepers.outputs = Some(outputs.context("--save-outputs")?);
        }
        Ok(keepers)
    }

    pub(super) fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Done(samples) => self.progress.advance(samples as u64),
            Event::Outputs(_, outputs) => {
                let written = self.outputs.as_mut().map(|folder| folder.write(&outputs));
                if let Some(Err(error)) = written {
                    self.outputs = None;
                    self.failures.push(format!("--save-outputs: {error}"));
                }
            }
            Event::Faulty(faulty, tensors) => {
                self.worst.add(faulty, tensors);
                let kept = self.dump.as_mut().map(|dump| dump.keep(faulty, tensors));
                if let Some(Err(error)) = kept {
                    self.dump = None;
                    self.failures.push(format!("--dump-faulty: {error}"));
                }
            }
        }
    }
}
