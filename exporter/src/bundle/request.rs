//! What goes into a bundle, and the order in which it is written.

use std::collections::BTreeMap;
use std::path::Path;

use proto::bundle::{BundleWriter, WriteError};
use proto::config::VitConfig;
use proto::graph::Deployment;
use proto::graph::write::message_size;
use proto::manifest::{
    FORMAT_VERSION, Golden, Manifest, Model, Part, Producer, Selection, Split, part,
};
use proto::module::{Module, UnknownModule};
use proto::preprocessing::Preprocessing;
use safetensors::tensor::SafeTensorError;
use trainer::cifar10;
use trainer::vit::Vit;
use trainer::weights::WeightsInfo;

use super::models::write_models;
use super::origin::golden_origin;
use super::weights::{SUBMODEL_WEIGHTS_FILE, submodel_weights};
use crate::golden::{self, GoldenError, Plan, Recorded, RecordedGolden};
use crate::interop;
use crate::vit_graph::{self, PartModel};

/// The producer in manifests and ONNX models.
const PRODUCER: &str = "vit-part exporter";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All parts, in the order they are listed to users.
pub const PARTS: [&str; 5] = [
    part::PREPROCESS,
    part::FULL,
    part::HEAD,
    part::SUBMODEL,
    part::TAIL,
];

/// What goes into a bundle, and where it goes.
#[derive(Debug)]
pub struct Request<'a> {
    pub vit: &'a Vit,
    /// What its weights file says about it.
    pub info: &'a WeightsInfo,
    /// Of its weights file, hexadecimal.
    pub weights_sha256: &'a str,
    /// Name of the module to cut out.
    pub module: &'a str,
    /// What the models are written for.
    pub deployment: Deployment,
    /// The models to write, by their names in [`PARTS`]; the submodel is always among them.
    pub parts: &'a [&'a str],
    /// The images to choose from.
    pub split: &'a cifar10::Split,
    /// Which split of CIFAR-10 they are.
    pub split_name: Split,
    /// Positions in the split, in the order of the samples; none for a bundle without goldens.
    pub indices: &'a [usize],
    /// Images per forward pass.
    pub batch_size: usize,
    /// Whether the submodel's outputs are also computed in float64.
    pub float64: bool,
    /// The golden of another program, a row for each of `indices`; the network's own without it.
    pub recorded: Option<&'a RecordedGolden>,
    /// Whether the arrays are also written without a header.
    pub raw: bool,
    /// Test data sets beside each model, at most as many as the samples fill.
    pub test_data_sets: usize,
    /// A model with more bytes keeps its weights in a second file.
    pub largest_model: usize,
    /// The bundle's folder.
    pub out: &'a Path,
    /// Whether an existing bundle gives way.
    pub replace: bool,
}

/// Why a bundle could not be written. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(transparent)]
    Module(#[from] UnknownModule),
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// An image that is not there.
    #[error(
        "sample {asked} of the {split} split: it has {available} images, 0 to {}",
        .available.saturating_sub(1)
    )]
    Sample {
        asked: usize,
        split: Split,
        available: usize,
    },
    /// No test data set can be filled.
    #[error(
        "a test data set holds {fixed_batch} samples, as many as the fixed batch, and there are \
         {samples}"
    )]
    FewerThanBatch { samples: usize, fixed_batch: usize },
    #[error("{SUBMODEL_WEIGHTS_FILE}: {0}")]
    SafeTensors(#[from] SafeTensorError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes a bundle; after each batch of golden tensors `go_on` is told the samples done and may end
/// it.
pub fn write(
    request: &Request<'_>,
    go_on: impl FnMut(usize) -> bool,
) -> Result<Manifest, BundleError> {
    let module = Module::parse(request.module, request.vit.config())?;
    let available = request.split.len();
    if let Some(&asked) = request.indices.iter().find(|&&index| index >= available) {
        return Err(BundleError::Sample {
            asked,
            split: request.split_name,
            available,
        });
    }
    let kept = kept(request)?;
    let models = models(request, module);
    let needed_bytes = needed_bytes(request, &models);
    let mut writer = BundleWriter::create(request.out, request.replace, needed_bytes)?;
    let mut parts = write_models(&mut writer, models, request.largest_model)?;
    let weights = submodel_weights(request.vit, module)?;
    writer.write(SUBMODEL_WEIGHTS_FILE, &weights)?;
    let recorded = record(request, module, kept, &mut writer, go_on)?;
    let samples_per_run = request.deployment.samples_per_run();
    for (name, part) in &mut parts {
        part.test_data_sets = recorded.kept.iter().map(|sample| sample.index).collect();
        interop::write_test_data(&mut writer, name, part, &recorded.kept, samples_per_run)?;
    }
    let manifest = describe(request, module, parts, recorded);
    let readme = |manifest: &Manifest| interop::readme(manifest, request.raw);
    Ok(writer.finish(manifest, request.raw, readme)?)
}

/// Samples that become test data sets, each of which is full.
fn kept(request: &Request<'_>) -> Result<usize, BundleError> {
    let samples = request.indices.len();
    let of_set = request.deployment.samples_per_run();
    if request.test_data_sets > 0 && (1..of_set).contains(&samples) {
        return Err(BundleError::FewerThanBatch {
            samples,
            fixed_batch: of_set,
        });
    }
    Ok(request.test_data_sets.min(samples / of_set) * of_set)
}

/// The graphs, whose weights are still the network's own.
fn models(request: &Request<'_>, module: Module) -> Vec<(String, PartModel)> {
    let preprocessing = Preprocessing::cifar10(request.vit.config().image_size);
    let golden = match request.recorded {
        None => json(&golden_origin(request.vit, request.batch_size)),
        Some(recorded) => json(&BTreeMap::from([("recorded", recorded.sources())])),
    };
    let metadata = [
        ("preset", request.info.preset_name().to_owned()),
        ("cut", module.to_string()),
        ("weights_sha256", request.weights_sha256.to_owned()),
        ("preprocessing", json(&preprocessing)),
        ("golden", golden),
    ];
    let mut models = Vec::new();
    for name in PARTS.iter().filter(|name| request.parts.contains(*name)) {
        let file = format!("onnx/{name}/model.onnx");
        let mut built = match *name {
            part::PREPROCESS => {
                PartModel::new(preprocessing.model(name, request.deployment), &file)
            }
            _ => vit_graph::build(request.vit, module, name, &file, request.deployment),
        };
        built.model.set_producer(PRODUCER, VERSION);
        built.model.set_metadata(&metadata);
        models.push(((*name).to_owned(), built));
    }
    models
}

/// What the bundle will take, short of a few small files.
fn needed_bytes(request: &Request<'_>, models: &[(String, PartModel)]) -> u64 {
    let config = request.vit.config();
    let edge = config.tokens() * config.dim;
    let float32 = 4 * (2 * edge + config.classes + 1);
    let float64 = if request.float64 { 8 * edge } else { 0 };
    let per_sample = cifar10::IMAGE_BYTES + float32 + float64 + 3 * 8;
    let arrays = request.indices.len() * per_sample * if request.raw { 2 } else { 1 };
    let models = models.iter().map(|(_, part)| message_size(&part.model));
    (arrays + models.sum::<usize>()) as u64
}

fn record(
    request: &Request<'_>,
    module: Module,
    kept: usize,
    writer: &mut BundleWriter,
    go_on: impl FnMut(usize) -> bool,
) -> Result<Recorded, GoldenError> {
    if request.indices.is_empty() {
        return Ok(Recorded::empty());
    }
    let plan = Plan {
        split: request.split,
        indices: request.indices,
        batch_size: request.batch_size,
        float64: request.float64,
        kept,
        recorded: request.recorded,
    };
    golden::record(request.vit, module, plan, writer, go_on)
}

/// The manifest; files and datasets are the writer's to fill.
fn describe(
    request: &Request<'_>,
    module: Module,
    parts: BTreeMap<String, Part>,
    recorded: Recorded,
) -> Manifest {
    let config = request.vit.config();
    Manifest {
        format_version: FORMAT_VERSION.to_owned(),
        producer: Producer {
            name: PRODUCER.to_owned(),
            version: VERSION.to_owned(),
        },
        model: Model {
            preset: request.info.preset_name().to_owned(),
            config: VitConfig::clone(config),
            parameters: config.parameter_count(),
            weights_sha256: request.weights_sha256.to_owned(),
        },
        module: module.to_string(),
        deployment: Some(request.deployment).filter(|it| *it != Deployment::default()),
        parts,
        datasets: BTreeMap::new(),
        selection: Selection {
            split: request.split_name,
            subset: None,
        },
        tiers: recorded.tiers,
        preprocessing: Preprocessing::cifar10(config.image_size),
        golden: Golden {
            float64: recorded.float64,
            recorded: recorded.elsewhere,
            ..golden_origin(request.vit, request.batch_size)
        },
        accuracy: recorded.accuracy,
        files: BTreeMap::new(),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serialises")
}
