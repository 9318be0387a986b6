//! The weights of a model as `inspect` lists them: their shapes, and what PyTorch calls them.

use std::path::Path;

use anyhow::Result;
use console::say;
use proto::bundle::Bundle;
use proto::manifest::{MANIFEST_FILE, part};
use verifier::inject::Parameters;

/// How far above a model its bundle is looked for: `BUNDLE/onnx/PART/model.onnx`.
const FOLDERS_ABOVE: usize = 3;

/// Lists the submodel's weights, if the bundle has a submodel.
pub(super) fn say_weights(bundle: &Bundle) -> Result<()> {
    let Some(description) = bundle.manifest().parts.get(part::SUBMODEL) else {
        return Ok(());
    };
    let parameters = Parameters::new(description, &bundle.manifest().module);
    let graph = bundle.graph(part::SUBMODEL)?;
    say!("weights of the submodel");
    for name in graph.weight_names() {
        let shape = graph.initializer_shape(name)?;
        let in_pytorch = in_pytorch(&parameters, name, &shape);
        let shape = format!("{shape:?}");
        let row = format!("  {name:<20} {shape:<14} {in_pytorch}");
        say!("{}", row.trim_end());
    }
    Ok(())
}

/// What PyTorch calls an initializer of this shape, its shape there, and whether the graph has the
/// axes the other way round; empty of what is none of its parameters.
pub(super) fn in_pytorch(parameters: &Parameters, name: &str, shape: &[usize]) -> String {
    let Some((parameter, is_transposed)) = parameters.name_of(name) else {
        return String::new();
    };
    let mut shape = shape.to_vec();
    if is_transposed {
        shape.reverse();
        format!("in PyTorch {parameter} {shape:?}, axes swapped")
    } else {
        format!("in PyTorch {parameter} {shape:?}")
    }
}

/// PyTorch's names of the weights of a model that lies in a bundle; none elsewhere.
pub(super) fn parameters_of(model: &Path) -> Parameters {
    let Ok(model) = model.canonicalize() else {
        return Parameters::default();
    };
    let folders = model.ancestors().skip(1).take(FOLDERS_ABOVE);
    let mut folders = folders.filter(|folder| folder.join(MANIFEST_FILE).is_file());
    let Some(bundle) = folders.find_map(|folder| Bundle::open(folder).ok()) else {
        return Parameters::default();
    };
    let manifest = bundle.manifest();
    let root = bundle.root();
    let mut parts = manifest.parts.values();
    let found = parts.find(|part| root.join(&part.file) == model);
    found.map_or_else(Parameters::default, |part| {
        Parameters::new(part, &manifest.module)
    })
}
