//! Writing a bundle: every part in turn into a hidden sibling folder, which gets its name when all is there.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message as _;
use proto::config::VitConfig;
use proto::digest::{FileDigest, digest_file};
use proto::manifest::{FORMAT_VERSION, Golden, MANIFEST_FILE, Manifest, Model, Part, Producer, SHA256SUMS_FILE, part};
use proto::module::{Module, UnknownModule};
use proto::npy::Dtype;
use proto::onnx::ModelProto;
use proto::preprocessing::Preprocessing;
use proto::staging::{StagedFolder, StagingError};
use safetensors::tensor::{Dtype as SafeDtype, SafeTensorError, TensorView};
use trainer::cifar10::Split;
use trainer::device::device_name;
use trainer::vit::Vit;
use trainer::weights::{WeightsInfo, shape_and_bytes};

use crate::golden::{self, GoldenError, Recorded};
use crate::graph::LARGEST_MODEL;
use crate::vit_graph;

/// The producer in manifests and ONNX models.
pub const PRODUCER: &str = "vit-part exporter";

const SUBMODEL_WEIGHTS_FILE: &str = "weights/submodel.safetensors";

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
    /// Images; the first `samples` are used.
    pub split: &'a Split,
    /// How many images.
    pub samples: usize,
    /// Images per forward pass.
    pub batch_size: usize,
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
    /// What is to be replaced is no bundle.
    #[error("{0} is not a bundle alone, so --force does not replace it\nhint: --out names another folder")]
    NotABundle(PathBuf),
    /// No such module.
    #[error(transparent)]
    Module(#[from] UnknownModule),
    /// No golden could be recorded.
    #[error(transparent)]
    Golden(#[from] GoldenError),
    /// The number of samples makes no sense.
    #[error("{asked} samples: expected 1 to {available}")]
    Samples {
        /// Samples asked for.
        asked: usize,
        /// Images there are.
        available: usize,
    },
    /// The model does not fit into one file.
    #[error("{part}: {bytes} bytes, but an ONNX file holds at most {LARGEST_MODEL}")]
    TooLarge {
        /// The part.
        part: String,
        /// Its size.
        bytes: usize,
    },
    /// The submodel's weights could not be laid out.
    #[error("{SUBMODEL_WEIGHTS_FILE}: {0}")]
    SafeTensors(#[from] SafeTensorError),
    /// A file could not be written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
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

/// Writes a bundle; after each batch of golden tensors `go_on` is told the samples done and may end it.
pub fn write(request: &Request<'_>, go_on: impl FnMut(usize) -> bool) -> Result<Manifest, BundleError> {
    let config = request.vit.config();
    let module = Module::parse(request.module, config)?;
    let available = request.split.len();
    if request.samples == 0 || request.samples > available {
        return Err(BundleError::Samples { asked: request.samples, available });
    }
    if request.replace && !is_replaceable(request.out) {
        return Err(BundleError::NotABundle(request.out.to_owned()));
    }
    let staged = StagedFolder::create(request.out, request.replace)?;
    let writer = Writer { root: staged.path(), files: Vec::new() };
    let manifest = writer.write(request, module, go_on)?;
    staged.commit()?;
    Ok(manifest)
}

/// Whether a path is free, an empty folder or a bundle with nothing else in it: replacing removes what is there.
fn is_replaceable(path: &Path) -> bool {
    const OURS: [&str; 5] = [MANIFEST_FILE, SHA256SUMS_FILE, "onnx", "npy", "weights"];
    if path.is_symlink() {
        return false;
    }
    match fs::read_dir(path) {
        Ok(entries) => {
            let names: Vec<_> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect();
            let ours = |name: &io::Result<std::ffi::OsString>| {
                name.as_ref().is_ok_and(|name| OURS.iter().any(|ours| name == ours))
            };
            names.is_empty() || (names.iter().all(ours) && path.join(MANIFEST_FILE).is_file())
        }
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

struct Writer<'a> {
    root: &'a Path,
    files: Vec<String>,
}

impl Writer<'_> {
    fn write(
        mut self,
        request: &Request<'_>,
        module: Module,
        go_on: impl FnMut(usize) -> bool,
    ) -> Result<Manifest, BundleError> {
        let Request { vit, info, .. } = request;
        let weights_sha256 = request.weights_sha256.to_owned();
        let golden = golden_origin(request);
        let preprocessing = Preprocessing::cifar10(vit.config().image_size);
        let metadata = [
            ("preset", info.preset_name().to_owned()),
            ("cut", module.to_string()),
            ("weights_sha256", weights_sha256.clone()),
            ("preprocessing", json(&preprocessing)),
            ("golden", json(&golden)),
        ];
        let mut parts = BTreeMap::new();
        for name in [part::FULL, part::SUBMODEL] {
            let file = format!("onnx/{name}/model.onnx");
            let build = if name == part::FULL { vit_graph::full } else { vit_graph::submodel };
            let (model, description): (ModelProto, Part) = build(vit, module, &file, &metadata);
            self.write_onnx(&file, &model)?;
            parts.insert(name.to_owned(), description);
        }
        self.write_submodel_weights(vit, module)?;

        self.make_folder("npy")?;
        let Recorded { datasets, accuracy, tiers } =
            golden::record(vit, module, request.split, request.samples, request.batch_size, self.root, go_on)?;
        self.files.extend(datasets.iter().map(|(_, dataset)| dataset.file.clone()));

        let manifest = Manifest {
            format_version: FORMAT_VERSION.to_owned(),
            producer: Producer { name: PRODUCER.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            model: Model {
                preset: info.preset_name().to_owned(),
                config: VitConfig::clone(vit.config()),
                parameters: vit.config().parameter_count(),
                weights_sha256,
            },
            module: module.to_string(),
            parts,
            datasets: datasets.into_iter().collect(),
            tiers,
            preprocessing,
            golden,
            accuracy,
            files: self.digests()?,
        };
        let text = manifest.to_json();
        self.write_text(MANIFEST_FILE, &text)?;
        self.write_text(SHA256SUMS_FILE, &manifest.sha256sums(&text))?;
        Ok(manifest)
    }

    fn write_onnx(&mut self, file: &str, model: &ModelProto) -> Result<(), BundleError> {
        let bytes = model.encoded_len();
        if bytes > LARGEST_MODEL {
            return Err(BundleError::TooLarge { part: file.to_owned(), bytes });
        }
        self.write_file(file, &model.encode_to_vec())
    }

    /// The module's parameters under their names less the module's own: what the Python repository calls the
    /// weights of the partial network.
    fn write_submodel_weights(&mut self, vit: &Vit, module: Module) -> Result<(), BundleError> {
        let prefix = format!("{module}.");
        let tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = vit
            .variables()
            .into_iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), shape_and_bytes(&tensor))))
            .collect();
        let views = tensors
            .iter()
            .map(|(name, (shape, bytes))| Ok((name, TensorView::new(SafeDtype::F32, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, SafeTensorError>>()?;
        // The key that other tools look for before they accept a file as PyTorch's.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes = safetensors::serialize(views, Some(metadata))?;
        self.write_file(SUBMODEL_WEIGHTS_FILE, &bytes)
    }

    fn write_file(&mut self, file: &str, bytes: &[u8]) -> Result<(), BundleError> {
        if let Some((folder, _)) = file.rsplit_once('/') {
            self.make_folder(folder)?;
        }
        let path = self.root.join(file);
        fs::write(&path, bytes).map_err(at(&path))?;
        self.files.push(file.to_owned());
        Ok(())
    }

    fn write_text(&self, file: &str, text: &str) -> Result<(), BundleError> {
        let path = self.root.join(file);
        fs::write(&path, text).map_err(at(&path))
    }

    fn make_folder(&self, folder: &str) -> Result<(), BundleError> {
        let path = self.root.join(folder);
        fs::create_dir_all(&path).map_err(at(&path))
    }

    fn digests(&self) -> Result<BTreeMap<String, FileDigest>, BundleError> {
        let digest = |file: &String| {
            let path = self.root.join(file);
            Ok((file.clone(), digest_file(&path).map_err(at(&path))?))
        };
        self.files.iter().map(digest).collect()
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BundleError + use<> {
    let path = path.to_owned();
    move |error| BundleError::Io { path, error }
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
        detect!("avx", "avx2", "fma", "avx512f", "avx512bw", "avx512vl", "avx512vnni", "avx512bf16");
    }
    #[cfg(target_arch = "aarch64")]
    features.push("neon");
    features.into_iter().map(str::to_owned).collect()
}
