//! A bundle of some of another bundle's samples: the same models, chosen rows of every array.

use std::path::{Path, PathBuf};

use proto::bundle::{Bundle, BundleError as ReadError};
use proto::manifest::{
    Accuracy, Choice, Dataset, Float64Golden, Golden, Manifest, Role, Selection, Subset, dataset,
};
use proto::npy::{Dtype, Element, Npy, NpyError, NpyWriter};

use crate::bundle::{self, BundleError};
use crate::folder::{Folder, FolderError, NoRoom, README_FILE, check_room};
use crate::golden::GoldenError;
use crate::samples::{Samples, SamplesError};

/// Rows of this size and larger are mapped one at a time; of smaller ones, the whole array is.
const LARGE_ROW: usize = 4096;

/// What is chosen, from which bundle, and where it goes.
#[derive(Debug)]
pub struct Request<'a> {
    /// The other bundle, its hashes checked.
    pub bundle: &'a Bundle,
    /// The rule.
    pub choice: Choice,
    /// Whether the arrays are also written without a header.
    pub raw: bool,
    /// The new bundle's folder.
    pub out: &'a Path,
    /// Whether an existing bundle gives way.
    pub replace: bool,
}

/// Why there is no subset. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum SubsetError {
    /// A tier has fewer samples than asked for.
    #[error(
        "--group-sizes {}: more than there are; correctly classified samples in each of {} tiers: {}{}",
        list(.asked), .available.len(), list(.available), hint(.asked, .available)
    )]
    TooFew {
        /// Samples asked for, by tier.
        asked: Vec<usize>,
        /// Samples there are, by tier.
        available: Vec<usize>,
    },
    /// Samples that are not there.
    #[error(
        "--range {start} {end}: expected START < END, END at most {samples}, the samples of the bundle"
    )]
    Range {
        /// First sample.
        start: usize,
        /// The sample after the last.
        end: usize,
        /// Samples of the bundle.
        samples: usize,
    },
    /// Nothing was chosen.
    #[error("--group-sizes {}: no sample is chosen", list(.0))]
    Nothing(Vec<usize>),
    /// The samples cannot be read.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// The bundle cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An array cannot be read or written.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// The subset cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A file cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no room for it.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The target is the source.
    #[error("{0}: the bundle itself\nhint: --out names another folder")]
    Itself(PathBuf),
    /// The user stopped it.
    #[error("interrupted: nothing was written")]
    Interrupted,
}

impl From<GoldenError> for SubsetError {
    fn from(error: GoldenError) -> Self {
        Self::Bundle(error.into())
    }
}

/// Samples of another bundle, and the tier of each if tiers chose them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Positions in the other bundle, in the new order.
    pub rows: Vec<usize>,
    /// Tiers from 0.
    pub tiers: Option<Vec<i64>>,
}

/// Applies a rule to a bundle's samples.
pub fn choose(choice: &Choice, samples: &Samples) -> Result<Chosen, SubsetError> {
    match choice {
        &Choice::Range { start, end } => {
            let samples = samples.correct.len();
            if start >= end || end > samples {
                return Err(SubsetError::Range {
                    start,
                    end,
                    samples,
                });
            }
            Ok(Chosen {
                rows: (start..end).collect(),
                tiers: None,
            })
        }
        Choice::Conf { group_sizes } => {
            let lists = samples.correct_by_tier(group_sizes.len());
            if lists
                .iter()
                .zip(group_sizes)
                .any(|(list, &size)| size > list.len())
            {
                let available = lists.iter().map(Vec::len).collect();
                return Err(SubsetError::TooFew {
                    asked: group_sizes.clone(),
                    available,
                });
            }
            let chosen = || {
                lists
                    .iter()
                    .zip(group_sizes)
                    .map(|(list, &size)| &list[..size])
                    .enumerate()
            };
            let rows: Vec<usize> = chosen()
                .flat_map(|(_, list)| list.iter().copied())
                .collect();
            if rows.is_empty() {
                return Err(SubsetError::Nothing(group_sizes.clone()));
            }
            let tiers = chosen()
                .flat_map(|(tier, list)| list.iter().map(move |_| tier as i64))
                .collect();
            Ok(Chosen {
                rows,
                tiers: Some(tiers),
            })
        }
    }
}

/// Writes the bundle of the chosen samples; `go_on` is told the bytes of arrays as they are written
/// and may end it.
pub fn write(
    request: &Request<'_>,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<Manifest, SubsetError> {
    let Request {
        bundle,
        choice,
        out,
        ..
    } = request;
    let samples = Samples::read(bundle)?;
    let Chosen { rows, tiers } = choose(choice, &samples)?;
    if out
        .canonicalize()
        .is_ok_and(|out| bundle.root().canonicalize().is_ok_and(|root| out == root))
    {
        return Err(SubsetError::Itself(out.to_path_buf()));
    }
    check_room(out, needed_bytes(request, rows.len()))?;
    let staged = bundle::stage(out, request.replace)?;
    let mut folder = Folder::new(staged.path());
    let old = bundle.manifest();
    for file in old.files.keys().filter(|file| is_about_the_network(file)) {
        folder.copy(&bundle.root().join(file), 0, file)?;
    }
    let mut datasets = Vec::new();
    for (name, dataset) in old
        .datasets
        .iter()
        .filter(|(name, _)| tiers.is_none() || *name != dataset::TIER)
    {
        match dataset.dtype {
            Dtype::Float32 => {
                gather::<f32>(bundle, name, &rows, &mut folder, &mut datasets, &mut go_on)?
            }
            Dtype::Float64 => {
                gather::<f64>(bundle, name, &rows, &mut folder, &mut datasets, &mut go_on)?
            }
            Dtype::Int64 => {
                gather::<i64>(bundle, name, &rows, &mut folder, &mut datasets, &mut go_on)?
            }
        }
    }
    let chosen = Samples {
        confidence: rows.iter().map(|&row| samples.confidence[row]).collect(),
        correct: rows.iter().map(|&row| samples.correct[row]).collect(),
    };
    if let Some(tiers) = &tiers {
        let mut writer =
            NpyWriter::<i64>::create(&folder.place(&file_of(dataset::TIER))?, &[rows.len()])?;
        writer.write(tiers)?;
        list_dataset(
            writer,
            dataset::TIER,
            Role::SampleInfo,
            vec![rows.len()],
            &mut folder,
            &mut datasets,
        )?;
    }
    let tier_count = match choice {
        Choice::Conf { group_sizes } => group_sizes.len(),
        Choice::Range { .. } => old.tiers.upper_bounds.len().max(1),
    };
    let float64 = match &old.golden.float64 {
        Some(_) => Some(Float64Golden {
            largest_error: largest_float64_error(bundle, &rows)?,
        }),
        None => None,
    };
    let subset = Subset {
        of: bundle.blake3(),
        of_samples: samples.correct.len(),
        choice: choice.clone(),
    };
    let manifest = Manifest {
        datasets: datasets.into_iter().collect(),
        selection: Selection {
            split: old.selection.split,
            subset: Some(subset),
        },
        tiers: chosen.tiers(tier_count),
        accuracy: Accuracy {
            samples: rows.len(),
            correct: chosen.correct.iter().filter(|&&correct| correct).count(),
        },
        golden: Golden {
            float64,
            ..old.golden.clone()
        },
        ..old.clone()
    };
    let manifest = bundle::finish(folder, manifest, request.raw)?;
    bundle::commit(staged, out, request.replace)?;
    Ok(manifest)
}

/// The largest distance of the chosen rows' golden outputs from the same in float64.
fn largest_float64_error(bundle: &Bundle, rows: &[usize]) -> Result<f64, SubsetError> {
    let golden: Npy<f32> = bundle.dataset(dataset::SUBMODEL_OUTPUT)?;
    let exact: Npy<f64> = bundle.dataset(dataset::SUBMODEL_OUTPUT_F64)?;
    let mut largest = 0.0f64;
    for &row in rows {
        let (golden, exact) = (golden.rows(row..row + 1)?, exact.rows(row..row + 1)?);
        let errors = golden
            .iter()
            .zip(exact.iter())
            .map(|(&golden, &exact)| (f64::from(golden) - exact).abs());
        largest = errors.fold(largest, f64::max);
    }
    Ok(largest)
}

/// Models, their test data and weights, which are the other bundle's.
fn is_about_the_network(file: &str) -> bool {
    let folder = file.split('/').next().unwrap_or_default();
    folder != "npy" && folder != "raw" && file != README_FILE
}

fn needed_bytes(request: &Request<'_>, rows: usize) -> u64 {
    let manifest = request.bundle.manifest();
    let network: u64 = manifest
        .files
        .iter()
        .filter(|(file, _)| is_about_the_network(file))
        .map(|(_, digest)| digest.size)
        .sum();
    let row =
        |dataset: &Dataset| dataset.shape[1..].iter().product::<usize>() * dataset.dtype.size();
    let arrays = manifest.datasets.values().map(row).sum::<usize>() as u64 * rows as u64;
    network + arrays * if request.raw { 2 } else { 1 }
}

fn file_of(name: &str) -> String {
    format!("npy/{name}.npy")
}

/// Copies rows of one array, one after the other.
fn gather<T: Element>(
    bundle: &Bundle,
    name: &str,
    rows: &[usize],
    folder: &mut Folder,
    datasets: &mut Vec<(String, Dataset)>,
    go_on: &mut impl FnMut(u64) -> bool,
) -> Result<(), SubsetError> {
    let source: Npy<T> = bundle.dataset(name)?;
    let mut shape = source.shape().to_vec();
    shape[0] = rows.len();
    let mut writer = NpyWriter::<T>::create(&folder.place(&file_of(name))?, &shape)?;
    let length = source.row_elements();
    let bytes = length * T::DTYPE.size();
    let whole = if bytes < LARGE_ROW {
        Some(source.rows(0..source.rows_len())?)
    } else {
        None
    };
    for &row in rows {
        match &whole {
            Some(whole) => writer.write(&whole[row * length..(row + 1) * length])?,
            None => writer.write(&source.rows(row..row + 1)?)?,
        }
        if !go_on(bytes as u64) {
            return Err(SubsetError::Interrupted);
        }
    }
    list_dataset(
        writer,
        name,
        bundle.manifest().datasets[name].role,
        shape,
        folder,
        datasets,
    )
}

fn list_dataset<T: Element>(
    writer: NpyWriter<T>,
    name: &str,
    role: Role,
    shape: Vec<usize>,
    folder: &mut Folder,
    datasets: &mut Vec<(String, Dataset)>,
) -> Result<(), SubsetError> {
    let file = file_of(name);
    folder.add(file.clone(), writer.finish()?);
    datasets.push((
        name.to_owned(),
        Dataset {
            file,
            role,
            dtype: T::DTYPE,
            shape,
        },
    ));
    Ok(())
}

fn list(numbers: &[usize]) -> String {
    numbers
        .iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Sizes that would work, if any sample would be in them.
fn hint(asked: &[usize], available: &[usize]) -> String {
    let fitting: Vec<usize> = asked
        .iter()
        .zip(available)
        .map(|(&asked, &available)| asked.min(available))
        .collect();
    match fitting.iter().sum() {
        0 => String::new(),
        1.. => format!("\nhint: --group-sizes {} would work", list(&fitting)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Samples {
        let confidence = vec![0.9, 0.1, 0.8, 0.3, 0.2, 0.99];
        Samples {
            confidence,
            correct: vec![true, true, true, true, true, false],
        }
    }

    #[test]
    fn tiers_come_in_ascending_order_and_their_samples_in_the_bundles() {
        let chosen = |sizes: &[usize]| {
            choose(
                &Choice::Conf {
                    group_sizes: sizes.to_vec(),
                },
                &samples(),
            )
        };
        let found = chosen(&[1, 1, 0, 2]).expect("enough");
        assert_eq!(
            found,
            Chosen {
                rows: vec![1, 3, 0, 2],
                tiers: Some(vec![0, 1, 3, 3])
            }
        );
        let message = chosen(&[3, 1, 1, 1]).expect_err("too few").to_string();
        assert!(
            message.contains("4 tiers: 2 1 0 2")
                && message.contains("--group-sizes 2 1 0 1 would work"),
            "{message}"
        );
        assert!(
            chosen(&[0, 0])
                .expect_err("none")
                .to_string()
                .contains("no sample")
        );
    }

    #[test]
    fn a_range_must_lie_in_the_bundle() {
        let chosen = |start, end| choose(&Choice::Range { start, end }, &samples());
        assert_eq!(chosen(2, 4).expect("inside").rows, [2, 3]);
        for (start, end) in [(0, 7), (3, 3), (4, 2)] {
            assert!(
                chosen(start, end)
                    .expect_err("outside")
                    .to_string()
                    .contains("at most 6")
            );
        }
    }
}
