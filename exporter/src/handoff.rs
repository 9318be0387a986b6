//! What other people's tools want beside the models: ONNX's test data sets, raw arrays, and a
//! README with commands.

use prost::Message as _;
use proto::manifest::{Manifest, Part, dataset, part};
use proto::onnx::TensorProto;
use proto::onnx::tensor_proto::DataType;
use tch::Tensor;
use trainer::weights::shape_and_bytes;

use crate::folder::{Folder, FolderError};
use crate::golden::Kept;
use crate::vit_graph::{IMAGE, RESIDUAL};

/// Tolerances that ONNX's own test runners are told, absolute and relative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Absolute.
    pub atol: f64,
    /// Relative.
    pub rtol: f64,
}

/// The submodel's, which is the verifier's default; the other parts are deep, and their rounding
/// errors add up.
pub fn tolerance(part_name: &str) -> Tolerance {
    if part_name == part::SUBMODEL {
        Tolerance {
            atol: 5e-6,
            rtol: 1e-5,
        }
    } else {
        Tolerance {
            atol: 1e-4,
            rtol: 1e-4,
        }
    }
}

/// Writes `test_data_set_K` for every kept sample beside a part's model, and the two files with its
/// tolerances.
pub fn write_test_data(
    folder: &mut Folder,
    name: &str,
    part: &Part,
    kept: &[Kept],
) -> Result<(), FolderError> {
    if kept.is_empty() {
        return Ok(());
    }
    for (number, sample) in kept.iter().enumerate() {
        for (kind, tensors) in [("input", &part.inputs), ("output", &part.outputs)] {
            for (position, tensor) in tensors.iter().enumerate() {
                let file = format!("onnx/{name}/test_data_set_{number}/{kind}_{position}.pb");
                folder.write(
                    &file,
                    &tensor_proto(&tensor.name, sample.tensor(&tensor.name)),
                )?;
            }
        }
    }
    let Tolerance { atol, rtol } = tolerance(name);
    let config = format!("per_sample_tolerance:{atol:e}\nrelative_per_sample_tolerance:{rtol:e}\n");
    folder.write(&format!("onnx/{name}/config.txt"), config.as_bytes())?;
    let data = format!("{{\"atol\": {atol:e}, \"rtol\": {rtol:e}}}\n");
    folder.write(&format!("onnx/{name}/data.json"), data.as_bytes())
}

impl Kept {
    /// The tensor that a graph knows by this name.
    fn tensor(&self, name: &str) -> &Tensor {
        match name {
            IMAGE => &self.image,
            RESIDUAL => self
                .residual
                .as_ref()
                .expect("a graph has a residual where the module has one"),
            dataset::SUBMODEL_INPUT => &self.input,
            dataset::SUBMODEL_OUTPUT => &self.output,
            _ => &self.logits,
        }
    }
}

fn tensor_proto(name: &str, tensor: &Tensor) -> Vec<u8> {
    let raw_data = Some(shape_and_bytes(tensor).1);
    let data_type = Some(DataType::Float as i32);
    TensorProto {
        name: Some(name.to_owned()),
        dims: tensor.size(),
        data_type,
        raw_data,
        ..Default::default()
    }
    .encode_to_vec()
}

/// Writes every array once more as its bare little-endian elements, `raw/NAME.bin`.
pub fn write_raw(folder: &mut Folder, manifest: &Manifest) -> Result<(), FolderError> {
    for (name, dataset) in &manifest.datasets {
        let bytes = dataset.shape.iter().product::<usize>() as u64 * dataset.dtype.size() as u64;
        let path = folder.place(&dataset.file)?;
        let header = folder.files()[&dataset.file].size - bytes;
        folder.copy(&path, header, &format!("raw/{name}.bin"))?;
    }
    Ok(())
}

/// The bundle's README: what it is, and how each tool opens it. The commands are to be run in the
/// bundle's folder.
pub fn readme(manifest: &Manifest, has_raw: bool) -> String {
    let Manifest {
        model,
        module,
        accuracy,
        parts,
        datasets,
        ..
    } = manifest;
    let samples = accuracy.samples;
    let Tolerance { atol, rtol } = tolerance(part::SUBMODEL);
    let recorded = match samples {
        0 => String::new(),
        _ => format!(", with {samples} recorded inputs and the outputs that they should give"),
    };
    let mut text = format!(
        "# {module} of a vision transformer ({preset})\n\n\
         The module `{module}` (its name in the PyTorch model) of a vision transformer for CIFAR-10, cut out as an ONNX \
         model{recorded}. `manifest.json` lists every file, shape and hash; nothing needs the program that wrote it.\n\n\
         Check that the copy is complete:\n\n```sh\nsha256sum --check --quiet SHA256SUMS\n```\n\n\
         ## Models\n\nONNX IR {ir}, opset {opset}, float32, standard operators. `batch` is free.\n\n\
         | model | inputs | outputs |\n|---|---|---|\n",
        preset = model.preset,
        ir = crate::graph::IR_VERSION,
        opset = crate::graph::OPSET_VERSION,
    );
    for part in parts.values() {
        let side = |tensors: &[proto::manifest::Tensor]| {
            tensors
                .iter()
                .map(|tensor| format!("`{}` {}", tensor.name, axes(tensor)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        text.push_str(&format!(
            "| `{}` | {} | {} |\n",
            part.file,
            side(&part.inputs),
            side(&part.outputs)
        ));
    }
    text.push_str(&about_models(manifest));
    if samples == 0 {
        text.push_str("\nThis bundle has no samples: models and weights alone.\n");
        return text;
    }
    text.push_str("\n## Arrays\n\n| file | dtype | shape | holds |\n|---|---|---|---|\n");
    for (name, dataset) in datasets {
        let (dtype, shape, holds) = (dataset.dtype.name(), &dataset.shape, meaning(name));
        text.push_str(&format!(
            "| `{}` | {dtype} | {shape:?} | {holds} |\n",
            dataset.file
        ));
    }
    if has_raw {
        text.push_str(
            "\n`raw/NAME.bin` holds the same elements without a header: little-endian, C order.\n",
        );
    }
    let split = manifest.selection.split;
    text.push_str(&format!(
        "\nThe samples are images of CIFAR-10's {split} split.\n"
    ));
    if let Some(subset) = &manifest.selection.subset {
        text.push_str(&format!(
            "They were chosen from the {} samples of the bundle whose `manifest.json` has the BLAKE3 hash `{}`; \
             `selection` in the manifest holds the rule.\n",
            subset.of_samples, subset.of
        ));
    }
    text.push_str(&format!(
        "\nThe golden was recorded in float32 with libtorch {} on {}. {} of {samples} samples are classified correctly.\n\n\
         ## Run it\n\nAn element passes when |output − golden| ≤ {atol:e} + {rtol:e}·|golden|.\n\n\
         ### The verifier\n\n```sh\nverifier check . --device cuda     # or cpu; openvino with --runtime and a library that has it\n```\n\n",
        manifest.golden.libtorch, manifest.golden.device, accuracy.correct,
    ));
    text.push_str(&tools(samples.min(64), atol, rtol, &axes_of_first(parts)));
    text
}

/// What the models' other files are, and how the models belong together.
fn about_models(manifest: &Manifest) -> String {
    let Manifest {
        parts,
        preprocessing,
        selection,
        ..
    } = manifest;
    let mut text = String::new();
    if parts.contains_key(part::HEAD) && parts.contains_key(part::TAIL) {
        text.push_str(
            "\n`tail` with what `head` and `submodel` give computes what `full` computes; `residual` is the tensor that \
             goes past the submodel.\n",
        );
    }
    text.push_str(&format!(
        "\n`image` is a CIFAR-10 image resized to {size} × {size} as Pillow's bilinear filter does it, divided by 255, less \
         the mean {mean:?} and divided by the standard deviation {std:?} of each channel.\n",
        size = preprocessing.resize.image_size,
        mean = preprocessing.mean,
        std = preprocessing.std,
    ));
    let sets = parts
        .values()
        .map(|part| &part.test_data_sets)
        .find(|sets| !sets.is_empty());
    if let Some(sets) = sets {
        text.push_str(&format!(
            "\n`test_data_set_0` and so on beside a model hold one sample each, in the layout of ONNX's own test runners: \
             images {sets:?} of the {split} split{whatever}. `config.txt` and `data.json` tell such runners the \
             tolerance. ONNX's `load_model_tests` takes folders whose names begin with `test_`, such as a copy of \
             `onnx/full` named `test_full`.\n",
            split = selection.split,
            whatever = if selection.subset.is_some() { ", which need not be among this subset's samples" } else { "" },
        ));
    }
    text.push_str(
        "\n`weights/submodel.safetensors` holds the submodel's weights under PyTorch's names.\n",
    );
    text
}

/// What an array holds.
fn meaning(name: &str) -> &'static str {
    match name {
        dataset::SUBMODEL_INPUT => "what the submodel is given",
        dataset::SUBMODEL_OUTPUT => "what it should give: the golden",
        dataset::SUBMODEL_OUTPUT_F64 => {
            "the same from the same float32 input and weights, computed in float64"
        }
        dataset::LOGITS => "what the full model should give",
        dataset::LABELS => "the true class",
        dataset::PREDICTIONS => "the class with the largest logit",
        dataset::CONFIDENCE => "p(best class) − p(second best class), softmax of the logits",
        dataset::SAMPLE_INDEX => "the image's position in its split of CIFAR-10",
        dataset::TIER => "the confidence tier, from 0, that chose the sample",
        _ => "",
    }
}

/// Axes after the first of the submodel's input, as `trtexec` writes them.
fn axes_of_first(parts: &std::collections::BTreeMap<String, Part>) -> String {
    let axes = parts
        .get(part::SUBMODEL)
        .and_then(|part| part.inputs.first()?.sample_shape())
        .unwrap_or_default();
    axes.iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join("x")
}

fn axes(tensor: &proto::manifest::Tensor) -> String {
    let axis = |axis: &proto::manifest::Axis| match axis {
        proto::manifest::Axis::Fixed(length) => length.to_string(),
        proto::manifest::Axis::Named(name) => name.clone(),
    };
    format!(
        "[{}]",
        tensor.shape.iter().map(axis).collect::<Vec<_>>().join(", ")
    )
}

fn tools(batch: usize, atol: f64, rtol: f64, shape: &str) -> String {
    format!(
        r#"### ONNX Runtime and numpy

```python
import numpy, onnxruntime
x, golden = (numpy.load(f"npy/{{name}}.npy", mmap_mode="r")[:{batch}] for name in ("submodel_input", "submodel_output"))
session = onnxruntime.InferenceSession("onnx/submodel/model.onnx", providers=["CPUExecutionProvider"])
y = session.run(["submodel_output"], {{"submodel_input": x}})[0]
print("largest error", abs(y - golden).max(), "within tolerance", numpy.isclose(y, golden, rtol={rtol:e}, atol={atol:e}).all())
```

### OpenVINO

```python
import numpy, openvino
x, golden = (numpy.load(f"npy/{{name}}.npy", mmap_mode="r")[:{batch}] for name in ("submodel_input", "submodel_output"))
model = openvino.Core().compile_model("onnx/submodel/model.onnx", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})
y = model([numpy.array(x)])[0]
print("largest error", abs(y - golden).max(), "within tolerance", numpy.isclose(y, golden, rtol={rtol:e}, atol={atol:e}).all())
```

### Polygraphy

Its own files of inputs and outputs, made once:

```python
import numpy
from polygraphy.comparator import IterationResult, RunResults
from polygraphy.json import save_json
x, golden = (numpy.load(f"npy/{{name}}.npy")[:{batch}] for name in ("submodel_input", "submodel_output"))
save_json([{{"submodel_input": x}}], "/tmp/inputs.json")
results = RunResults()
results.add([IterationResult({{"submodel_output": golden}})], runner_name="golden")
results.save("/tmp/golden.json")
```

```sh
polygraphy run onnx/submodel/model.onnx --onnxrt --load-inputs /tmp/inputs.json --load-outputs /tmp/golden.json --atol {atol:e} --rtol {rtol:e}
```

### TensorRT

```sh
trtexec --onnx=onnx/submodel/model.onnx --noTF32 --minShapes=submodel_input:1x{shape} --optShapes=submodel_input:{batch}x{shape} --maxShapes=submodel_input:{batch}x{shape}
```

### netron

```sh
netron onnx/submodel/model.onnx
```
"#
    )
}
