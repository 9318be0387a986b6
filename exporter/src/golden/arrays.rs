//! The NPY files of a bundle, open for writing.

use proto::bundle::{BundleWriter, WriteError};
use proto::config::VitConfig;
use proto::manifest::{Role, dataset};
use proto::npy::NpyWriter;
use proto::preprocessing::{CHANNELS, CIFAR10_IMAGE_SIZE};

pub(super) struct Arrays {
    pub(super) pixels: NpyWriter<u8>,
    pub(super) submodel_input: NpyWriter<f32>,
    pub(super) submodel_output: NpyWriter<f32>,
    pub(super) submodel_output_f64: Option<NpyWriter<f64>>,
    pub(super) logits: NpyWriter<f32>,
    pub(super) labels: NpyWriter<i64>,
    pub(super) predictions: NpyWriter<i64>,
    pub(super) confidence: NpyWriter<f32>,
    pub(super) sample_index: NpyWriter<i64>,
}

impl Arrays {
    pub(super) fn create(
        writer: &BundleWriter,
        samples: usize,
        config: &VitConfig,
        float64: bool,
    ) -> Result<Self, WriteError> {
        let edge = [samples, config.tokens(), config.dim];
        let one = [samples];
        let submodel_output_f64 = match float64 {
            true => Some(writer.array(dataset::SUBMODEL_OUTPUT_F64, &edge)?),
            false => None,
        };
        let pixels = [samples, CIFAR10_IMAGE_SIZE, CIFAR10_IMAGE_SIZE, CHANNELS];
        Ok(Self {
            pixels: writer.array(dataset::PIXELS, &pixels)?,
            submodel_input: writer.array(dataset::SUBMODEL_INPUT, &edge)?,
            submodel_output: writer.array(dataset::SUBMODEL_OUTPUT, &edge)?,
            submodel_output_f64,
            logits: writer.array(dataset::LOGITS, &[samples, config.classes])?,
            labels: writer.array(dataset::LABELS, &one)?,
            predictions: writer.array(dataset::PREDICTIONS, &one)?,
            confidence: writer.array(dataset::CONFIDENCE, &one)?,
            sample_index: writer.array(dataset::SAMPLE_INDEX, &one)?,
        })
    }

    /// Ends the files and lists them in the manifest.
    pub(super) fn finish(self, writer: &mut BundleWriter) -> Result<(), WriteError> {
        let info = Role::SampleInfo;
        let (input, output) = (self.submodel_input, self.submodel_output);
        writer.add_array(dataset::PIXELS, Role::Pixels, self.pixels)?;
        writer.add_array(dataset::SUBMODEL_INPUT, Role::SubmodelInput, input)?;
        writer.add_array(dataset::SUBMODEL_OUTPUT, Role::SubmodelOutput, output)?;
        writer.add_array(dataset::LOGITS, Role::FullOutput, self.logits)?;
        writer.add_array(dataset::LABELS, info, self.labels)?;
        writer.add_array(dataset::PREDICTIONS, info, self.predictions)?;
        writer.add_array(dataset::CONFIDENCE, info, self.confidence)?;
        writer.add_array(dataset::SAMPLE_INDEX, info, self.sample_index)?;
        if let Some(exact) = self.submodel_output_f64 {
            let role = Role::SubmodelReference;
            writer.add_array(dataset::SUBMODEL_OUTPUT_F64, role, exact)?;
        }
        Ok(())
    }
}
