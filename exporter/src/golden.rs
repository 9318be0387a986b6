//! Recording the golden tensors: one pass of the loaded network over the images, streamed to NPY.

use proto::manifest::{Accuracy, Dataset, Float64Golden, Role, dataset};
use proto::module::Module;
use proto::npy::{Dtype, Element, NpyError, NpyWriter};
use proto::tier::{DEFAULT_TIERS, Tiers};
use tch::{Kind, Tensor};
use trainer::cifar10::Split;
use trainer::evaluate::batches;
use trainer::preprocess::Preprocessor;
use trainer::vit::{Float64Module, Vit};

use crate::folder::{Folder, FolderError};

/// Which images, and what is recorded of them.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    /// The images.
    pub split: &'a Split,
    /// Positions in the split, in the order of the samples.
    pub indices: &'a [usize],
    /// Images per forward pass.
    pub batch_size: usize,
    /// Whether the submodel's outputs are also computed in float64.
    pub float64: bool,
    /// Samples whose tensors at every edge of the parts are kept.
    pub kept: usize,
}

/// What a pass over the images came to.
#[derive(Debug)]
pub struct Recorded {
    /// The NPY files, by name.
    pub datasets: Vec<(String, Dataset)>,
    /// Correct classifications.
    pub accuracy: Accuracy,
    /// Spread over the confidence tiers.
    pub tiers: Tiers,
    /// The golden's own error, if it was asked for.
    pub float64: Option<Float64Golden>,
    /// The tensors of the first samples.
    pub kept: Vec<Kept>,
}

impl Recorded {
    /// Of no images at all.
    pub fn empty() -> Self {
        let accuracy = Accuracy {
            samples: 0,
            correct: 0,
        };
        Self {
            datasets: vec![],
            accuracy,
            tiers: Tiers::new(DEFAULT_TIERS),
            float64: None,
            kept: vec![],
        }
    }
}

/// One sample's tensors at the edges of the parts, each with a batch axis of 1.
#[derive(Debug)]
pub struct Kept {
    /// Position in the split.
    pub index: usize,
    /// `[1, 3, S, S]`
    pub image: Tensor,
    /// `[1, tokens, dim]`; nothing goes round a whole block.
    pub residual: Option<Tensor>,
    /// `[1, tokens, dim]`
    pub input: Tensor,
    /// `[1, tokens, dim]`
    pub output: Tensor,
    /// `[1, classes]`
    pub logits: Tensor,
}

/// Why no golden could be recorded.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// A file could not be written.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A folder could not be made.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A golden value is infinite or not a number.
    #[error(
        "{tensor} of sample {sample} has a value that is not finite: these weights make no usable golden"
    )]
    NotFinite {
        /// The tensor.
        tensor: &'static str,
        /// Position in the split.
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
    submodel_output_f64: Option<NpyWriter<f64>>,
    logits: NpyWriter<f32>,
    labels: NpyWriter<i64>,
    predictions: NpyWriter<i64>,
    confidence: NpyWriter<f32>,
    sample_index: NpyWriter<i64>,
}

/// Runs the images through the network and writes what passes the cut, and what comes out, to
/// `npy/` of the folder. After each batch `go_on` is told the samples done, and ends the recording
/// by returning false.
pub fn record(
    vit: &Vit,
    module: Module,
    plan: Plan<'_>,
    folder: &mut Folder,
    mut go_on: impl FnMut(usize) -> bool,
) -> Result<Recorded, GoldenError> {
    let _no_grad = tch::no_grad_guard();
    let config = vit.config();
    let samples = plan.indices.len();
    let edge = [samples, config.tokens(), config.dim];
    let mut datasets = Vec::new();
    let mut writers = Writers::create(folder, &edge, config.classes, plan.float64, &mut datasets)?;
    let preprocessor = Preprocessor::new(config.image_size);
    let reference = plan.float64.then(|| Float64Module::new(vit, module));
    let mut largest_error = 0f64;
    let (cut, around) = (
        module.to_string(),
        module.with_norm().map(|module| module.to_string()),
    );
    let mut accuracy = Accuracy {
        samples,
        correct: 0,
    };
    let mut tiers = Tiers::new(DEFAULT_TIERS);
    let mut kept = Vec::new();

    for range in batches(samples, plan.batch_size) {
        let indices = &plan.indices[range];
        let images = preprocessor
            .batch(plan.split, indices)
            .to_device(vit.device());
        let (mut captured, mut residual) = (None, None);
        let logits = vit.forward_observed(&images, &mut |name, input, output| {
            if name == cut {
                captured = Some((input.shallow_clone(), output.shallow_clone()));
            }
            if Some(name) == around.as_deref() {
                residual = Some(input.shallow_clone());
            }
        });
        let (input, output) = captured.expect("the module was checked against this network");
        let (top, _) = logits.softmax(-1, Kind::Float).topk(2, -1, true, true); // [batch, 2]
        let confidence = elements::<f32>(&(top.select(1, 0) - top.select(1, 1)));
        let predictions = elements::<i64>(&logits.argmax(-1, false));
        let labels: Vec<i64> = indices
            .iter()
            .map(|&index| i64::from(plan.split.label(index)))
            .collect();
        for ((&confidence, &prediction), &label) in confidence.iter().zip(&predictions).zip(&labels)
        {
            accuracy.correct += usize::from(prediction == label);
            tiers.add(confidence, prediction == label);
        }

        writers
            .submodel_input
            .write(&finite(&input, dataset::SUBMODEL_INPUT, indices)?)?;
        writers
            .submodel_output
            .write(&finite(&output, dataset::SUBMODEL_OUTPUT, indices)?)?;
        if let (Some(reference), Some(writer)) = (&reference, &mut writers.submodel_output_f64) {
            let exact = reference.forward(&input);
            let error = (output.to_kind(Kind::Double) - &exact)
                .abs()
                .max()
                .double_value(&[]);
            largest_error = largest_error.max(error);
            writer.write(&elements::<f64>(&exact))?;
        }
        writers
            .logits
            .write(&finite(&logits, dataset::LOGITS, indices)?)?;
        writers.labels.write(&labels)?;
        writers.predictions.write(&predictions)?;
        writers.confidence.write(&confidence)?;
        writers.sample_index.write(
            &indices
                .iter()
                .map(|&index| index as i64)
                .collect::<Vec<_>>(),
        )?;
        for (row, &index) in indices
            .iter()
            .enumerate()
            .take(plan.kept.saturating_sub(kept.len()))
        {
            let one = |tensor: &Tensor| {
                tensor
                    .narrow(0, row as i64, 1)
                    .to_device(tch::Device::Cpu)
                    .copy()
            };
            kept.push(Kept {
                index,
                image: one(&images),
                residual: residual.as_ref().map(one),
                input: one(&input),
                output: one(&output),
                logits: one(&logits),
            });
        }
        if !go_on(indices.len()) {
            return Err(GoldenError::Interrupted);
        }
    }
    writers.finish(folder, &datasets)?;
    Ok(Recorded {
        datasets,
        accuracy,
        tiers,
        float64: plan.float64.then_some(Float64Golden { largest_error }),
        kept,
    })
}

impl Writers {
    fn create(
        folder: &Folder,
        edge: &[usize; 3],
        classes: usize,
        float64: bool,
        datasets: &mut Vec<(String, Dataset)>,
    ) -> Result<Self, GoldenError> {
        let samples = edge[0];
        Ok(Self {
            submodel_input: create(
                folder,
                dataset::SUBMODEL_INPUT,
                Role::SubmodelInput,
                edge,
                datasets,
            )?,
            submodel_output: create(
                folder,
                dataset::SUBMODEL_OUTPUT,
                Role::SubmodelOutput,
                edge,
                datasets,
            )?,
            logits: create(
                folder,
                dataset::LOGITS,
                Role::FullOutput,
                &[samples, classes],
                datasets,
            )?,
            labels: create(
                folder,
                dataset::LABELS,
                Role::SampleInfo,
                &[samples],
                datasets,
            )?,
            predictions: create(
                folder,
                dataset::PREDICTIONS,
                Role::SampleInfo,
                &[samples],
                datasets,
            )?,
            confidence: create(
                folder,
                dataset::CONFIDENCE,
                Role::SampleInfo,
                &[samples],
                datasets,
            )?,
            sample_index: create(
                folder,
                dataset::SAMPLE_INDEX,
                Role::SampleInfo,
                &[samples],
                datasets,
            )?,
            submodel_output_f64: if float64 {
                Some(create(
                    folder,
                    dataset::SUBMODEL_OUTPUT_F64,
                    Role::SubmodelReference,
                    edge,
                    datasets,
                )?)
            } else {
                None
            },
        })
    }

    /// In the order of their creation, which is that of the list.
    fn finish(self, folder: &mut Folder, datasets: &[(String, Dataset)]) -> Result<(), NpyError> {
        let digests = [
            self.submodel_input.finish()?,
            self.submodel_output.finish()?,
            self.logits.finish()?,
            self.labels.finish()?,
            self.predictions.finish()?,
            self.confidence.finish()?,
            self.sample_index.finish()?,
        ];
        let last = self
            .submodel_output_f64
            .map(NpyWriter::finish)
            .transpose()?;
        for ((_, dataset), digest) in datasets.iter().zip(digests.into_iter().chain(last)) {
            folder.add(dataset.file.clone(), digest);
        }
        Ok(())
    }
}

/// Opens `npy/NAME.npy` for writing and lists it.
pub(crate) fn create<T: Element>(
    folder: &Folder,
    name: &str,
    role: Role,
    shape: &[usize],
    datasets: &mut Vec<(String, Dataset)>,
) -> Result<NpyWriter<T>, GoldenError> {
    let file = format!("npy/{name}.npy");
    let writer = NpyWriter::create(&folder.place(&file)?, shape)?;
    let dtype: Dtype = T::DTYPE;
    datasets.push((
        name.to_owned(),
        Dataset {
            file,
            role,
            dtype,
            shape: shape.to_vec(),
        },
    ));
    Ok(writer)
}

/// A tensor's elements in C order.
fn elements<T: tch::kind::Element + Clone + Default>(tensor: &Tensor) -> Vec<T> {
    let tensor = tensor.to_device(tch::Device::Cpu).contiguous();
    let mut elements = vec![T::default(); tensor.numel()];
    tensor.copy_data(&mut elements, tensor.numel());
    elements
}

/// As [`elements`], and every one is finite.
fn finite(tensor: &Tensor, name: &'static str, indices: &[usize]) -> Result<Vec<f32>, GoldenError> {
    let elements = elements::<f32>(tensor);
    // The whole is summed up first: a search that may stop anywhere is slower.
    if elements
        .iter()
        .fold(true, |all, element| all & element.is_finite())
    {
        return Ok(elements);
    }
    let at = elements
        .iter()
        .position(|element| !element.is_finite())
        .unwrap_or(0);
    Err(GoldenError::NotFinite {
        tensor: name,
        sample: indices[at / (elements.len() / indices.len())],
    })
}
