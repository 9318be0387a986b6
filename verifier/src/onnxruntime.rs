//! ONNX Runtime as a [`Runtime`]: the only file that names `ort`.
//!
//! Three gates stand between a device asked for and a result: the provider must be created, no node may be left to the
//! CPU, and the profile of a first run must show every node on the provider.

use std::ffi::CStr;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ort::ep::{self, ExecutionProviderDispatch};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorRef, ValueType};
use prost::Message as _;
use proto::manifest::{Part, Tensor};
use proto::onnx::ModelProto;
use serde::Serialize;

use crate::device::Device;
use crate::placement::{self, Placement, PlacementError};
use crate::runtime::{RunError, Runtime};

/// Where `make setup DEVICE=cuda` puts CUDA and cuDNN, below the folder that holds `.deps`.
const CUDA_FOLDER: &str = ".deps/py/nvidia/cu13/lib";
const CUDNN_FOLDER: &str = ".deps/py/nvidia/cudnn/lib";

/// The library that was loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Library {
    /// Its file.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
    /// What it says about its build.
    pub build: String,
}

/// How the submodel is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Where.
    pub device: Device,
    /// Threads for one operation on the CPU; `None` leaves it to the runtime.
    pub threads: Option<usize>,
}

/// A submodel ready to run on the device that was asked for.
#[derive(Debug)]
pub struct OnnxRuntime {
    session: Session,
    library: Library,
    placement: Placement,
    sample_shape: Vec<usize>,
    output_shape: Vec<usize>,
}

/// Why the submodel cannot be run as asked.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The library is none, or too old.
    #[error(
        "{path}: not a usable ONNX Runtime library: {reason}\nhint: --runtime FILE names another one, 1.17 or later"
    )]
    Library {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is not ONNX.
    #[error("{path}: not an ONNX model: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The model's weights are not all in its file.
    #[error("{path}: tensor `{tensor}` is stored in another file, which the bundle's hashes do not cover")]
    ExternalData {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// The provider cannot be created.
    #[error(
        "device `{device}` is not available: {provider} could not be created: {reason}\n\
         nothing was run; there is no silent change to another device\n\
         hint: {hint}"
    )]
    Provider {
        /// The device asked for.
        device: &'static str,
        /// Its provider.
        provider: &'static str,
        /// What the runtime said.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// The model cannot be loaded on the device.
    #[error("{path}: cannot be loaded for device `{device}`: {reason}")]
    Model {
        /// The file.
        path: PathBuf,
        /// The device asked for.
        device: &'static str,
        /// What the runtime said.
        reason: String,
    },
    /// The model's inputs or outputs are not those of the manifest.
    #[error("{path}: {what}: expected {expected}, found {found}")]
    Interface {
        /// The file.
        path: PathBuf,
        /// Which side.
        what: &'static str,
        /// As in the manifest.
        expected: String,
        /// As in the model.
        found: String,
    },
    /// The first run failed.
    #[error("device `{device}`: the first run failed: {error}")]
    FirstRun {
        /// The device asked for.
        device: &'static str,
        /// What the runtime said.
        error: RunError,
    },
    /// There is no proof that the nodes ran where they should.
    #[error("device `{device}`: {error}")]
    Placement {
        /// The device asked for.
        device: &'static str,
        /// What the profile shows.
        error: PlacementError,
    },
    /// No place for the profile.
    #[error("no temporary folder for the runtime's profile: {0}")]
    Profile(std::io::Error),
}

impl OnnxRuntime {
    /// Loads a library and a model, runs `first_input`, and proves where every node ran.
    pub fn load(
        library: &Path,
        model: &Path,
        part: &Part,
        options: Options,
        first_input: &[f32],
    ) -> Result<Self, LoadError> {
        refuse_external_data(model)?;
        let (library, environment) = start(library)?;
        let device = options.device.name();

        let folder = tempfile::tempdir().map_err(LoadError::Profile)?;
        let unusable = |reason: String| LoadError::Model { path: model.to_owned(), device, reason };
        let builder = Session::builder(&environment).map_err(|error| unusable(error.to_string()))?;
        let builder = configure(builder, options, folder.path()).map_err(unusable)?;
        let mut builder = register(builder, options, &library.path)?;
        let session = builder.commit_from_file(model).map_err(|error| unusable(plain(&error.to_string())))?;

        let (input, output) = interface(model, part, &session)?;
        let mut runtime =
            Self { session, library, placement: Placement::new(), sample_shape: input, output_shape: output };
        let samples = first_input.len() / runtime.sample_shape.iter().product::<usize>().max(1);
        runtime.run(first_input, samples, &mut |_| {}).map_err(|error| LoadError::FirstRun { device, error })?;
        runtime.placement = runtime
            .profile()
            .and_then(|profile| placement::parse(&profile))
            .and_then(|found| placement::prove(&found, options.device).map(|()| found))
            .map_err(|error| LoadError::Placement { device, error })?;
        Ok(runtime)
    }

    /// The library in use.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// Where the nodes of the first run ran.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    fn profile(&mut self) -> Result<String, PlacementError> {
        let unreadable = |reason: String| PlacementError::Unreadable(reason);
        let file = self.session.end_profiling().map_err(|error| unreadable(error.to_string()))?;
        fs::read_to_string(&file).map_err(|error| unreadable(format!("{file}: {error}")))
    }
}

impl Runtime for OnnxRuntime {
    fn run(&mut self, input: &[f32], samples: usize, output: &mut dyn FnMut(&[f32])) -> Result<(), RunError> {
        let failed = |error: ort::Error| RunError(plain(&error.to_string()));
        let dims = |sample: &[usize]| -> Vec<i64> {
            std::iter::once(samples).chain(sample.iter().copied()).map(|axis| axis as i64).collect()
        };
        let tensor = TensorRef::from_array_view((dims(&self.sample_shape), input)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![tensor]).map_err(failed)?;
        let (shape, elements) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        let expected = dims(&self.output_shape);
        if **shape != *expected {
            return Err(RunError(format!("output of shape {:?}, expected {expected:?}", &**shape)));
        }
        output(elements);
        Ok(())
    }
}

/// ONNX Runtime collects usage data unless this is set before it is loaded; its API's own switch does not stop that.
/// To be called first in `main`, while there is one thread.
#[expect(unsafe_code, reason = "setting a variable of the process")]
pub fn disable_telemetry() {
    // SAFETY: no other thread runs yet that could read the environment meanwhile.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// The bundle's hashes vouch for the model's own file alone.
fn refuse_external_data(model: &Path) -> Result<(), LoadError> {
    let unreadable = |reason: String| LoadError::Unreadable { path: model.to_owned(), reason };
    let bytes = fs::read(model).map_err(|error| unreadable(error.to_string()))?;
    let proto = ModelProto::decode(bytes.as_slice()).map_err(|error| unreadable(error.to_string()))?;
    match proto.external_tensor() {
        None => Ok(()),
        Some(tensor) => Err(LoadError::ExternalData { path: model.to_owned(), tensor: tensor.to_owned() }),
    }
}

/// Loads the library for the whole process, asks for its version, and starts the runtime in it.
fn start(path: &Path) -> Result<(Library, ort::environment::Environment), LoadError> {
    let unusable = |reason: String| LoadError::Library { path: path.to_owned(), reason };
    let version = library_version(path).map_err(unusable)?;
    // Refuses versions that are too old, before anything is asked of them.
    let builder = ort::init_from(path).map_err(|error| unusable(error.to_string()))?;
    let environment = builder.with_telemetry(false).build().map_err(|error| unusable(error.to_string()))?;
    Ok((Library { path: path.to_owned(), version, build: ort::info().to_owned() }, environment))
}

#[expect(unsafe_code, reason = "a C library says its version through a C function")]
fn library_version(path: &Path) -> Result<String, String> {
    type GetApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    whole_file(path)?;
    // SAFETY: loading a library runs its initialisers; the user named it, or it is the one `make setup` fetched.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| with_causes(&error))?;
    // Never unloaded: `ort` goes on to use the same one, and unloading a runtime runs its finalisers.
    let library = std::mem::ManuallyDrop::new(library);
    // SAFETY: every ONNX Runtime exports this symbol with this signature (onnxruntime_c_api.h).
    let base = unsafe { library.get::<GetApiBase>(b"OrtGetApiBase\0") }
        .map_err(|_| "it does not export OrtGetApiBase".to_owned())?;
    // SAFETY: the function takes nothing and returns a static table or nothing.
    let base = unsafe { base().as_ref() }.ok_or_else(|| "it has no API".to_owned())?;
    // SAFETY: the version is a static C string.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) }.to_string_lossy().into_owned();
    // SAFETY: asking for an API version gives a static table or nothing.
    if unsafe { (base.GetApi)(ort::MINOR_VERSION) }.is_null() {
        return Err(format!("version {version} does not have the API of 1.{}", ort::MINOR_VERSION));
    }
    Ok(version)
}

/// A library cut short by an interrupted copy can kill the process that maps it: an ELF file's section table, which
/// ends it, must be inside.
fn whole_file(path: &Path) -> Result<(), String> {
    let mut header = [0u8; 64];
    let mut file = fs::File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a regular file".to_owned());
    }
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(()); // not a 64-bit little-endian ELF file: the loader will say what it is
    }
    // e_shoff, e_shentsize and e_shnum of the ELF-64 header (System V ABI, chapter 4).
    let offset = u64::from_le_bytes(header[40..48].try_into().expect("8 bytes"));
    let number = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let end = offset.saturating_add(number(58) * number(60));
    if metadata.len() < end {
        return Err(format!("cut short: {} bytes, expected at least {end}", metadata.len()));
    }
    Ok(())
}

/// An error with what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Everything that could change results is set on purpose.
fn configure(builder: SessionBuilder, options: Options, profile: &Path) -> Result<SessionBuilder, String> {
    let text = |error: ort::Error<SessionBuilder>| error.to_string();
    let builder = builder
        .with_no_environment_execution_providers()
        .map_err(text)?
        .with_optimization_level(GraphOptimizationLevel::Level3)
        .map_err(text)?
        .with_deterministic_compute(true)
        .map_err(text)?
        .with_profiling(profile.join("profile"))
        .map_err(text)?
        .with_log_level(LogLevel::Fatal) // failures come back as errors
        .map_err(text)?;
    match options.threads {
        Some(threads) => builder.with_intra_threads(threads).map_err(text),
        None => Ok(builder),
    }
}

fn register(builder: SessionBuilder, options: Options, library: &Path) -> Result<SessionBuilder, LoadError> {
    let (provider, hint): (ExecutionProviderDispatch, _) = match options.device {
        Device::Cpu => return Ok(builder),
        Device::Cuda => {
            preload_cuda(library);
            let hint = "--device cpu runs on the CPU; on a machine with an NVIDIA GPU, `make setup DEVICE=cuda` fetches the CUDA build of ONNX Runtime and its libraries";
            (ep::CUDA::default().with_tf32(false).build(), hint)
        }
        Device::OpenVino => {
            let provider = ep::OpenVINO::default().with_device_type("CPU").with_precision("FP32");
            let provider = match options.threads {
                Some(threads) => provider.with_num_threads(threads),
                None => provider,
            };
            (
                provider.build(),
                "--device cpu runs on the CPU; PyPI's onnxruntime-openvino holds a library with OpenVINO, to be named with --runtime",
            )
        }
    };
    let refused = |reason: String| LoadError::Provider {
        device: options.device.name(),
        provider: options.device.provider(),
        reason: plain(&reason),
        hint,
    };
    builder
        .with_execution_providers([provider.error_on_failure()])
        .map_err(|error| refused(error.to_string()))?
        .with_disable_cpu_fallback()
        .map_err(|error| refused(error.to_string()))
}

/// Makes the CUDA libraries that `make setup` fetched known to the loader. Without them the system's are used, and
/// where there are none either, creating the provider fails and says which one is missing.
fn preload_cuda(library: &Path) {
    let root = library.ancestors().find(|folder| folder.join(CUDA_FOLDER).is_dir());
    if let Some(root) = root {
        let _ = ep::cuda::preload_dylibs(Some(&root.join(CUDA_FOLDER)), Some(&root.join(CUDNN_FOLDER)));
    }
}

/// The model must have the one input and the one output of the manifest; returns their shapes after the batch axis.
fn interface(model: &Path, part: &Part, session: &Session) -> Result<(Vec<usize>, Vec<usize>), LoadError> {
    let check = |what, expected: &[Tensor], found: &[ort::value::Outlet]| {
        let expected_texts: Vec<String> = expected.iter().map(describe).collect();
        let found_texts: Vec<String> = found.iter().map(describe_outlet).collect();
        match expected {
            [tensor] if expected_texts == found_texts => tensor.sample_shape(),
            _ => None,
        }
        .ok_or_else(|| LoadError::Interface {
            path: model.to_owned(),
            what,
            expected: expected_texts.join(", "),
            found: found_texts.join(", "),
        })
    };
    Ok((check("inputs", &part.inputs, session.inputs())?, check("outputs", &part.outputs, session.outputs())?))
}

fn describe(tensor: &Tensor) -> String {
    let axes = tensor.sample_shape().unwrap_or_default();
    format!("{} {} [batch, {}]", tensor.name, tensor.dtype.name(), join(&axes))
}

fn describe_outlet(outlet: &ort::value::Outlet) -> String {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let axes = shape.iter().skip(1).copied().collect::<Vec<i64>>();
            format!("{} {} [batch, {}]", outlet.name(), ty.to_string().replace("f32", "float32"), join(&axes))
        }
        other => format!("{} {other:?}", outlet.name()),
    }
}

fn join(axes: &[impl ToString]) -> String {
    axes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The runtime's messages begin with source positions and spread over lines.
fn plain(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
