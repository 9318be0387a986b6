//! Loads the rest of the model behind a part, which takes the part's outputs to the logits.

use anyhow::{Result, bail};
use proto::manifest::{dataset, part};
use verifier::check::tail::Tail;
use verifier::engine::onnxruntime::{Library, Options};
use verifier::samples::of_part::{computed, input_from_pixels};
use verifier::samples::{Origin, Recording};

use super::opened::Opened;
use super::upstream;

/// `tail`, whose inputs are the part's output and what else the bundle has or can compute.
pub(super) fn load(opened: &Opened, library: &Library, options: &Options) -> Result<Tail<'static>> {
    let inputs = inputs(opened, library, options)?;
    load_with(inputs, opened, library, options)
}

/// The same, with its inputs.
pub(super) fn load_with(
    inputs: Vec<Option<Recording>>,
    opened: &Opened,
    library: &Library,
    options: &Options,
) -> Result<Tail<'static>> {
    let bundle = &opened.bundle;
    let tail = upstream::load_part(bundle, part::TAIL, &[dataset::LOGITS], library, options)?;
    Ok(Tail::new(Box::new(tail.session), inputs, tail.batch_size))
}

/// What `tail` takes beside the part's output, which is `None`, in the order of its inputs.
pub(super) fn inputs(
    opened: &Opened,
    library: &Library,
    options: &Options,
) -> Result<Vec<Option<Recording>>> {
    let Opened {
        bundle,
        part_name,
        part: checked,
        recordings,
        ..
    } = opened;
    if recordings.origin == Origin::TestDataSets {
        bail!("test data sets have no pixels");
    }
    let [output] = checked.outputs.as_slice() else {
        bail!("the outputs of `{part_name}` are not what `tail` takes");
    };
    let (_, tail) = bundle.part(part::TAIL)?;
    if !tail.inputs.iter().any(|input| input.name == output.name) {
        bail!("`tail` takes no `{}`", output.name);
    }
    let mut inputs = Vec::new();
    for input in &tail.inputs {
        if input.name == output.name {
            inputs.push(None);
            continue;
        }
        let Some(computed) = computed(bundle, input) else {
            bail!(
                "`tail` takes `{}`, and the bundle has no pixels to compute it from",
                input.name
            );
        };
        let recording = input_from_pixels(bundle, input)?.verified(|_| true)?;
        let parts = upstream::load(bundle, &computed, library, options)?;
        recording.compute_with(Box::new(parts));
        inputs.push(Some(recording));
    }
    Ok(inputs)
}
