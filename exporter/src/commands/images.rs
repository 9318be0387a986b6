//! Which images of a split become samples.

use std::path::Path;

use anyhow::{Result, anyhow, bail, ensure};

use super::list;
use crate::cli::BundleArgs;

/// Positions in the split, in the order of the samples.
pub(super) fn chosen_images(arguments: &BundleArgs) -> Result<Vec<usize>> {
    let most = arguments.split.images();
    let Some(path) = &arguments.indices else {
        let samples = arguments.samples.unwrap_or(most);
        ensure!(
            samples <= most,
            "--samples {samples}: the {} split has {most} images",
            arguments.split
        );
        return Ok((0..samples).collect());
    };
    let numbers: Result<Vec<usize>> = list::read(path, most)?
        .into_iter()
        .map(|number| usize::try_from(number).map_err(|_| no_position(path, number, most)))
        .collect();
    let numbers = numbers?;
    ensure!(!numbers.is_empty(), "{}: no number in it", path.display());
    if let Some(number) = numbers.iter().find(|&&number| number >= most) {
        bail!(
            "{}: {number}, but the {} split has images 0 to {}",
            path.display(),
            arguments.split,
            most - 1
        );
    }
    Ok(numbers)
}

fn no_position(path: &Path, number: i128, most: usize) -> anyhow::Error {
    anyhow!(
        "{}: `{number}` is no position of an image, 0 to {}",
        path.display(),
        most - 1
    )
}
