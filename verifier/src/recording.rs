//! What a part was given and gave back when it was recorded: datasets of the bundle, or a part's
//! test data sets.

use std::ops::{Deref, Range};
use std::path::Path;

use proto::bundle::{Bundle, BundleError};
use proto::manifest::{Part, Tensor, dataset, part};
use proto::npy::{Npy, NpyError, Rows};

/// One tensor of every sample.
#[derive(Debug)]
pub struct Recording {
    name: String,
    shape: Vec<usize>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    File(Npy<f32>),
    Memory(Vec<f32>),
}

/// Consecutive samples of a recording.
#[derive(Debug)]
pub enum Window<'a> {
    /// Mapped from a file.
    Mapped(Rows<f32>),
    /// In memory.
    Memory(&'a [f32]),
}

/// What a part is checked with.
#[derive(Debug)]
pub struct Recordings {
    /// In the order of the graph's inputs.
    pub inputs: Vec<Recording>,
    /// In the order of the graph's outputs.
    pub goldens: Vec<Recording>,
    /// The position of each sample in the split of CIFAR-10.
    pub sample_index: Vec<i64>,
    /// Where they come from: `npy` or `test data sets`.
    pub origin: &'static str,
}

/// A part cannot be checked with what is in the bundle.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The bundle is not as it should be.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A file cannot be read.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A dataset has not the shape of the model's tensor.
    #[error(
        "dataset `{name}` has shape {found:?}, but the model's tensor is {expected:?} for each sample"
    )]
    Shape {
        /// The dataset.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The tensor's, without the batch.
        expected: Vec<usize>,
    },
    /// The positions of the samples are not those of images.
    #[error("dataset `sample_index` {0}")]
    SampleIndex(String),
    /// Nothing was recorded for the part.
    #[error(
        "part `{part}` has no recorded tensors: the bundle's datasets are the submodel's, and it has no test data sets\n\
         hint: `exporter bundle --test-data-sets N` records N samples of every part"
    )]
    Nothing {
        /// The part.
        part: String,
    },
}

impl Recording {
    /// Samples in a file, `[samples, …]`.
    pub fn mapped(name: &str, npy: Npy<f32>) -> Self {
        Self {
            name: name.to_owned(),
            shape: npy.shape().to_vec(),
            values: Values::File(npy),
        }
    }

    /// Samples in memory; `None` unless they fill the shape `[samples, …]`.
    pub fn in_memory(name: &str, shape: Vec<usize>, values: Vec<f32>) -> Option<Self> {
        let elements = shape
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis))?;
        (!shape.is_empty() && elements == values.len()).then(|| Self {
            name: name.to_owned(),
            shape,
            values: Values::Memory(values),
        })
    }

    /// The tensor's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Axes, the samples first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Axes of one sample.
    pub fn sample_shape(&self) -> &[usize] {
        &self.shape[1..]
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.shape[0]
    }

    /// Elements of one sample.
    pub fn sample_elements(&self) -> usize {
        self.sample_shape().iter().product()
    }

    /// Some consecutive samples.
    pub fn window(&self, samples: Range<usize>) -> Result<Window<'_>, NpyError> {
        match &self.values {
            Values::File(npy) => Ok(Window::Mapped(npy.rows(samples)?)),
            Values::Memory(values) => {
                let length = self.sample_elements();
                Ok(Window::Memory(
                    &values[samples.start * length..samples.end * length],
                ))
            }
        }
    }
}

/// The same samples of several recordings.
pub fn windows<'a>(
    recordings: &'a [Recording],
    samples: &Range<usize>,
) -> Result<Vec<Window<'a>>, NpyError> {
    recordings
        .iter()
        .map(|recording| recording.window(samples.clone()))
        .collect()
}

impl Deref for Window<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Mapped(rows) => rows,
            Self::Memory(values) => values,
        }
    }
}

impl Recordings {
    /// The datasets that bear the names of the part's tensors; where a part other than the submodel
    /// lacks one, its test data sets.
    pub fn of(bundle: &Bundle, name: &str) -> Result<Self, RecordingError> {
        let (_, part) = bundle.part(name)?;
        let datasets = &bundle.manifest().datasets;
        let has_datasets = part
            .inputs
            .iter()
            .chain(&part.outputs)
            .all(|tensor| datasets.contains_key(&tensor.name));
        // The submodel's datasets are what a bundle is for: without them a few test data sets would
        // pass for all samples.
        if has_datasets || name == part::SUBMODEL {
            return Self::from_datasets(bundle, part);
        }
        Self::from_test_data_sets(bundle, name, part)
    }

    fn from_datasets(bundle: &Bundle, part: &Part) -> Result<Self, RecordingError> {
        let open = |tensors: &[Tensor]| -> Result<Vec<Recording>, RecordingError> {
            tensors
                .iter()
                .map(|tensor| {
                    let npy: Npy<f32> = bundle.dataset(&tensor.name)?;
                    let (name, found) = (tensor.name.clone(), npy.shape().to_vec());
                    match tensor.sample_shape() {
                        Some(expected) if found[1..] == expected => {
                            Ok(Recording::mapped(&name, npy))
                        }
                        expected => Err(RecordingError::Shape {
                            name,
                            found,
                            expected: expected.unwrap_or_default(),
                        }),
                    }
                })
                .collect()
        };
        let (inputs, goldens) = (open(&part.inputs)?, open(&part.outputs)?);
        let sample_index: Npy<i64> = bundle.dataset(dataset::SAMPLE_INDEX)?;
        if sample_index.shape().len() != 1 {
            let text = format!("has shape {:?}, expected one axis", sample_index.shape());
            return Err(RecordingError::SampleIndex(text));
        }
        let sample_index = sample_index.rows(0..sample_index.rows_len())?.to_vec();
        Self {
            inputs,
            goldens,
            sample_index,
            origin: "npy",
        }
        .with_images(bundle)
    }

    fn from_test_data_sets(
        bundle: &Bundle,
        name: &str,
        part: &Part,
    ) -> Result<Self, RecordingError> {
        if part.test_data_sets.is_empty() {
            return Err(RecordingError::Nothing {
                part: name.to_owned(),
            });
        }
        let folder = Path::new(&part.file)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        let read = |kind: &str, tensors: &[Tensor]| -> Result<Vec<Recording>, RecordingError> {
            tensors
                .iter()
                .enumerate()
                .map(|(number, tensor)| {
                    let axes = tensor.sample_shape().unwrap_or_default();
                    let mut values = Vec::new();
                    for set in 0..part.test_data_sets.len() {
                        let file = folder.join(format!("test_data_set_{set}/{kind}_{number}.pb"));
                        values.extend(bundle.test_tensor(&file.to_string_lossy(), &axes)?);
                    }
                    let shape: Vec<usize> = std::iter::once(part.test_data_sets.len())
                        .chain(axes)
                        .collect();
                    Ok(Recording::in_memory(&tensor.name, shape, values)
                        .expect("every tensor has the sample's shape"))
                })
                .collect()
        };
        let sample_index = part
            .test_data_sets
            .iter()
            .map(|&position| position as i64)
            .collect();
        let (inputs, goldens) = (read("input", &part.inputs)?, read("output", &part.outputs)?);
        Self {
            inputs,
            goldens,
            sample_index,
            origin: "test data sets",
        }
        .with_images(bundle)
    }

    /// Refuses positions that no image of the split has.
    fn with_images(self, bundle: &Bundle) -> Result<Self, RecordingError> {
        let split = bundle.manifest().selection.split;
        let positions = 0..split.images() as i64;
        match self
            .sample_index
            .iter()
            .find(|index| !positions.contains(*index))
        {
            None => Ok(self),
            Some(index) => Err(RecordingError::SampleIndex(format!(
                "has {index}, expected a position in CIFAR-10's {split} split, {positions:?}"
            ))),
        }
    }
}
