//! Recording the golden tensors: one pass of the loaded network over the images, streamed to NPY.

use std::path::Path;

use proto::manifest::{Accuracy, Dataset, Role, dataset};
use proto::module::Module;
use proto::npy::{Dtype, Element, NpyError, NpyWriter};
use proto::tier::{DEFAULT_TIERS, Tiers};
use tch::{Kind, Tensor};
use trainer::cifar10::Split;
use trainer::evaluate::batches;
use trainer::preprocess::Preprocessor;
use trainer::vit::Vit;

/// What a pass over the images came to.
#[derive(Debug)]
pub struct Recorded {
    /// The NPY files, by name.
    pub datasets: Vec<(String, Dataset)>,
    /// Correct classifications.
    pub accuracy: Accuracy,
    /// Spread over the confidence tiers.
    pub tiers: Tiers,
}

/// Why no golden could be recorded.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// A file could not be written.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A golden value is infinite or not a number.
    #[error("{tensor} of sample {sample} has a value that is not finite: these weights make no usable golden")]
    NotFinite {
        /// The tensor.
        tensor: &'static str,
        /// Position in the test split.
        sample: usize,
    },
    /// The user stopped it.
    #[error("interrupted: nothing was written")]
    Interrupted,
}

/// The NPY files of a bundle, open for writing.
struct Writers {
    submodel_input: NpyWriter<f32>,
    submodel_output: NpyWriter<f32>,
    logits: NpyWriter<f32>,
    labels: NpyWriter<i64>,
    predictions: NpyWriter<i64>,
    confidence: NpyWriter<f32>,
    sample_index: NpyWriter<i64>,
}

/// Runs the first `samples` images through the network and writes what passes the cut, and what comes out, to
/// `folder/npy`. After each batch `go_on` is told the samples done, and ends the recording by returning false.
pub fn record(
    vit: &Vit,
    module: Module,
    split: &Split,
    samples: usize,
    batch_size: usize,
    folder: &Path,
    mut go_on: impl FnMut(usize) -> bool,
) -> Result<Recorded, GoldenError> {
    let _no_grad = tch::no_grad_guard();
    let config = vit.config();
    let (mut writers, datasets) = Writers::create(folder, samples, &[config.tokens(), config.dim], config.classes)?;
    let preprocessor = Preprocessor::new(config.image_size);
    let cut = module.to_string();
    let mut accuracy = Accuracy { samples, correct: 0 };
    let mut tiers = Tiers::new(DEFAULT_TIERS);

    for range in batches(samples, batch_size) {
        let indices: Vec<usize> = range.collect();
        let images = preprocessor.batch(split, &indices).to_device(vit.device());
        let mut captured = None;
        let logits = vit.forward_observed(&images, &mut |name, input, output| {
            if name == cut {
                captured = Some((input.shallow_clone(), output.shallow_clone()));
            }
        });
        let (input, output) = captured.expect("the module was checked against this network");
        let (top, _) = logits.softmax(-1, Kind::Float).topk(2, -1, true, true); // [batch, 2]
        let confidence = floats(&(top.select(1, 0) - top.select(1, 1)));
        let predictions: Vec<i64> = Vec::try_from(logits.argmax(-1, false)).expect("[batch] int64");
        let labels: Vec<i64> = indices.iter().map(|&index| i64::from(split.label(index))).collect();
        for ((&confidence, &prediction), &label) in confidence.iter().zip(&predictions).zip(&labels) {
            accuracy.correct += usize::from(prediction == label);
            tiers.add(confidence, prediction == label);
        }

        writers.submodel_input.write(&finite(&input, dataset::SUBMODEL_INPUT, &indices)?)?;
        writers.submodel_output.write(&finite(&output, dataset::SUBMODEL_OUTPUT, &indices)?)?;
        writers.logits.write(&finite(&logits, dataset::LOGITS, &indices)?)?;
        writers.labels.write(&labels)?;
        writers.predictions.write(&predictions)?;
        writers.confidence.write(&confidence)?;
        writers.sample_index.write(&indices.iter().map(|&index| index as i64).collect::<Vec<_>>())?;
        if !go_on(indices.len()) {
            return Err(GoldenError::Interrupted);
        }
    }
    writers.finish()?;
    Ok(Recorded { datasets, accuracy, tiers })
}

impl Writers {
    fn create(
        folder: &Path,
        samples: usize,
        edge: &[usize],
        classes: usize,
    ) -> Result<(Self, Vec<(String, Dataset)>), NpyError> {
        let mut datasets = Vec::new();
        let edge_shape = [&[samples], edge].concat();
        let writers = Self {
            submodel_input: create(folder, dataset::SUBMODEL_INPUT, Role::SubmodelInput, &edge_shape, &mut datasets)?,
            submodel_output: create(
                folder,
                dataset::SUBMODEL_OUTPUT,
                Role::SubmodelOutput,
                &edge_shape,
                &mut datasets,
            )?,
            logits: create(folder, dataset::LOGITS, Role::FullOutput, &[samples, classes], &mut datasets)?,
            labels: create(folder, dataset::LABELS, Role::SampleInfo, &[samples], &mut datasets)?,
            predictions: create(folder, dataset::PREDICTIONS, Role::SampleInfo, &[samples], &mut datasets)?,
            confidence: create(folder, dataset::CONFIDENCE, Role::SampleInfo, &[samples], &mut datasets)?,
            sample_index: create(folder, dataset::SAMPLE_INDEX, Role::SampleInfo, &[samples], &mut datasets)?,
        };
        Ok((writers, datasets))
    }

    fn finish(self) -> Result<(), NpyError> {
        self.submodel_input.finish()?;
        self.submodel_output.finish()?;
        self.logits.finish()?;
        self.labels.finish()?;
        self.predictions.finish()?;
        self.confidence.finish()?;
        self.sample_index.finish()
    }
}

fn create<T: Element>(
    folder: &Path,
    name: &str,
    role: Role,
    shape: &[usize],
    datasets: &mut Vec<(String, Dataset)>,
) -> Result<NpyWriter<T>, NpyError> {
    let file = format!("npy/{name}.npy");
    let writer = NpyWriter::create(&folder.join(&file), shape)?;
    let dtype: Dtype = T::DTYPE;
    datasets.push((name.to_owned(), Dataset { file, role, dtype, shape: shape.to_vec() }));
    Ok(writer)
}

/// A float32 tensor's elements in C order.
fn floats(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(tch::Device::Cpu).contiguous();
    let mut elements = vec![0f32; tensor.numel()];
    tensor.copy_data(&mut elements, tensor.numel());
    elements
}

/// As [`floats`], and every element is finite.
fn finite(tensor: &Tensor, name: &'static str, indices: &[usize]) -> Result<Vec<f32>, GoldenError> {
    let elements = floats(tensor);
    match elements.iter().position(|element| !element.is_finite()) {
        None => Ok(elements),
        Some(at) => {
            Err(GoldenError::NotFinite { tensor: name, sample: indices[at / (elements.len() / indices.len())] })
        }
    }
}
