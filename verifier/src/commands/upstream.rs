//! Loads the parts of a bundle that stand around the one that is checked: what computes an input
//! from pixels, and what takes outputs to the logits.

use anyhow::{Context as _, Result};
use ndarray::{ArrayD, IxDyn};
use proto::bundle::Bundle;
use verifier::engine::onnxruntime::{Library, Options, Session};
use verifier::engine::upstream::Upstream;
use verifier::engine::{Device, Engine};
use verifier::report::record::FromPixelsRecord;
use verifier::samples::of_part::Computed;

use super::model::{Model, Place};
use super::opened::Opened;
use crate::cli::{OtherPartsOn, TargetArgs};

/// A part that is loaded beside the one that is checked.
pub(super) struct LoadedPart {
    pub(super) session: Session,
    /// Samples in one run of it.
    pub(super) batch_size: usize,
}

/// How the parts around the checked one run: on the CPU, unless the device is asked for.
pub(super) fn options(target: &TargetArgs) -> Options {
    match target.other_parts_on {
        OtherPartsOn::Device => target.options(),
        OtherPartsOn::Cpu => Options {
            device: Device::Cpu,
            threads: target.threads,
            ..Options::default()
        },
    }
}

/// Loads what computes the input that comes from pixels, if one does, and says what that is.
pub(super) fn attach(
    opened: &Opened,
    library: &Library,
    options: &Options,
) -> Result<Option<FromPixelsRecord>> {
    let recordings = &opened.recordings;
    let Some(computed) = &recordings.from_pixels else {
        return Ok(None);
    };
    let inputs = recordings.inputs.iter();
    for input in inputs.filter(|input| input.is_from_pixels()) {
        input.compute_with(Box::new(load(&opened.bundle, computed, library, options)?));
    }
    Ok(Some(FromPixelsRecord {
        computed: computed.clone(),
        device: options.device.clone(),
    }))
}

/// The parts that compute a tensor from pixels.
pub(super) fn load(
    bundle: &Bundle,
    computed: &Computed,
    library: &Library,
    options: &Options,
) -> Result<Upstream> {
    let mut parts: Vec<Box<dyn Engine + Send>> = Vec::new();
    let mut batch_size = 1;
    for (number, name) in computed.parts.iter().enumerate() {
        let (_, part) = bundle.part(name)?;
        let output = match number + 1 == computed.parts.len() {
            true => computed.tensor.as_str(),
            false => part.outputs[0].name.as_str(),
        };
        let loaded = load_part(bundle, name, &[output], library, options)?;
        batch_size = loaded.batch_size;
        parts.push(Box::new(loaded.session));
    }
    Ok(Upstream::new(parts, batch_size))
}

/// A part with some of its outputs.
pub(super) fn load_part(
    bundle: &Bundle,
    name: &str,
    outputs: &[&str],
    library: &Library,
    options: &Options,
) -> Result<LoadedPart> {
    let model = Model::own(bundle, name)?;
    let (_, part) = bundle.part(name)?;
    let batch_size = model.batch_size(None, &options.device)?;
    // Every part takes zeros.
    let inputs: Vec<ArrayD<f32>> = part
        .inputs
        .iter()
        .map(|input| {
            let axes = input.sample_shape().unwrap_or_default();
            ArrayD::zeros(IxDyn(&[&[batch_size], axes.as_slice()].concat()))
        })
        .collect();
    let views: Vec<_> = inputs.iter().map(|input| input.view()).collect();
    let place = Place {
        library,
        options,
        part,
        outputs: outputs.to_vec(),
        first_inputs: &views,
    };
    let session = model.load(&place);
    let session = session.with_context(|| format!("part `{name}`"))?;
    Ok(LoadedPart {
        session,
        batch_size,
    })
}
