//! Goldens that another program recorded: read a batch at a time, compared with what the network
//! gives for the same images, and put in its place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use proto::config::VitConfig;
use proto::digest::sha256_reader;
use proto::manifest::{RecordedElsewhere, dataset};
use proto::npy::Npy;
use proto::regular_file::{self, Stamp};
use tch::{Kind, Tensor};
use trainer::pth::StoredTensor;

use super::elements::elements;
use super::error::RecordedError;
use super::kept::Batch;

/// How far a recorded element may lie from what the network gives, absolute and relative to that:
/// the tolerance of the full model, whose rounding errors on another device add up.
const ATOL: f64 = 1e-4;
const RTOL: f64 = 1e-4;

/// A file of another program, hashed once for all arrays in it.
#[derive(Debug)]
pub struct RecordedFile {
    path: PathBuf,
    /// Hexadecimal.
    sha256: String,
    file: File,
    stamp: Stamp,
}

/// An array `[rows, …]`, float32, that another program recorded.
#[derive(Debug)]
pub struct RecordedArray {
    path: PathBuf,
    sha256: String,
    /// Its name in the file, if the file holds more than it.
    entry: Option<String>,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Tensor(StoredTensor),
    Npy(Npy<f32>),
}

/// What another program recorded of the cut and at the end.
#[derive(Debug)]
pub struct RecordedGolden {
    /// `[samples, tokens, dim]`
    pub input: RecordedArray,
    /// `[samples, tokens, dim]`
    pub output: RecordedArray,
    /// `[samples, classes]`, or `[images, classes]` with a row for every image of the split.
    pub logits: Option<RecordedArray>,
    /// The files, which must stay as they are.
    pub files: Vec<RecordedFile>,
    /// Whether values far from what the network gives are taken too.
    pub accept_differences: bool,
}

impl RecordedFile {
    /// Opens and hashes a file.
    pub fn open(path: &Path) -> Result<Self, RecordedError> {
        let open = || {
            let file = regular_file::open(path)?;
            let stamp = Stamp::of(&file.metadata()?);
            Ok((sha256_reader(&file)?, file, stamp))
        };
        let (sha256, file, stamp) = open().map_err(|error| at(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            sha256,
            file,
            stamp,
        })
    }

    /// Opens the array that the file is, or the one of this name in it.
    pub fn array(&self, entry: Option<&str>) -> Result<RecordedArray, RecordedError> {
        let is_npy = self.path.extension().is_some_and(|name| name == "npy");
        Ok(RecordedArray {
            path: self.path.clone(),
            sha256: self.sha256.clone(),
            entry: entry.map(str::to_owned),
            rows: match is_npy {
                true => Rows::Npy(Npy::open(&self.path)?),
                false => Rows::Tensor(StoredTensor::open(&self.path, entry)?),
            },
        })
    }

    /// Refuses a file that was changed since it was hashed.
    fn check_unchanged(&self) -> Result<(), RecordedError> {
        let check = || {
            regular_file::check_unchanged(&self.file, self.stamp)?;
            regular_file::check_unchanged(&regular_file::open(&self.path)?, self.stamp)
        };
        check().map_err(|error| at(&self.path, error))
    }
}

impl RecordedArray {
    /// Axes, slowest first.
    pub fn shape(&self) -> &[usize] {
        match &self.rows {
            Rows::Tensor(tensor) => tensor.shape(),
            Rows::Npy(npy) => npy.shape(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Some rows `[rows, …]`, all finite; `name` is what the array is in a bundle.
    pub(super) fn read(
        &self,
        range: Range<usize>,
        name: &'static str,
    ) -> Result<Tensor, RecordedError> {
        let mut axes: Vec<i64> = self.shape().iter().map(|&axis| axis as i64).collect();
        axes[0] = range.len() as i64;
        let start = range.start;
        let elements = match &self.rows {
            Rows::Tensor(tensor) => tensor.rows(range).map_err(|error| at(&self.path, error))?,
            Rows::Npy(npy) => npy.rows(range)?.to_vec(),
        };
        let not_finite = elements.iter().position(|element| !element.is_finite());
        if let Some(index) = not_finite {
            let row = self.shape()[1..].iter().product::<usize>();
            return Err(RecordedError::NotFinite {
                path: self.path.clone(),
                array: name,
                sample: start + index / row,
                element: index % row,
                value: elements[index],
            });
        }
        Ok(Tensor::from_slice(&elements).view(axes.as_slice()))
    }

    fn expect_shape(
        &self,
        name: &'static str,
        rows: &[usize],
        row: &[usize],
    ) -> Result<(), RecordedError> {
        let found = self.shape();
        if found.get(1..) == Some(row) && rows.contains(&found[0]) {
            return Ok(());
        }
        let shapes = rows
            .iter()
            .map(|&rows| format!("{:?}", [&[rows][..], row].concat()));
        Err(RecordedError::Shape {
            path: self.path.clone(),
            array: name,
            expected: shapes.collect::<Vec<_>>().join(" or "),
            found: found.to_vec(),
        })
    }
}

impl RecordedGolden {
    /// Recorded samples.
    pub fn samples(&self) -> usize {
        self.input.shape()[0]
    }

    /// Refuses arrays of other shapes than the network's; `images` is the length of the split.
    pub fn check(&self, config: &VitConfig, images: usize) -> Result<(), RecordedError> {
        let samples = self.samples();
        let edge = [config.tokens(), config.dim];
        let (input, output) = (dataset::SUBMODEL_INPUT, dataset::SUBMODEL_OUTPUT);
        self.input.expect_shape(input, &[samples], &edge)?;
        self.output.expect_shape(output, &[samples], &edge)?;
        let Some(logits) = &self.logits else {
            return Ok(());
        };
        let mut rows = vec![samples, images];
        rows.dedup();
        logits.expect_shape(dataset::LOGITS, &rows, &[config.classes])
    }

    /// What was compared, for the manifest; refuses files that were changed meanwhile.
    pub(super) fn finish(
        &self,
        differences: Differences,
    ) -> Result<BTreeMap<String, RecordedElsewhere>, RecordedError> {
        self.files
            .iter()
            .try_for_each(RecordedFile::check_unchanged)?;
        let arrays = self.arrays().into_iter();
        let described = arrays.map(|(name, array)| {
            let difference = differences.0.get(name).copied().unwrap_or_default();
            (name.to_owned(), array.described(difference))
        });
        Ok(described.collect())
    }

    /// What is known before the comparison, for the metadata of models: files and names in them.
    pub fn sources(&self) -> BTreeMap<String, String> {
        let arrays = self.arrays().into_iter();
        arrays
            .map(|(name, array)| (name.to_owned(), array.sha256.clone()))
            .collect()
    }

    fn arrays(&self) -> Vec<(&'static str, &RecordedArray)> {
        let cut = [
            (dataset::SUBMODEL_INPUT, &self.input),
            (dataset::SUBMODEL_OUTPUT, &self.output),
        ];
        let logits = self.logits.iter().map(|logits| (dataset::LOGITS, logits));
        cut.into_iter().chain(logits).collect()
    }

    /// Compares a batch with what was recorded of it, rows `range`, and puts that in its place;
    /// `indices` are the samples' positions in the split.
    pub(super) fn replace(
        &self,
        batch: &mut Batch,
        range: Range<usize>,
        indices: &[usize],
        differences: &mut Differences,
    ) -> Result<(), RecordedError> {
        let first = range.start;
        for (name, array) in self.arrays() {
            let computed = match name {
                dataset::SUBMODEL_INPUT => &mut batch.input,
                dataset::SUBMODEL_OUTPUT => &mut batch.output,
                _ => &mut batch.logits,
            };
            let is_of_samples = array.shape()[0] == self.samples();
            let recorded = match is_of_samples {
                true => array.read(range.clone(), name)?,
                false => {
                    let rows = indices
                        .iter()
                        .map(|&image| array.read(image..image + 1, name));
                    Tensor::cat(&rows.collect::<Result<Vec<_>, _>>()?, 0)
                }
            };
            let recorded = recorded.to_device(computed.device());
            let difference = differences.add(name, &recorded, computed);
            if let Some((row, difference)) = difference
                && !self.accept_differences
            {
                return Err(RecordedError::Different {
                    path: array.path.clone(),
                    array: name,
                    sample: if is_of_samples {
                        first + row
                    } else {
                        indices[row]
                    },
                    image: indices[row],
                    difference,
                    atol: ATOL,
                    rtol: RTOL,
                });
            }
            *computed = recorded;
        }
        Ok(())
    }
}

impl RecordedArray {
    fn described(&self, difference: Difference) -> RecordedElsewhere {
        RecordedElsewhere {
            sha256: self.sha256.clone(),
            entry: self.entry.clone(),
            largest_difference: difference.largest,
            samples_outside: difference.samples_outside,
            atol: ATOL,
            rtol: RTOL,
        }
    }
}

/// How far recorded arrays lie from what the network gives, by their names.
#[derive(Debug, Default)]
pub(super) struct Differences(BTreeMap<&'static str, Difference>);

#[derive(Debug, Default, Clone, Copy)]
struct Difference {
    largest: f64,
    samples_outside: usize,
}

impl Differences {
    /// Adds the difference of a batch, both `[batch, …]` and finite. Gives the first sample outside
    /// of the tolerance, and its largest difference.
    fn add(
        &mut self,
        name: &'static str,
        recorded: &Tensor,
        computed: &Tensor,
    ) -> Option<(usize, f64)> {
        let of_samples = |tensor: &Tensor| tensor.flatten(1, -1).amax([1i64].as_slice(), false);
        let recorded = recorded.to_kind(Kind::Double);
        let computed = computed.to_kind(Kind::Double);
        let distance = (recorded - &computed).abs();
        let excess = of_samples(&(&distance - (computed.abs() * RTOL + ATOL))); // [batch]
        let largest = of_samples(&distance); // [batch]
        // A NaN of the network is outside of any tolerance.
        let excess = elements::<f64>(&excess).into_iter();
        let is_outside: Vec<bool> = excess
            .map(|excess| excess > 0.0 || excess.is_nan())
            .collect();
        let total = self.0.entry(name).or_default();
        total.largest = total.largest.max(largest.max().double_value(&[]));
        total.samples_outside += is_outside.iter().filter(|&&is_outside| is_outside).count();
        let first = is_outside.iter().position(|&is_outside| is_outside)?;
        Some((first, largest.double_value(&[first as i64])))
    }
}

fn at(path: &Path, error: io::Error) -> RecordedError {
    RecordedError::Io {
        path: path.to_owned(),
        error,
    }
}
