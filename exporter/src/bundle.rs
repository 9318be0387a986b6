//! Writing a bundle: every part in turn into a hidden sibling folder, which gets its name when all
//! is there.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use proto::config::VitConfig;
use proto::digest::FileDigest;
use proto::manifest::{
    self, FORMAT_VERSION, Golden, MANIFEST_FILE, Manifest, Model, Part, Producer, SHA256SUMS_FILE,
    Selection, part,
};
use proto::module::{Module, UnknownModule};
use proto::npy::Dtype;
use proto::plain;
use proto::preprocessing::Preprocessing;
use proto::staging::{StagedFolder, StagingError};
use rayon::prelude::*;
use safetensors::tensor::{Dtype as SafeDtype, SafeTensorError, TensorView};
use trainer::cifar10::Split;
use trainer::device::device_name;
use trainer::vit::Vit;
use trainer::weights::{WeightsInfo, shape_and_bytes};

use crate::folder::{Folder, FolderError, NoRoom, README_FILE, check_room};
use crate::golden::{self, GoldenError, Plan, Recorded};
use crate::{graph, handoff, onnx_file, vit_graph};

/// The producer in manifests and ONNX models.
pub const PRODUCER: &str = "vit-part exporter";

/// All parts, in the order they are listed to users.
pub const PARTS: [&str; 4] = [part::FULL, part::HEAD, part::SUBMODEL, part::TAIL];

const SUBMODEL_WEIGHTS_FILE: &str = "weights/submodel.safetensors";
/// What lies beside a model that one file cannot hold.
const EXTERNAL_DATA: &str = "model.onnx.data";

/// What goes into a bundle, and where it goes.
#[derive(Debug)]
pub struct Request<'a> {
    /// The network.
    pub vit: &'a Vit,
    /// What its weights file says about it.
    pub info: &'a WeightsInfo,
    /// SHA-256 of its weights file, hexadecimal.
    pub weights_sha256: &'a str,
    /// Name of the module to cut out.
    pub module: &'a str,
    /// The models to write, by their names in [`PARTS`]; the submodel is always among them.
    pub parts: &'a [&'a str],
    /// Images.
    pub split: &'a Split,
    /// Which split of CIFAR-10 they are.
    pub split_name: manifest::Split,
    /// Positions in the split, in the order of the samples; none for a bundle without goldens.
    pub indices: &'a [usize],
    /// Images per forward pass.
    pub batch_size: usize,
    /// Whether the submodel's outputs are also computed in float64.
    pub float64: bool,
    /// Whether the arrays are also written without a header.
    pub raw: bool,
    /// Test data sets beside each model, at most one for each sample.
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
    /// The folder cannot be made.
    #[error("{0}{hint}", hint = hint(.0))]
    Staging(StagingError),
    /// The place is inside a bundle.
    #[error("{out}: inside the bundle {bundle}\nhint: --out names a folder elsewhere")]
    InsideBundle {
        /// The place.
        out: PathBuf,
        /// The bundle around it.
        bundle: PathBuf,
    },
    /// What is in the place may not be removed.
    #[error(
        "{path}: not a bundle alone, so --force leaves it as it is: {reason}\nhint: --out names another folder"
    )]
    NotABundle {
        /// The place.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No such module.
    #[error(transparent)]
    Module(#[from] UnknownModule),
    /// No golden could be recorded.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// An image that is not there.
    #[error("sample {asked} of the {split} split: it has {available} images, 0 to {}", .available.saturating_sub(1))]
    Sample {
        /// The position asked for.
        asked: usize,
        /// The split.
        split: manifest::Split,
        /// Images there are.
        available: usize,
    },
    /// The submodel's weights could not be laid out.
    #[error("{SUBMODEL_WEIGHTS_FILE}: {0}")]
    SafeTensors(#[from] SafeTensorError),
    /// A file could not be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no room for it.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

impl From<StagingError> for BundleError {
    // Not by `#[from]`, which would make it a source too and have it printed twice.
    fn from(error: StagingError) -> Self {
        Self::Staging(error)
    }
}

fn hint(error: &StagingError) -> &'static str {
    match error {
        StagingError::Exists(_) => "\nhint: --force replaces it, --out names another folder",
        _ => "",
    }
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
    let models = models(request, module);
    check_room(request.out, needed_bytes(request, &models))?;
    let staged = stage(request.out, request.replace)?;
    let manifest = write_into(Folder::new(staged.path()), request, module, models, go_on)?;
    commit(staged, request.out, request.replace)?;
    Ok(manifest)
}

/// Makes the hidden folder for a bundle. What `replace` may remove must be a bundle and nothing
/// else.
pub(crate) fn stage(out: &Path, replace: bool) -> Result<StagedFolder, BundleError> {
    if let Some(bundle) = proto::bundle::around(out) {
        return Err(BundleError::InsideBundle {
            out: out.to_owned(),
            bundle,
        });
    }
    if replace {
        check_replaceable(out)?;
    }
    Ok(StagedFolder::create(out, replace)?)
}

/// Gives a bundle its place; what is there by now must still be one that may be replaced.
pub(crate) fn commit(staged: StagedFolder, out: &Path, replace: bool) -> Result<(), BundleError> {
    if replace {
        check_replaceable(out)?;
    }
    Ok(staged.commit()?)
}

/// A path that replacing may remove is free, an empty folder, or a bundle with nothing in it but
/// its own files.
fn check_replaceable(path: &Path) -> Result<(), BundleError> {
    let refused = |reason: String| {
        Err(BundleError::NotABundle {
            path: path.to_owned(),
            reason,
        })
    };
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return refused(error.to_string()),
        Ok(metadata) => metadata,
    };
    if !metadata.is_dir() {
        return refused("it is no folder".to_owned());
    }
    let files = match files_below(path) {
        Ok(files) => files,
        Err(error) => return refused(error.to_string()),
    };
    if files.is_empty() {
        return Ok(());
    }
    /// Of a bundle of any version.
    #[derive(serde::Deserialize)]
    struct Listing {
        #[serde(rename = "format_version")]
        _format_version: String,
        files: BTreeMap<String, serde_json::Value>,
    }
    let manifest = plain::read(&path.join(MANIFEST_FILE)).ok();
    let Some(listing) = manifest.and_then(|json| serde_json::from_slice::<Listing>(&json).ok())
    else {
        return refused("it has no manifest.json of a bundle".to_owned());
    };
    let is_own = |file: &String| {
        listing.files.contains_key(file) || file == MANIFEST_FILE || file == SHA256SUMS_FILE
    };
    match files.iter().find(|file| !is_own(file)) {
        None => Ok(()),
        Some(file) => refused(format!("{file:?} in it is none of the bundle's files")),
    }
}

/// Everything below a folder that is no folder itself, by path with forward slashes.
fn files_below(root: &Path) -> io::Result<Vec<String>> {
    fn walk(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                walk(&entry.path(), &format!("{name}/"), files)?;
            } else {
                files.push(name);
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    Ok(files)
}

/// The graphs, whose weights are still the network's own.
fn models(request: &Request<'_>, module: Module) -> Vec<(String, graph::Model)> {
    let metadata = [
        ("preset", request.info.preset_name().to_owned()),
        ("cut", module.to_string()),
        ("weights_sha256", request.weights_sha256.to_owned()),
        (
            "preprocessing",
            json(&Preprocessing::cifar10(request.vit.config().image_size)),
        ),
        ("golden", json(&golden_origin(request))),
    ];
    let build = |name: &&str| {
        let file = format!("onnx/{name}/model.onnx");
        (
            (*name).to_owned(),
            vit_graph::build(request.vit, module, name, &file, &metadata),
        )
    };
    PARTS
        .iter()
        .filter(|name| request.parts.contains(*name))
        .map(build)
        .collect()
}

/// What the bundle will take, short of a few small files.
fn needed_bytes(request: &Request<'_>, models: &[(String, graph::Model)]) -> u64 {
    let config = request.vit.config();
    let edge = config.tokens() * config.dim;
    let per_sample =
        4 * (2 * edge + config.classes + 1) + 3 * 8 + if request.float64 { 8 * edge } else { 0 };
    let arrays = request.indices.len() * per_sample * if request.raw { 2 } else { 1 };
    let models: usize = models
        .iter()
        .map(|(_, model)| onnx_file::message_size(model))
        .sum();
    (arrays + models) as u64
}

fn write_into(
    mut folder: Folder,
    request: &Request<'_>,
    module: Module,
    models: Vec<(String, graph::Model)>,
    go_on: impl FnMut(usize) -> bool,
) -> Result<Manifest, BundleError> {
    let Request { vit, info, .. } = request;
    let mut parts = write_models(&mut folder, models, request.largest_model)?;
    write_submodel_weights(&mut folder, vit, module)?;
    let plan = Plan {
        split: request.split,
        indices: request.indices,
        batch_size: request.batch_size,
        float64: request.float64,
        kept: request.test_data_sets,
    };
    let Recorded {
        datasets,
        accuracy,
        tiers,
        float64,
        kept,
    } = if request.indices.is_empty() {
        Recorded::empty()
    } else {
        golden::record(vit, module, plan, &mut folder, go_on)?
    };
    for (name, part) in &mut parts {
        part.test_data_sets = kept.iter().map(|sample| sample.index).collect();
        handoff::write_test_data(&mut folder, name, part, &kept)?;
    }
    let manifest = Manifest {
        format_version: FORMAT_VERSION.to_owned(),
        producer: Producer {
            name: PRODUCER.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        model: Model {
            preset: info.preset_name().to_owned(),
            config: VitConfig::clone(vit.config()),
            parameters: vit.config().parameter_count(),
            weights_sha256: request.weights_sha256.to_owned(),
        },
        module: module.to_string(),
        parts,
        datasets: datasets.into_iter().collect(),
        selection: Selection {
            split: request.split_name,
            subset: None,
        },
        tiers,
        preprocessing: Preprocessing::cifar10(vit.config().image_size),
        golden: Golden {
            float64,
            ..golden_origin(request)
        },
        accuracy,
        files: BTreeMap::new(),
    };
    finish(folder, manifest, request.raw)
}

/// What every bundle ends with: raw arrays if they are wanted, the README, the manifest and the
/// list of hashes.
pub(crate) fn finish(
    mut folder: Folder,
    manifest: Manifest,
    raw: bool,
) -> Result<Manifest, BundleError> {
    if raw {
        handoff::write_raw(&mut folder, &manifest)?;
    }
    folder.write(README_FILE, handoff::readme(&manifest, raw).as_bytes())?;
    Ok(folder.finish(manifest)?)
}

/// Writes the models, side by side.
fn write_models(
    folder: &mut Folder,
    models: Vec<(String, graph::Model)>,
    largest: usize,
) -> Result<BTreeMap<String, Part>, FolderError> {
    type Written = (String, Part, Vec<(String, FileDigest)>);
    let place: &Folder = folder;
    let write = |(name, mut model): (String, graph::Model)| -> Result<Written, FolderError> {
        let file = model.part.file.clone();
        if onnx_file::message_size(&model) <= largest {
            let digest = place.stream(&file, |out| onnx_file::write(&model, out))?;
            return Ok((name, model.part, vec![(file, digest)]));
        }
        let external = format!("onnx/{name}/{EXTERNAL_DATA}");
        let mut model_bytes = Vec::new();
        let external_digest = place.stream(&external, |out| {
            onnx_file::write_external(&model, EXTERNAL_DATA, &mut model_bytes, out)
        })?;
        let digest = place.stream(&file, |out| io::Write::write_all(out, &model_bytes))?;
        model.part.external_data = Some(external.clone());
        Ok((
            name,
            model.part,
            vec![(file, digest), (external, external_digest)],
        ))
    };
    let written = models
        .into_par_iter()
        .map(write)
        .collect::<Result<Vec<_>, _>>()?;
    let mut parts = BTreeMap::new();
    for (name, part, files) in written {
        files
            .into_iter()
            .for_each(|(file, digest)| folder.add(file, digest));
        parts.insert(name, part);
    }
    Ok(parts)
}

/// The module's parameters under their names less the module's own: what the Python repository
/// calls the weights of the partial network.
fn write_submodel_weights(
    folder: &mut Folder,
    vit: &Vit,
    module: Module,
) -> Result<(), BundleError> {
    let prefix = format!("{module}.");
    let tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = vit
        .variables()
        .into_iter()
        .filter_map(|(name, tensor)| {
            Some((
                name.strip_prefix(&prefix)?.to_owned(),
                shape_and_bytes(&tensor),
            ))
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            Ok((name, TensorView::new(SafeDtype::F32, shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, SafeTensorError>>()?;
    // The key that other tools look for before they accept a file as PyTorch's.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(metadata))?;
    Ok(folder.write(SUBMODEL_WEIGHTS_FILE, &bytes)?)
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serialises")
}

fn golden_origin(request: &Request<'_>) -> Golden {
    Golden {
        libtorch: trainer::LIBTORCH_VERSION.to_owned(),
        device: device_name(request.vit.device()),
        dtype: Dtype::Float32,
        threads: tch::get_num_threads().unsigned_abs() as usize,
        batch_size: request.batch_size,
        cpu_features: cpu_features(),
        float64: None,
    }
}

/// The vector extensions by which libtorch and its libraries choose their kernels.
fn cpu_features() -> Vec<String> {
    let mut features: Vec<&str> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! detect {
            ($($feature:tt),*) => { $(if std::arch::is_x86_feature_detected!($feature) { features.push($feature); })* };
        }
        detect!(
            "avx",
            "avx2",
            "fma",
            "avx512f",
            "avx512bw",
            "avx512vl",
            "avx512vnni",
            "avx512bf16"
        );
    }
    #[cfg(target_arch = "aarch64")]
    features.push("neon");
    features.into_iter().map(str::to_owned).collect()
}
