//! A bundle of some of another bundle's samples: the same models, chosen rows of every array.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::choose::{ChoiceError, Chosen, choose};
use super::error::{BundleError, WriteError};
use super::open::Bundle;
use super::samples::{Samples, SamplesError};
use super::write::{BundleWriter, README_FILE};
use crate::manifest::{
    Accuracy, Choice, Dataset, Float64Golden, Golden, Manifest, Role, Selection, Subset, dataset,
};
use crate::npy::{Dtype, Element, Npy, NpyError};

/// Rows of this many bytes and more are read one at a time; of smaller ones, the whole array is.
const LARGE_ROW: usize = 1024;

/// What is chosen, from which bundle, and where it goes.
#[derive(Debug)]
pub struct Request<'a> {
    /// The other bundle; what is copied of it has its hashes.
    pub bundle: &'a Bundle,
    pub choice: Choice,
    /// Whether the arrays are also written without a header.
    pub raw: bool,
    /// The new bundle's folder.
    pub out: &'a Path,
    /// Whether an existing bundle gives way.
    pub replace: bool,
    /// Writes the README's text for the new bundle.
    pub readme: fn(&Manifest, raw: bool) -> String,
}

/// Why there is no subset. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum SubsetError {
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    #[error(transparent)]
    Samples(#[from] SamplesError),
    #[error(transparent)]
    Read(#[from] BundleError),
    #[error(transparent)]
    Npy(#[from] NpyError),
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The new bundle's folder is that of the other one.
    #[error("{0}: the bundle itself")]
    Itself(PathBuf),
    /// The user stopped it.
    #[error("interrupted: nothing was written")]
    Interrupted,
}

/// Writes the bundle of the chosen samples; `go_on` is told the bytes of arrays as they are written
/// and may end it.
pub fn write(
    request: &Request<'_>,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Manifest, SubsetError> {
    let &Request { bundle, out, .. } = request;
    let samples = Samples::read(bundle)?;
    let Chosen { rows, tiers } = choose(&request.choice, &samples)?;
    if is_same_folder(out, bundle.root()) {
        return Err(SubsetError::Itself(out.to_path_buf()));
    }
    let needed_bytes = needed_bytes(request, rows.len());
    let mut writer = BundleWriter::create(out, request.replace, needed_bytes)?;
    let files = bundle.manifest().files.keys();
    for file in files.filter(|file| is_about_the_network(file)) {
        let copied = writer.copy(&bundle.root().join(file), 0, file)?;
        bundle.check_copy(file, copied)?;
    }
    for (name, dataset) in &bundle.manifest().datasets {
        let rows = rows.as_slice();
        match dataset.dtype {
            // Tiers of another choice.
            _ if name == dataset::TIER && tiers.is_some() => Ok(()),
            Dtype::Float32 => gather::<f32>(bundle, name, rows, &mut writer, &mut go_on),
            Dtype::Float64 => gather::<f64>(bundle, name, rows, &mut writer, &mut go_on),
            Dtype::Int64 => gather::<i64>(bundle, name, rows, &mut writer, &mut go_on),
            Dtype::Uint8 => gather::<u8>(bundle, name, rows, &mut writer, &mut go_on),
        }?;
    }
    if let Some(tiers) = &tiers {
        let mut array = writer.array::<i64>(dataset::TIER, &[rows.len()])?;
        array.write(tiers)?;
        writer.add_array(dataset::TIER, Role::SampleInfo, array)?;
    }
    let manifest = describe(request, &rows, &samples)?;
    let raw = request.raw;
    Ok(writer.finish(manifest, raw, |manifest| (request.readme)(manifest, raw))?)
}

/// The other bundle's manifest for the chosen rows; files and datasets are the writer's to fill.
fn describe(
    request: &Request<'_>,
    rows: &[usize],
    samples: &Samples,
) -> Result<Manifest, SubsetError> {
    let &Request { bundle, .. } = request;
    let old = bundle.manifest();
    let chosen = samples.rows(rows);
    let tier_count = match &request.choice {
        Choice::Conf { group_sizes } => group_sizes.len(),
        Choice::Range { .. } => old.tiers.upper_bounds.len().max(1),
    };
    let float64 = match &old.golden.float64 {
        Some(_) => Some(Float64Golden {
            largest_error: largest_float64_error(bundle, rows)?,
        }),
        None => None,
    };
    let subset = Subset {
        of: bundle.blake3(),
        of_samples: samples.correct.len(),
        choice: request.choice.clone(),
    };
    Ok(Manifest {
        selection: Selection {
            split: old.selection.split,
            subset: Some(subset),
        },
        tiers: chosen.tiers(tier_count),
        accuracy: Accuracy {
            samples: rows.len(),
            correct: chosen.correct_count(),
        },
        golden: Golden {
            float64,
            ..old.golden.clone()
        },
        ..old.clone()
    })
}

/// The largest distance of the chosen rows' golden outputs from the same in float64.
fn largest_float64_error(bundle: &Bundle, rows: &[usize]) -> Result<f64, SubsetError> {
    let golden = bundle.dataset::<f32>(dataset::SUBMODEL_OUTPUT)?;
    let golden = Arc::new(golden).verified(|_| true)?;
    let exact = bundle.dataset::<f64>(dataset::SUBMODEL_OUTPUT_F64)?;
    let exact = Arc::new(exact).verified(|_| true)?;
    let mut largest = 0.0f64;
    for &row in rows {
        let (golden, exact) = (golden.rows(row..row + 1)?, exact.rows(row..row + 1)?);
        let pairs = golden.iter().zip(exact.iter());
        let errors = pairs.map(|(&golden, &exact)| (f64::from(golden) - exact).abs());
        largest = errors.fold(largest, f64::max);
    }
    Ok(largest)
}

/// Copies rows of one array, one after the other.
fn gather<T: Element>(
    bundle: &Bundle,
    name: &str,
    rows: &[usize],
    bundle_writer: &mut BundleWriter,
    go_on: &mut impl FnMut(u64) -> bool,
) -> Result<(), SubsetError> {
    let source: Npy<T> = bundle.dataset(name)?;
    let shape = [&[rows.len()], &source.shape()[1..]].concat();
    let mut writer = bundle_writer.array::<T>(name, &shape)?;
    let row_bytes = source.row_elements() * T::DTYPE.size();
    let mut go_on = || match go_on(row_bytes as u64) {
        true => Ok(()),
        false => Err(SubsetError::Interrupted),
    };
    if row_bytes < LARGE_ROW {
        let length = source.row_elements();
        let all = source.all()?;
        for &row in rows {
            writer.write(&all[row * length..(row + 1) * length])?;
            go_on()?;
        }
    } else {
        let source = Arc::new(source).verified(|_| true)?;
        for &row in rows {
            writer.write(&source.rows(row..row + 1)?)?;
            go_on()?;
        }
    }
    let role = bundle.manifest().datasets[name].role;
    Ok(bundle_writer.add_array(name, role, writer)?)
}

fn needed_bytes(request: &Request<'_>, rows: usize) -> u64 {
    let manifest = request.bundle.manifest();
    let files = manifest.files.iter();
    let network = files.filter(|(file, _)| is_about_the_network(file));
    let network: u64 = network.map(|(_, digest)| digest.size).sum();
    let arrays = manifest.datasets.values().map(row_bytes).sum::<usize>() as u64 * rows as u64;
    network + arrays * if request.raw { 2 } else { 1 }
}

fn row_bytes(dataset: &Dataset) -> usize {
    dataset.shape[1..].iter().product::<usize>() * dataset.dtype.size()
}

/// Models, their test data and weights, which are the other bundle's.
fn is_about_the_network(file: &str) -> bool {
    let folder = file.split('/').next().unwrap_or_default();
    folder != "npy" && folder != "raw" && file != README_FILE
}

fn is_same_folder(a: &Path, b: &Path) -> bool {
    let a = a.canonicalize();
    a.is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}
