//! `verifier inspect`: what a bundle, an ONNX file, a file of arrays or a checkpoint holds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use console::{ensure_printed, grouped, say};
use prost::Message as _;
use proto::bundle::Bundle;
use proto::manifest::{Axis, Deployment, Manifest, Tensor};
use proto::npy::Dtype;
use proto::onnx::tensor_proto::DataType;
use proto::onnx::tensor_shape_proto::dimension;
use proto::onnx::{ModelProto, ValueInfoProto, type_proto};
use proto::regular_file;
use verifier::inject::{Site, sites};
use verifier::report::Verdict;

use super::file_kind::FileKind;
use super::inspect_arrays::{inspect_npy, inspect_npz, inspect_safetensors};
use super::inspect_checkpoint::inspect_checkpoint;
use super::weights::{in_pytorch, parameters_of, say_weights};
use crate::cli::InspectArgs;

pub(crate) fn inspect(arguments: &InspectArgs) -> Result<Verdict> {
    let path = &arguments.path;
    if path.is_dir() {
        match &arguments.sites {
            None => inspect_bundle(path)?,
            Some(part) => inspect_sites(path, part)?,
        }
    } else if arguments.sites.is_some() {
        bail!(
            "{}: expected a bundle's folder with --sites",
            path.display()
        );
    } else if !path.exists() {
        bail!("{}: no such file or folder", path.display());
    } else {
        match FileKind::of(path)? {
            FileKind::Onnx => inspect_onnx(path)?,
            FileKind::Npy => inspect_npy(path)?,
            FileKind::Npz => inspect_npz(path)?,
            FileKind::Safetensors => inspect_safetensors(path)?,
            FileKind::Checkpoint => inspect_checkpoint(path)?,
        }
    }
    ensure_printed()?;
    Ok(Verdict::Pass)
}

fn inspect_bundle(path: &Path) -> Result<()> {
    let bundle = Bundle::open(path)?;
    let manifest = bundle.manifest();
    let (format, producer) = (&manifest.format_version, &manifest.producer);
    let (name, version) = (&producer.name, &producer.version);
    say!(
        "bundle       {} (format {format}, by {name} {version})",
        path.display()
    );
    say!("blake3       {}", bundle.blake3());
    say_network(manifest);
    say_samples(manifest);
    if let Some(Deployment { opset, fixed_batch }) = manifest.deployment {
        let samples = fixed_batch.map(|samples| format!(", {samples} samples in every run"));
        say!("models       opset {opset}{}", samples.unwrap_or_default());
    }
    say!("parts");
    for (name, part) in &manifest.parts {
        let (inputs, outputs) = (describe_all(&part.inputs), describe_all(&part.outputs));
        say!("  {name:<10} {inputs} → {outputs}  ({})", part.file);
    }
    say_weights(&bundle)?;
    say!("datasets");
    for (name, dataset) in &manifest.datasets {
        let (dtype, shape) = (dataset.dtype.name(), &dataset.shape);
        say!("  {name:<20} {dtype:<8} {shape:?}  ({})", dataset.file);
    }
    let (files, bytes) = (manifest.files.len(), grouped(bundle.total_bytes() as usize));
    say!(
        "files        {files} files, {bytes} bytes, sizes as in the manifest (`verifier check` \
         also compares hashes)"
    );
    Ok(())
}

/// Where faults can be put into a part.
fn inspect_sites(path: &Path, part: &str) -> Result<()> {
    let bundle = Bundle::open(path)?;
    let found = sites(&bundle.model(part)?.graph);
    let elements: usize = found.iter().map(Site::elements).sum();
    say!(
        "{} sites of `{part}`, {} elements",
        found.len(),
        grouped(elements)
    );
    for site in found {
        let (name, elements) = (site.to_string(), grouped(site.elements()));
        say!(
            "  {name:<44} {:<18} {elements:>12}",
            format!("{:?}", site.shape)
        );
    }
    Ok(())
}

fn say_network(manifest: &Manifest) {
    let (model, config) = (&manifest.model, &manifest.model.config);
    say!(
        "model        {}: {} parameters, image {}, patch {}, dim {}, {} layers, {} heads × {}, \
         mlp {}",
        model.preset,
        grouped(model.parameters),
        config.image_size,
        config.patch_size,
        config.dim,
        config.layers,
        config.heads,
        config.dim_head,
        config.mlp_dim
    );
    say!("weights      SHA-256 {}", model.weights_sha256);
    say!("submodel     {}", manifest.module);
    let golden = &manifest.golden;
    say!(
        "golden       libtorch {}, {}, {}, {} threads, batches of {}",
        golden.libtorch,
        golden.device,
        golden.dtype.name(),
        golden.threads,
        golden.batch_size
    );
    for (name, recorded) in &golden.recorded {
        say!(
            "recorded     {name} by another program, in a file with SHA-256 {}; largest difference \
             from the network {:.3e}",
            recorded.sha256,
            recorded.largest_difference
        );
    }
}

fn say_samples(manifest: &Manifest) {
    say!(
        "samples      images of CIFAR-10's {} split",
        manifest.selection.split
    );
    if let Some(subset) = &manifest.selection.subset {
        let (samples, of) = (grouped(subset.of_samples), &subset.of);
        say!("subset       of {samples} samples of the bundle with blake3 {of}");
    }
    let (correct, samples) = (manifest.accuracy.correct, manifest.accuracy.samples);
    let percent = 100.0 * correct as f64 / samples.max(1) as f64;
    let (correct, samples) = (grouped(correct), grouped(samples));
    say!("accuracy     {percent:.2} % ({correct} of {samples} samples)");
    let tiers = &manifest.tiers;
    say!(
        "tiers        confidence up to {:?}: {:?} correct, {:?} incorrect",
        tiers.upper_bounds,
        tiers.correct,
        tiers.incorrect
    );
}

fn describe_all(tensors: &[Tensor]) -> String {
    tensors.iter().map(describe).collect::<Vec<_>>().join(", ")
}

fn inspect_onnx(path: &Path) -> Result<()> {
    let bytes = regular_file::read(path).with_context(|| path.display().to_string())?;
    let model = ModelProto::decode(bytes.as_slice()).with_context(|| {
        format!(
            "{}: not an ONNX model, and of no other kind",
            path.display()
        )
    })?;
    let graph = model
        .graph
        .as_ref()
        .with_context(|| format!("{}: not an ONNX model: it has no graph", path.display()))?;
    let opsets: Vec<String> = model
        .opset_import
        .iter()
        .map(|opset| format!("{} {}", domain(opset.domain()), opset.version()))
        .collect();
    say!(
        "model        {} (IR {}, opset {})",
        path.display(),
        model.ir_version(),
        opsets.join(", ")
    );
    say!(
        "producer     {} {}",
        model.producer_name(),
        model.producer_version()
    );
    for property in &model.metadata_props {
        say!("  {:<15} {}", property.key(), property.value());
    }
    print_values("inputs", &graph.input);
    print_values("outputs", &graph.output);
    let mut operators: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &graph.node {
        *operators.entry(node.op_type()).or_default() += 1;
    }
    let counted: Vec<String> = operators
        .iter()
        .map(|(operator, count)| format!("{operator} × {count}"))
        .collect();
    say!("nodes        {}: {}", graph.node.len(), counted.join(", "));
    say!("initializers {}", graph.initializer.len());
    let parameters = parameters_of(path);
    for tensor in &graph.initializer {
        let (name, dtype) = (tensor.name(), dtype(tensor.data_type()));
        let axes = tensor.dims.iter().map(|&axis| usize::try_from(axis));
        let shape: Vec<usize> = axes.map(Result::unwrap_or_default).collect();
        let in_pytorch = in_pytorch(&parameters, name, &shape);
        let shape = format!("{:?}", tensor.dims);
        let row = format!("  {name:<48} {dtype:<8} {shape:<14} {in_pytorch}");
        say!("{}", row.trim_end());
    }
    Ok(())
}

fn print_values(what: &str, values: &[ValueInfoProto]) {
    say!("{what}");
    for value in values {
        let tensor = value
            .r#type
            .as_ref()
            .and_then(|r#type| r#type.value.as_ref());
        let text =
            match tensor {
                Some(type_proto::Value::TensorType(tensor)) => {
                    let dims =
                        tensor.shape.iter().flat_map(|shape| &shape.dim).map(|dim| {
                            match &dim.value {
                                Some(dimension::Value::DimValue(length)) => length.to_string(),
                                Some(dimension::Value::DimParam(name)) => name.clone(),
                                None => "?".to_owned(),
                            }
                        });
                    format!(
                        "{} [{}]",
                        dtype(tensor.elem_type()),
                        dims.collect::<Vec<_>>().join(", ")
                    )
                }
                _ => "not a tensor".to_owned(),
            };
        say!("  {:<16} {text}", value.name());
    }
}

fn dtype(code: i32) -> String {
    DataType::try_from(code).map_or_else(
        |_| format!("type {code}"),
        |dtype| dtype.as_str_name().to_lowercase(),
    )
}

fn domain(name: &str) -> &str {
    if name.is_empty() { "ai.onnx" } else { name }
}

fn describe(tensor: &Tensor) -> String {
    let axes: Vec<String> = tensor
        .shape
        .iter()
        .map(|axis| match axis {
            Axis::Fixed(length) => length.to_string(),
            Axis::Named(name) => name.clone(),
        })
        .collect();
    let (name, axes) = (&tensor.name, axes.join(", "));
    match tensor.dtype {
        Dtype::Float32 => format!("{name} [{axes}]"),
        other => format!("{name} {} [{axes}]", other.name()),
    }
}
