//! What a part of a bundle is checked with: its datasets, or the test data sets beside its model.

use std::ops::Range;
use std::path::Path;

use ndarray::{ArrayD, IxDyn};
use proto::bundle::{Bundle, BundleError};
use proto::manifest::{Part, Tensor, dataset, part};
use proto::npy::{Dtype, Element, Npy, NpyError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::recording::Recording;

/// Inputs and goldens of the same samples, and what is known of each sample.
#[derive(Debug)]
pub struct Recordings {
    /// In the order of the graph's inputs.
    pub inputs: Vec<Recording>,
    /// In the order of the graph's outputs.
    pub goldens: Vec<Recording>,
    /// One for each sample.
    pub info: Vec<SampleInfo>,
    /// Where the tensors come from.
    pub origin: Origin,
    /// Outputs of the part of which the bundle has no golden.
    pub without_golden: Vec<String>,
    /// The input that is computed from pixels, if one is.
    pub from_pixels: Option<Computed>,
    /// The bundle's files that hold inputs, and then goldens, which are hashed as they are read.
    pub files: Vec<String>,
}

/// An input that parts of the bundle compute from pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Computed {
    /// The input's name.
    pub tensor: String,
    /// The parts that compute it, one after the other.
    pub parts: Vec<String>,
}

/// What a bundle says of a sample; what it does not say is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleInfo {
    /// Its position in the split of CIFAR-10.
    pub sample_index: i64,
    /// The true class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<i64>,
    /// The class with the largest golden logit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prediction: Option<i64>,
    /// p(best class) − p(second best class) of the golden logits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Its confidence tier, from 0, in a subset made by tiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<i64>,
}

/// Where recorded tensors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Origin {
    /// The bundle's datasets.
    #[serde(rename = "npy")]
    Npy,
    /// Goldens in the bundle's datasets, an input computed from pixels.
    #[serde(rename = "pixels")]
    Pixels,
    /// ONNX's test data sets beside the model.
    #[serde(rename = "test data sets")]
    TestDataSets,
}

/// A part cannot be checked with what is in the bundle.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Npy(#[from] NpyError),
    #[error(
        "dataset `{name}` has shape {found:?}, but the model's tensor is {expected:?} for each \
         sample"
    )]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("dataset `sample_index` {0}")]
    SampleIndex(String),
    #[error("dataset `{name}` has shape {found:?}, expected [{samples}]")]
    Info {
        name: String,
        found: Vec<usize>,
        samples: usize,
    },
    #[error(
        "part `{part}` has no recorded tensors: the bundle's datasets are the submodel's, and it \
         has no test data sets"
    )]
    Nothing { part: String },
    #[error(
        "part `{part}` takes `{tensor}` as {dtype}: only parts whose inputs are float32 can be run"
    )]
    NotFloat32 {
        part: String,
        tensor: String,
        dtype: &'static str,
    },
}

impl Recordings {
    /// The datasets that bear the names of the part's tensors, and for the inputs of parts other
    /// than the submodel that are not among them the pixels that they are computed from. Where a
    /// bundle has neither, or if `test_data` asks for them, the part's test data sets.
    pub fn of(bundle: &Bundle, name: &str, test_data: bool) -> Result<Self, RecordingError> {
        let (_, part) = bundle.part(name)?;
        check_float32(name, part)?;
        let has = |tensor: &Tensor| bundle.manifest().datasets.contains_key(&tensor.name);
        // The submodel's datasets are what a bundle is for: without them a few test data sets would
        // pass for all samples.
        let is_recorded = name == part::SUBMODEL
            || part.outputs.iter().any(has)
                && part
                    .inputs
                    .iter()
                    .all(|input| has(input) || computed(bundle, input).is_some());
        let recordings = if is_recorded && !test_data {
            Self::from_datasets(bundle, name, part)?
        } else {
            Self::from_test_data_sets(bundle, name, part)?
        };
        recordings.with_images(bundle)
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.goldens.first().map_or(0, Recording::samples)
    }

    /// Hashes the files of inputs and goldens, so that samples can be read in any order; `go_on` is
    /// told the bytes as they are read and may end it.
    pub fn verified(self, mut go_on: impl FnMut(u64) -> bool) -> Result<Self, NpyError> {
        let (inputs, goldens) = (self.inputs, self.goldens);
        Ok(Self {
            inputs: all_verified(inputs, &mut go_on)?,
            goldens: all_verified(goldens, &mut go_on)?,
            ..self
        })
    }

    /// For outputs that are there already: without the inputs, whose files then are hashed with all
    /// others of the bundle, and with goldens that every core reads.
    pub fn goldens_alone(mut self) -> Self {
        let goldens = self.files.len().saturating_sub(self.inputs.len());
        self.files = self.files.split_off(self.files.len() - goldens);
        self.inputs = vec![];
        let goldens = self.goldens.into_iter();
        self.goldens = goldens.map(Recording::on_all_cores).collect();
        self
    }

    /// The names of [`Self::files`].
    pub fn file_names(&self) -> Vec<&str> {
        self.files.iter().map(String::as_str).collect()
    }

    fn from_datasets(bundle: &Bundle, name: &str, part: &Part) -> Result<Self, RecordingError> {
        let of_bundle = &bundle.manifest().datasets;
        let is_submodel = name == part::SUBMODEL;
        let (with_golden, without): (Vec<_>, Vec<_>) = part
            .outputs
            .iter()
            .partition(|tensor| is_submodel || of_bundle.contains_key(&tensor.name));
        let (mut inputs, mut files, mut from_pixels) = (vec![], vec![], None);
        for tensor in &part.inputs {
            match computed(bundle, tensor) {
                Some(computed) if !of_bundle.contains_key(&tensor.name) => {
                    inputs.push(input_from_pixels(bundle, tensor)?);
                    files.push(of_bundle[dataset::PIXELS].file.clone());
                    from_pixels = Some(computed);
                }
                _ => {
                    inputs.push(dataset_of(bundle, tensor)?);
                    files.push(of_bundle[&tensor.name].file.clone());
                }
            }
        }
        let goldens = with_golden.iter().map(|tensor| dataset_of(bundle, tensor));
        let goldens = goldens.collect::<Result<_, _>>()?;
        files.extend(
            with_golden
                .iter()
                .map(|tensor| of_bundle[&tensor.name].file.clone()),
        );
        Ok(Self {
            inputs,
            goldens,
            info: sample_info(bundle)?,
            origin: match from_pixels {
                None => Origin::Npy,
                Some(_) => Origin::Pixels,
            },
            without_golden: without.iter().map(|tensor| tensor.name.clone()).collect(),
            from_pixels,
            files,
        })
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
        let inputs = test_data_sets(bundle, part, "input", &part.inputs)?;
        let goldens = test_data_sets(bundle, part, "output", &part.outputs)?;
        // The samples of the datasets are described; these are some of them, or others.
        let described = if bundle
            .manifest()
            .datasets
            .contains_key(dataset::SAMPLE_INDEX)
        {
            sample_info(bundle)?
        } else {
            vec![]
        };
        let info = part.test_data_sets.iter().map(|&position| {
            let sample_index = position as i64;
            let known = described
                .iter()
                .find(|info| info.sample_index == sample_index);
            known.copied().unwrap_or(SampleInfo {
                sample_index,
                ..SampleInfo::default()
            })
        });
        Ok(Self {
            inputs,
            goldens,
            info: info.collect(),
            origin: Origin::TestDataSets,
            without_golden: vec![],
            from_pixels: None,
            files: vec![],
        })
    }

    /// Refuses positions that no image of the split has.
    fn with_images(self, bundle: &Bundle) -> Result<Self, RecordingError> {
        let split = bundle.manifest().selection.split;
        let positions = 0..split.images() as i64;
        let outside = self
            .info
            .iter()
            .find(|info| !positions.contains(&info.sample_index));
        match outside {
            None => Ok(self),
            Some(info) => Err(RecordingError::SampleIndex(format!(
                "has {}, expected a position in CIFAR-10's {split} split, {positions:?}",
                info.sample_index
            ))),
        }
    }
}

/// Engines are given float32 alone.
fn check_float32(name: &str, part: &Part) -> Result<(), RecordingError> {
    let is_other = |tensor: &&Tensor| tensor.dtype != Dtype::Float32;
    match part.inputs.iter().find(is_other) {
        None => Ok(()),
        Some(tensor) => Err(RecordingError::NotFloat32 {
            part: name.to_owned(),
            tensor: tensor.name.clone(),
            dtype: tensor.dtype.name(),
        }),
    }
}

fn all_verified(
    recordings: Vec<Recording>,
    go_on: &mut impl FnMut(u64) -> bool,
) -> Result<Vec<Recording>, NpyError> {
    let recordings = recordings.into_iter();
    recordings
        .map(|recording| recording.verified(&mut *go_on))
        .collect()
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Npy | Self::Pixels => "npy",
            Self::TestDataSets => "test data sets",
        })
    }
}

/// How a tensor is computed from pixels, if the bundle has them and the parts for it.
pub fn computed(bundle: &Bundle, tensor: &Tensor) -> Option<Computed> {
    let manifest = bundle.manifest();
    if !manifest.datasets.contains_key(dataset::PIXELS) {
        return None;
    }
    let gives = |name: &str| {
        let part = manifest.parts.get(name);
        part.is_some_and(|part| part.outputs.iter().any(|output| output.name == tensor.name))
    };
    let parts: &[&str] = if gives(part::PREPROCESS) {
        &[part::PREPROCESS]
    } else if gives(part::HEAD) && manifest.parts.contains_key(part::PREPROCESS) {
        &[part::PREPROCESS, part::HEAD]
    } else {
        return None;
    };
    Some(Computed {
        tensor: tensor.name.clone(),
        parts: parts.iter().map(|&part| part.to_owned()).collect(),
    })
}

/// An input that is read as pixels, and computed from them.
pub fn input_from_pixels(bundle: &Bundle, tensor: &Tensor) -> Result<Recording, RecordingError> {
    let pixels: Npy<u8> = bundle.dataset(dataset::PIXELS)?;
    let (_, preprocess) = bundle.part(part::PREPROCESS)?;
    let expected = preprocess.inputs.first().and_then(Tensor::sample_shape);
    if expected.as_deref() != Some(&pixels.shape()[1..]) {
        return Err(RecordingError::Shape {
            name: dataset::PIXELS.to_owned(),
            found: pixels.shape().to_vec(),
            expected: expected.unwrap_or_default(),
        });
    }
    let axes = tensor.sample_shape().unwrap_or_default();
    Ok(Recording::from_pixels(&tensor.name, pixels, &axes))
}

fn dataset_of(bundle: &Bundle, tensor: &Tensor) -> Result<Recording, RecordingError> {
    let npy: Npy<f32> = bundle.dataset(&tensor.name)?;
    let expected = tensor.sample_shape();
    if expected.as_deref() != Some(&npy.shape()[1..]) {
        return Err(RecordingError::Shape {
            name: tensor.name.clone(),
            found: npy.shape().to_vec(),
            expected: expected.unwrap_or_default(),
        });
    }
    Ok(Recording::in_file(&tensor.name, npy))
}

/// The tensors of one side of a part, each with all of its test data sets in one array.
fn test_data_sets(
    bundle: &Bundle,
    part: &Part,
    side: &str,
    tensors: &[Tensor],
) -> Result<Vec<Recording>, RecordingError> {
    let folder = Path::new(&part.file).parent().unwrap_or(Path::new(""));
    let samples_per_set = bundle.manifest().deployment().samples_per_run();
    let mut recordings = Vec::with_capacity(tensors.len());
    for (number, tensor) in tensors.iter().enumerate() {
        let axes = tensor.sample_shape().unwrap_or_default();
        let mut values = Vec::new();
        for set in 0..part.test_data_sets.len() / samples_per_set {
            let file = folder.join(format!("test_data_set_{set}/{side}_{number}.pb"));
            values.extend(bundle.test_tensor(&file.to_string_lossy(), &axes)?);
        }
        let shape: Vec<usize> = [&[part.test_data_sets.len()], axes.as_slice()].concat();
        let values = ArrayD::from_shape_vec(IxDyn(&shape), values)
            .expect("every tensor was checked to have the sample's shape");
        let recording = Recording::in_memory(&tensor.name, values);
        recordings.push(recording.expect("the samples are an axis"));
    }
    Ok(recordings)
}

/// What the datasets say of every sample.
fn sample_info(bundle: &Bundle) -> Result<Vec<SampleInfo>, RecordingError> {
    let sample_index: Npy<i64> = bundle.dataset(dataset::SAMPLE_INDEX)?;
    if sample_index.shape().len() != 1 {
        let text = format!("has shape {:?}, expected one axis", sample_index.shape());
        return Err(RecordingError::SampleIndex(text));
    }
    let samples = 0..sample_index.rows_len();
    let labels = optional::<i64>(bundle, dataset::LABELS, &samples)?;
    let predictions = optional::<i64>(bundle, dataset::PREDICTIONS, &samples)?;
    let confidences = optional::<f32>(bundle, dataset::CONFIDENCE, &samples)?;
    let tiers = optional::<i64>(bundle, dataset::TIER, &samples)?;
    let info = |(sample, &sample_index): (usize, &i64)| SampleInfo {
        sample_index,
        label: labels.as_ref().map(|labels| labels[sample]),
        prediction: predictions.as_ref().map(|predictions| predictions[sample]),
        confidence: confidences.as_ref().map(|confidences| confidences[sample]),
        tier: tiers.as_ref().map(|tiers| tiers[sample]),
    };
    let sample_index = sample_index.all()?;
    Ok(sample_index.iter().enumerate().map(info).collect())
}

/// A dataset of one value a sample, if the bundle has it.
fn optional<T: Element>(
    bundle: &Bundle,
    name: &str,
    samples: &Range<usize>,
) -> Result<Option<Vec<T>>, RecordingError> {
    if !bundle.manifest().datasets.contains_key(name) {
        return Ok(None);
    }
    let npy: Npy<T> = bundle.dataset(name)?;
    if npy.shape() != [samples.len()] {
        return Err(RecordingError::Info {
            name: name.to_owned(),
            found: npy.shape().to_vec(),
            samples: samples.len(),
        });
    }
    Ok(Some(npy.all()?))
}

#[cfg(test)]
pub(crate) mod fixtures {
    //! Recordings in memory.

    use super::*;

    /// One tensor `[samples, …]` that is made of the number of each element.
    pub(crate) fn recording(
        name: &str,
        shape: &[usize],
        value: impl Fn(usize) -> f32,
    ) -> Recording {
        let values = (0..shape.iter().product()).map(value).collect();
        let values = ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many as the shape");
        Recording::in_memory(name, values).expect("an axis of samples")
    }

    /// An input `x`, which is its own golden.
    pub(crate) fn echo_recordings(shape: &[usize], value: impl Fn(usize) -> f32) -> Recordings {
        recordings(recording("x", shape, &value), recording("x", shape, &value))
    }

    /// An input and a golden.
    pub(crate) fn recordings(input: Recording, golden: Recording) -> Recordings {
        let positions = 0..golden.samples() as i64;
        Recordings {
            inputs: vec![input],
            goldens: vec![golden],
            info: positions
                .map(|sample_index| SampleInfo {
                    sample_index,
                    ..SampleInfo::default()
                })
                .collect(),
            origin: Origin::Npy,
            without_golden: vec![],
            from_pixels: None,
            files: vec![],
        }
    }
}
