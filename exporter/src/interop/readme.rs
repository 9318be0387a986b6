//! The bundle's README: what it is, and how each tool opens it.

use std::fmt::Write as _;

use proto::manifest::{Axis, Golden, Manifest, Tensor, dataset, part};
use proto::npy::Dtype;

use super::tolerance::{Tolerance, tolerance};
use super::tools::tools;

/// Most samples that a command of the README runs at once, unless the models fix another number.
const MOST_SAMPLES: usize = 64;
/// Most images that the README lists.
const MOST_IMAGES: usize = 16;

/// The README's text. Its commands are to be run in the bundle's folder.
pub fn readme(manifest: &Manifest, has_raw: bool) -> String {
    let mut text = heading(manifest);
    text.push_str(&models(manifest));
    text.push_str(&how_models_belong_together(manifest));
    if manifest.accuracy.samples == 0 {
        text.push_str("\nThis bundle has no samples: models and weights alone.\n");
        return text;
    }
    text.push_str(&arrays(manifest, has_raw));
    text.push_str(&samples(manifest));
    text.push_str(&running(manifest));
    text
}

fn heading(manifest: &Manifest) -> String {
    let recorded = match manifest.accuracy.samples {
        0 => String::new(),
        samples => {
            format!(", with {samples} recorded inputs and the outputs that they should give")
        }
    };
    format!(
        "# {module} of a vision transformer ({preset})\n\n\
         The module `{module}` (its name in the PyTorch model) of a vision transformer for \
         CIFAR-10, cut out as an ONNX model{recorded}. `manifest.json` lists every file, shape and \
         hash; nothing needs the program that wrote it.\n\n\
         Check that the copy is complete:\n\n\
         ```sh\nsha256sum --check --quiet SHA256SUMS\n```\n\n",
        module = manifest.module,
        preset = manifest.model.preset,
    )
}

fn models(manifest: &Manifest) -> String {
    let deployment = manifest.deployment();
    let (ir, opset) = (deployment.ir_version(), deployment.opset);
    let batch = match deployment.fixed_batch {
        None => "`batch` is free.".to_owned(),
        Some(1) => "Every run takes one sample.".to_owned(),
        Some(samples) => format!(
            "Every run takes {samples} samples: where there are fewer left, fill it up with \
             anything and drop what comes of it. `verifier` does so by itself."
        ),
    };
    let mut text = format!(
        "## Models\n\nONNX IR {ir}, opset {opset}, float32 where nothing else is said, standard \
         operators. {batch}\n\n\
         | model | inputs | outputs |\n|---|---|---|\n"
    );
    for part in manifest.parts.values() {
        let (inputs, outputs) = (tensors(&part.inputs), tensors(&part.outputs));
        add(
            &mut text,
            format_args!("| `{}` | {inputs} | {outputs} |\n", part.file),
        );
    }
    text
}

/// What the models' other files are, and how the models belong together.
fn how_models_belong_together(manifest: &Manifest) -> String {
    let parts = &manifest.parts;
    let mut text = String::new();
    if parts.contains_key(part::HEAD) && parts.contains_key(part::TAIL) {
        text.push_str(
            "\n`tail` with what `head` and `submodel` give computes what `full` computes; \
             `residual` is the tensor that goes past the submodel.\n",
        );
    }
    let preprocessing = &manifest.preprocessing;
    add(
        &mut text,
        format_args!(
            "\n`image` is a CIFAR-10 image resized to {size} × {size} as Pillow's bilinear filter \
             does it, divided by 255, less the mean {mean:?} and divided by the standard deviation \
             {std:?} of each channel.\n",
            size = preprocessing.resize.image_size,
            mean = preprocessing.mean,
            std = preprocessing.std,
        ),
    );
    if parts.contains_key(part::PREPROCESS) {
        text.push_str("`preprocess` computes it from `pixels`, bit for bit.\n");
    }
    let mut sets = parts.values().map(|part| &part.test_data_sets);
    if let Some(sets) = sets.find(|sets| !sets.is_empty()) {
        text.push_str(&about_test_data(manifest, sets));
    }
    text.push_str(
        "\n`weights/submodel.safetensors` holds the submodel's weights under PyTorch's names.\n",
    );
    text
}

fn about_test_data(manifest: &Manifest, sets: &[usize]) -> String {
    let whatever = match manifest.selection.subset {
        Some(_) => ", which need not be among this subset's samples",
        None => "",
    };
    let samples = match manifest.deployment().fixed_batch {
        None | Some(1) => "one sample".to_owned(),
        Some(samples) => format!("{samples} samples"),
    };
    let images = match sets {
        _ if sets.len() <= MOST_IMAGES => format!("images {sets:?}"),
        [first, .., last] => format!("{} images, from {first} to {last},", sets.len()),
        _ => String::new(),
    };
    format!(
        "\n`test_data_set_0` and so on beside a model hold {samples} each, in the layout of \
         ONNX's own test runners: {images} of the {split} split{whatever}. `config.txt` \
         and `data.json` tell such runners the tolerance. ONNX's `load_model_tests` takes folders \
         whose names begin with `test_`, such as a copy of `onnx/full` named `test_full`.\n",
        split = manifest.selection.split,
    )
}

fn arrays(manifest: &Manifest, has_raw: bool) -> String {
    let mut text =
        "\n## Arrays\n\n| file | dtype | shape | holds |\n|---|---|---|---|\n".to_owned();
    for (name, dataset) in &manifest.datasets {
        let (file, shape) = (&dataset.file, &dataset.shape);
        let (dtype, holds) = (dataset.dtype.name(), meaning(name));
        add(
            &mut text,
            format_args!("| `{file}` | {dtype} | {shape:?} | {holds} |\n"),
        );
    }
    if has_raw {
        text.push_str(
            "\n`raw/NAME.bin` holds the same elements without a header: little-endian, C order.\n",
        );
    }
    text
}

fn samples(manifest: &Manifest) -> String {
    let selection = &manifest.selection;
    let mut text = format!(
        "\nThe samples are images of CIFAR-10's {} split.\n",
        selection.split
    );
    if let Some(subset) = &selection.subset {
        add(
            &mut text,
            format_args!(
                "They were chosen from the {} samples of the bundle whose `manifest.json` has the \
                 BLAKE3 hash `{}`; `selection` in the manifest holds the rule.\n",
                subset.of_samples, subset.of
            ),
        );
    }
    text
}

fn running(manifest: &Manifest) -> String {
    let tolerance = tolerance(part::SUBMODEL);
    let Tolerance { atol, rtol } = tolerance;
    let samples = manifest.accuracy.samples;
    let mut text = format!(
        "\n{} {} of {samples} samples are classified correctly.\n\n## Run it\n\n\
         An element passes when |output − golden| ≤ {atol:e} + {rtol:e}·|golden|.\n\n\
         ### The verifier\n\n```sh\nverifier check . --device cuda     # or cpu; openvino with \
         --runtime and a library that has it\n```\n\n",
        origin(&manifest.golden),
        manifest.accuracy.correct,
    );
    let batch = match manifest.deployment().fixed_batch {
        None => samples.min(MOST_SAMPLES),
        Some(batch) if batch <= samples => batch,
        Some(_) => {
            text.push_str("Other tools need as many samples as the models take in a run.\n");
            return text;
        }
    };
    text.push_str(&tools(manifest, batch, tolerance));
    text
}

/// Who recorded the golden, in sentences.
fn origin(golden: &Golden) -> String {
    let Golden {
        libtorch, device, ..
    } = golden;
    if golden.recorded.is_empty() {
        return format!("The golden was recorded in float32 with libtorch {libtorch} on {device}.");
    }
    let mut text = "Another program recorded golden tensors:\n".to_owned();
    for (name, recorded) in &golden.recorded {
        let entry = match &recorded.entry {
            Some(entry) => format!("`{entry}` of "),
            None => String::new(),
        };
        add(
            &mut text,
            format_args!(
                "\n- `{name}`: {entry}the file with SHA-256 `{}`; libtorch {libtorch} on {device} \
                 gave with these weights what is at most {:.3e} off, in {} samples beyond {:e} + \
                 {:e}·|computed|",
                recorded.sha256,
                recorded.largest_difference,
                recorded.samples_outside,
                recorded.atol,
                recorded.rtol
            ),
        );
    }
    text.push_str("\n\nEverything else was computed here.");
    text
}

/// What an array holds.
fn meaning(name: &str) -> &'static str {
    match name {
        dataset::PIXELS => "the images: row, column, channel R, G, B",
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

/// Names and shapes in a cell of a table, with the element type where it is not float32.
fn tensors(tensors: &[Tensor]) -> String {
    let cell = |tensor: &Tensor| {
        let (name, axes) = (&tensor.name, axes(&tensor.shape));
        match tensor.dtype {
            Dtype::Float32 => format!("`{name}` [{axes}]"),
            other => format!("`{name}` {} [{axes}]", other.name()),
        }
    };
    let cells: Vec<String> = tensors.iter().map(cell).collect();
    cells.join(", ")
}

fn axes(shape: &[Axis]) -> String {
    let axes: Vec<String> = shape.iter().map(Axis::to_string).collect();
    axes.join(", ")
}

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a string takes all");
}
