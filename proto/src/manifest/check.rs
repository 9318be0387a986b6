//! A description must not contradict itself.

use super::layout::{Axis, Dataset, Manifest, Part, Tensor};
use super::names::{dataset, part};
use crate::config::Preset;
use crate::graph::LARGEST_FIXED_BATCH;
use crate::module::Module;
use crate::npy::Dtype;
use crate::preprocessing::{CHANNELS, CIFAR10_IMAGE_SIZE};

/// Axes of one image's pixels: row, column, channel.
const PIXEL_AXES: [usize; 3] = [CIFAR10_IMAGE_SIZE, CIFAR10_IMAGE_SIZE, CHANNELS];

impl Manifest {
    /// Refuses a description that contradicts itself; says how.
    pub fn check(&self) -> Result<(), String> {
        let config = &self.model.config;
        config.validate().map_err(|error| error.to_string())?;
        let preset = Preset::of(config).map_or("custom", Preset::name);
        if self.model.preset != preset {
            return Err(format!(
                "preset {}, but its config is that of {preset}",
                self.model.preset
            ));
        }
        Module::parse(&self.module, config).map_err(|error| error.to_string())?;
        self.check_names()?;
        self.check_parts()?;
        self.check_deployment()?;
        self.check_datasets()?;
        self.check_pixels()?;
        self.check_preprocess()?;
        self.check_submodel()?;
        self.check_first_axes()
    }

    /// A part that takes or gives nothing cannot be checked.
    fn check_parts(&self) -> Result<(), String> {
        let is_empty = |part: &Part| part.inputs.is_empty() || part.outputs.is_empty();
        match self.parts.iter().find(|(_, part)| is_empty(part)) {
            None => Ok(()),
            Some((name, _)) => Err(format!("part `{name}` has no inputs or no outputs")),
        }
    }

    /// A fixed batch is padded, so that a large one would take all memory.
    fn check_deployment(&self) -> Result<(), String> {
        let deployment = self.deployment();
        if let Some(samples) = deployment.fixed_batch
            && !(1..=LARGEST_FIXED_BATCH).contains(&samples)
        {
            return Err(format!(
                "deployment.fixed_batch is {samples}, expected 1 to {LARGEST_FIXED_BATCH}"
            ));
        }
        let samples = deployment.samples_per_run();
        let is_broken = |part: &Part| !part.test_data_sets.len().is_multiple_of(samples);
        match self.parts.iter().find(|(_, part)| is_broken(part)) {
            None => Ok(()),
            Some((name, part)) => Err(format!(
                "part `{name}` has {} samples in its test data sets, which hold {samples} each",
                part.test_data_sets.len()
            )),
        }
    }

    /// The first axis is free or fixed, the same everywhere.
    fn check_first_axes(&self) -> Result<(), String> {
        let first = self.deployment().first_axis();
        let mut tensors = self.parts.iter().flat_map(|(name, part)| {
            let tensors = part.inputs.iter().chain(&part.outputs);
            tensors.map(move |tensor| (name, tensor))
        });
        let is_other = |(_, tensor): &(&String, &Tensor)| tensor.shape.first() != Some(&first);
        match tensors.find(is_other) {
            None => Ok(()),
            Some((name, tensor)) => Err(format!(
                "tensor `{}` of part `{name}`: expected {first} for its first axis, as \
                 `deployment` says",
                tensor.name
            )),
        }
    }

    /// Names of datasets, parts and tensors become names of files.
    fn check_names(&self) -> Result<(), String> {
        let tensors = self
            .parts
            .values()
            .flat_map(|part| part.inputs.iter().chain(&part.outputs));
        let names = self.datasets.keys().chain(self.parts.keys());
        let mut names = names.chain(tensors.map(|tensor| &tensor.name));
        match names.find(|name| !is_identifier(name)) {
            None => Ok(()),
            Some(name) => Err(format!(
                "{name:?} names a dataset, a part or a tensor: expected letters, digits and \
                 underscores, not a digit first"
            )),
        }
    }

    fn check_datasets(&self) -> Result<(), String> {
        let samples = self.accuracy.samples;
        let mut datasets = self.datasets.iter();
        match datasets.find(|(_, dataset)| dataset.shape.first() != Some(&samples)) {
            None => Ok(()),
            Some((name, dataset)) => Err(format!(
                "dataset `{name}` has shape {:?}, but the bundle has {samples} samples",
                dataset.shape
            )),
        }
    }

    fn check_pixels(&self) -> Result<(), String> {
        let is_wrong = |pixels: &&Dataset| {
            pixels.dtype != Dtype::Uint8 || pixels.shape.get(1..) != Some(&PIXEL_AXES)
        };
        match self.datasets.get(dataset::PIXELS).filter(is_wrong) {
            None => Ok(()),
            Some(pixels) => Err(format!(
                "dataset `pixels` is {} {:?}: expected uint8 [{}, 32, 32, 3]",
                pixels.dtype.name(),
                pixels.shape,
                self.accuracy.samples
            )),
        }
    }

    /// What the preprocessing takes and gives is what an image of CIFAR-10 and the network are.
    fn check_preprocess(&self) -> Result<(), String> {
        let size = self.model.config.image_size;
        let fits = |tensors: &[Tensor], dtype, axes: &[usize]| {
            let fits = |tensor: &Tensor| {
                tensor.dtype == dtype && tensor.sample_shape().as_deref() == Some(axes)
            };
            tensors.len() == 1 && tensors.iter().all(fits)
        };
        let is_wrong = |part: &&Part| {
            let image = [CHANNELS, size, size];
            !fits(&part.inputs, Dtype::Uint8, &PIXEL_AXES)
                || !fits(&part.outputs, Dtype::Float32, &image)
        };
        match self.parts.get(part::PREPROCESS).filter(is_wrong) {
            None => Ok(()),
            Some(_) => Err(format!(
                "part `preprocess`: expected one input uint8 [batch, 32, 32, 3] and one output \
                 float32 [batch, 3, {size}, {size}]"
            )),
        }
    }

    fn check_submodel(&self) -> Result<(), String> {
        let (tokens, dim) = (self.model.config.tokens(), self.model.config.dim);
        let first = self.deployment().first_axis();
        let edge = [first.clone(), Axis::Fixed(tokens), Axis::Fixed(dim)];
        let part = self.parts.get(part::SUBMODEL).into_iter();
        let mut tensors = part.flat_map(|part| part.inputs.iter().chain(&part.outputs));
        match tensors.find(|tensor| tensor.shape != edge) {
            None => Ok(()),
            Some(tensor) => Err(format!(
                "tensor `{}` of the submodel: expected [{first}, {tokens}, {dim}]",
                tensor.name
            )),
        }
    }
}

/// Whether a name is a C identifier, so that it is also a sound name of a file.
pub fn is_identifier(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::tiny_bundle;
    use crate::manifest::{Deployment, MANIFEST_FILE};

    /// The tiny bundle's manifest, as if its models took so many samples in a run.
    fn with_fixed_batch(samples: usize) -> Manifest {
        let file = tiny_bundle().join(MANIFEST_FILE);
        let text = std::fs::read_to_string(file).expect("read");
        let mut manifest: Manifest = serde_json::from_str(&text).expect("a manifest");
        manifest.deployment = Some(Deployment {
            opset: 17,
            fixed_batch: Some(samples),
        });
        for part in manifest.parts.values_mut() {
            for tensor in part.inputs.iter_mut().chain(&mut part.outputs) {
                tensor.shape[0] = Axis::Fixed(samples);
            }
        }
        manifest
    }

    #[test]
    fn a_fixed_batch_is_the_same_everywhere_and_no_reader_can_overlook_it() {
        assert_eq!(with_fixed_batch(2).check(), Ok(()));

        let mut unsaid = with_fixed_batch(2);
        unsaid.deployment = None;
        let refused = unsaid.check().expect_err("a first axis that is not free");
        assert!(refused.contains("expected [batch, 17, 16]"), "{refused}");

        let mut other = with_fixed_batch(2);
        let full = other.parts.get_mut(part::FULL).expect("a full model");
        full.outputs[0].shape[0] = Axis::Fixed(3);
        let refused = other.check().expect_err("two batches");
        assert!(
            refused.contains("part `full`: expected 2 for its first axis"),
            "{refused}"
        );
    }

    #[test]
    fn a_fixed_batch_fits_into_memory_and_test_data_sets_are_full() {
        for samples in [0, LARGEST_FIXED_BATCH + 1, usize::MAX] {
            let refused = with_fixed_batch(samples).check().expect_err("refused");
            assert!(refused.contains("expected 1 to 1024"), "{refused}");
        }
        // The tiny bundle has two samples in test data sets.
        let refused = with_fixed_batch(3).check().expect_err("2 of 3 samples");
        assert!(refused.contains("which hold 3 each"), "{refused}");
    }
}
