//! Which images of a split become samples.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use proto::npy::Npy;
use proto::regular_file;

use crate::cli::BundleArgs;

/// An image's number in a text has at most five digits; a larger file than this is no list of
/// images.
const LARGEST_LIST: u64 = 64 << 20;

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
    let is_npy = path.extension().is_some_and(|extension| extension == "npy");
    let numbers = if is_npy {
        from_npy(path, most)
    } else {
        from_text(path, most)
    }?;
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

fn from_npy(path: &Path, most: usize) -> Result<Vec<usize>> {
    let npy = Npy::<i64>::open(path)?;
    let count = npy.rows_len();
    ensure!(
        npy.shape().len() == 1,
        "{}: shape {:?}, expected one axis",
        path.display(),
        npy.shape()
    );
    ensure!(
        count as u64 * 8 <= LARGEST_LIST,
        "{}: {count} numbers, expected a list of images",
        path.display()
    );
    let number = |&number: &i64| {
        usize::try_from(number).map_err(|_| no_position(path, &number.to_string(), most))
    };
    npy.rows(0..count)?.iter().map(number).collect()
}

/// Numbers apart by spaces or lines; a `#` begins a comment.
fn from_text(path: &Path, most: usize) -> Result<Vec<usize>> {
    let name = || path.display().to_string();
    let mut file = regular_file::open(path).with_context(name)?;
    let size = file.metadata().with_context(name)?.len();
    ensure!(
        size <= LARGEST_LIST,
        "{}: {size} bytes, expected a list of numbers",
        name()
    );
    let mut text = String::new();
    file.read_to_string(&mut text).with_context(name)?;
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let number = |word: &str| word.parse().map_err(|_| no_position(path, word, most));
    lines.flat_map(str::split_whitespace).map(number).collect()
}

fn no_position(path: &Path, word: &str, most: usize) -> anyhow::Error {
    anyhow!(
        "{}: `{word}` is no position of an image, 0 to {}",
        path.display(),
        most - 1
    )
}
