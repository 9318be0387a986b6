//! The pass over the images.

use std::collections::BTreeMap;

use proto::bundle::BundleWriter;
use proto::manifest::{Accuracy, Float64Golden, RecordedElsewhere, dataset};
use proto::module::Module;
use proto::tier::{DEFAULT_TIERS, Tiers};
use tch::{Kind, Tensor};
use trainer::cifar10::{Image, Split};
use trainer::evaluate::batches;
use trainer::preprocess::Preprocessor;
use trainer::vit::{Float64Module, Vit};

use super::arrays::Arrays;
use super::elements::{elements, finite};
use super::error::GoldenError;
use super::kept::{Batch, Kept};
use super::pixels::interleaved;
use super::recorded::{Differences, RecordedGolden};

/// Which images, and what is recorded of them.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub split: &'a Split,
    /// Positions in the split, in the order of the samples.
    pub indices: &'a [usize],
    /// Images per forward pass.
    pub batch_size: usize,
    /// Whether the submodel's outputs are also computed in float64.
    pub float64: bool,
    /// Samples whose tensors at every edge of the parts are kept.
    pub kept: usize,
    /// What another program recorded of these images, row by row.
    pub recorded: Option<&'a RecordedGolden>,
}

/// What a pass over the images came to.
#[derive(Debug)]
pub struct Recorded {
    pub accuracy: Accuracy,
    pub tiers: Tiers,
    /// The golden's own error, if it was asked for.
    pub float64: Option<Float64Golden>,
    /// What another program recorded, by the name of its dataset.
    pub elsewhere: BTreeMap<String, RecordedElsewhere>,
    /// The tensors of the first samples.
    pub kept: Vec<Kept>,
}

/// A pass over the images, while it runs.
struct Recording<'a> {
    plan: Plan<'a>,
    network: Observed<'a>,
    /// The module in float64.
    reference: Option<Float64Module>,
    arrays: Arrays,
    recorded: Recorded,
}

/// The network, and the module that is looked into.
struct Observed<'a> {
    vit: &'a Vit,
    /// The module's name, and that of the module with its LayerNorm, whose input is the residual.
    module: String,
    with_norm: Option<String>,
}

impl Recorded {
    /// Of no images at all.
    pub fn empty() -> Self {
        Self {
            accuracy: Accuracy {
                samples: 0,
                correct: 0,
            },
            tiers: Tiers::new(DEFAULT_TIERS),
            float64: None,
            elsewhere: BTreeMap::new(),
            kept: vec![],
        }
    }
}

/// Runs the images through the network and writes what passes the cut, and what comes out, as the
/// bundle's arrays. After each batch `go_on` is told the samples done, and ends the recording by
/// returning false.
pub fn record(
    vit: &Vit,
    module: Module,
    plan: Plan<'_>,
    writer: &mut BundleWriter,
    mut go_on: impl FnMut(usize) -> bool,
) -> Result<Recorded, GoldenError> {
    let _no_grad = tch::no_grad_guard();
    let samples = plan.indices.len();
    let mut recording = Recording {
        plan,
        network: Observed {
            vit,
            module: module.to_string(),
            with_norm: module.with_norm().map(|module| module.to_string()),
        },
        reference: plan.float64.then(|| Float64Module::new(vit, module)),
        arrays: Arrays::create(writer, samples, vit.config(), plan.float64)?,
        recorded: Recorded::empty(),
    };
    recording.recorded.accuracy.samples = samples;
    if plan.float64 {
        let largest_error = 0.0;
        recording.recorded.float64 = Some(Float64Golden { largest_error });
    }
    let mut differences = Differences::default();
    let preprocessor = Preprocessor::new(vit.config().image_size);
    for range in batches(samples, plan.batch_size) {
        let indices = &plan.indices[range.clone()];
        let images = preprocessor.batch(plan.split, indices);
        let mut batch = recording.network.run(images.to_device(vit.device()));
        if let Some(recorded) = plan.recorded {
            recorded.replace(&mut batch, range, indices, &mut differences)?;
        }
        recording.add(&batch, indices)?;
        if !go_on(indices.len()) {
            return Err(GoldenError::Interrupted);
        }
    }
    recording.arrays.finish(writer)?;
    if let Some(recorded) = plan.recorded {
        recording.recorded.elsewhere = recorded.finish(differences)?;
    }
    Ok(recording.recorded)
}

impl Observed<'_> {
    fn run(&self, images: Tensor) -> Batch {
        let (mut captured, mut residual) = (None, None);
        let logits = self
            .vit
            .forward_observed(&images, &mut |name, input, output| {
                if name == self.module {
                    captured = Some((input.shallow_clone(), output.shallow_clone()));
                }
                if Some(name) == self.with_norm.as_deref() {
                    residual = Some(input.shallow_clone());
                }
            });
        let (input, output) = captured.expect("the module was checked against this network");
        Batch {
            images,
            residual,
            input,
            output,
            logits,
        }
    }
}

impl Recording<'_> {
    /// Records one batch; `indices` are its samples' positions in the split.
    fn add(&mut self, batch: &Batch, indices: &[usize]) -> Result<(), GoldenError> {
        let images = indices.iter().map(|&index| self.plan.split.image(index));
        let pixels: Vec<Image> = images.map(interleaved).collect(); // [batch, 32, 32, 3]
        self.arrays.pixels.write(pixels.as_flattened())?;
        self.add_classes(&batch.logits, indices)?;
        let arrays = &mut self.arrays;
        let input = finite(&batch.input, dataset::SUBMODEL_INPUT, indices)?;
        arrays.submodel_input.write(&input)?;
        let output = finite(&batch.output, dataset::SUBMODEL_OUTPUT, indices)?;
        arrays.submodel_output.write(&output)?;
        self.add_float64(batch)?;
        let logits = finite(&batch.logits, dataset::LOGITS, indices)?;
        self.arrays.logits.write(&logits)?;
        let kept = &mut self.recorded.kept;
        let missing = self.plan.kept.saturating_sub(kept.len());
        let first = indices.iter().zip(pixels).enumerate().take(missing);
        kept.extend(first.map(|(row, (&index, pixels))| batch.keep(row, index, pixels)));
        Ok(())
    }

    /// Labels, predictions and confidence; `logits` are `[batch, classes]`.
    fn add_classes(&mut self, logits: &Tensor, indices: &[usize]) -> Result<(), GoldenError> {
        let (top, _) = logits.softmax(-1, Kind::Float).topk(2, -1, true, true); // [batch, 2]
        let confidence = elements::<f32>(&(top.select(1, 0) - top.select(1, 1)));
        let predictions = elements::<i64>(&logits.argmax(-1, false));
        let labels = indices.iter().map(|&index| self.plan.split.label(index));
        let labels: Vec<i64> = labels.map(i64::from).collect();
        let classes = labels.iter().zip(&predictions);
        for (&confidence, (label, prediction)) in confidence.iter().zip(classes) {
            self.recorded.accuracy.correct += usize::from(prediction == label);
            self.recorded.tiers.add(confidence, prediction == label);
        }
        let sample_index: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        self.arrays.labels.write(&labels)?;
        self.arrays.predictions.write(&predictions)?;
        self.arrays.confidence.write(&confidence)?;
        self.arrays.sample_index.write(&sample_index)?;
        Ok(())
    }

    /// The submodel's output in float64 from the same float32 input, if it is asked for.
    fn add_float64(&mut self, batch: &Batch) -> Result<(), GoldenError> {
        let (Some(reference), Some(array), Some(float64)) = (
            &self.reference,
            &mut self.arrays.submodel_output_f64,
            &mut self.recorded.float64,
        ) else {
            return Ok(());
        };
        let exact = reference.forward(&batch.input);
        let error = (batch.output.to_kind(Kind::Double) - &exact).abs().max();
        float64.largest_error = float64.largest_error.max(error.double_value(&[]));
        array.write(&elements::<f64>(&exact))?;
        Ok(())
    }
}
