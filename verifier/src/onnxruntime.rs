//! ONNX Runtime as a [`Runtime`]: the only file that names `ort`.
//!
//! Three gates stand between a device asked for and a result: the provider must be created, no node
//! may be left to the CPU, and the profile of a first run must show every node on the provider.

use std::ffi::{CStr, CString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ort::AsPointer as _;
use ort::environment::Environment;
use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorRef, ValueType};
use proto::digest;
use proto::manifest::{Part, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::device::{self, Device};
use crate::locate::check_whole;
use crate::placement::{self, Placement, PlacementError};
use crate::runtime::{RunError, Runtime};

/// Where `make setup DEVICE=cuda` puts CUDA and cuDNN, below the folder that holds `.deps`.
const CUDA_FOLDER: &str = ".deps/py/nvidia/cu13/lib";
const CUDNN_FOLDER: &str = ".deps/py/nvidia/cudnn/lib";

/// Settings of the C library's allocator.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GLIBC_VARIABLE: &str = "GLIBC_TUNABLES";

/// Input bytes of a run from which on the CPU goes without the arena.
const LARGE_RUN_BYTES: usize = 16 << 20;

/// The library that was loaded.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Library {
    /// Its file.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
    /// What it says about its build.
    pub build: String,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// How far the runtime may rewrite the graph before it runs it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Optimization {
    /// Not at all.
    None,
    /// Folding and removal of what changes nothing.
    Basic,
    /// And fusions of operators.
    Extended,
    /// And changes of layout.
    #[default]
    All,
}

/// Where the CPU's tensors of a run come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// ONNX Runtime's arena, which keeps what it has and doubles when it grows: quickest, and no
    /// matter while a run is small.
    Arena,
    /// The system, for each operator anew: a large run holds what its operators need at one time,
    /// less than half of the arena.
    System,
}

/// How a model is to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where.
    pub device: Device,
    /// Which one of several such devices.
    pub device_id: Option<u32>,
    /// Settings of the provider, handed on as they are; they come last.
    pub device_options: Vec<(String, String)>,
    /// Whether TF32 and other reduced precision are left to the provider.
    pub allow_reduced_precision: bool,
    /// Threads for one operation on the CPU; `None` leaves it to the runtime.
    pub threads: Option<usize>,
    /// Rewriting of the graph.
    pub optimization: Optimization,
    /// Where tensors come from on the CPU.
    pub memory: Memory,
}

/// Where the model is.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// In a file.
    File(&'a Path),
    /// In memory, such as with weight faults.
    Memory(&'a [u8]),
}

/// A loaded ONNX Runtime library; one in a process.
#[derive(Debug)]
pub struct Engine {
    library: Library,
    environment: Environment,
}

/// A model ready to run on the device that was asked for.
#[derive(Debug)]
pub struct OnnxRuntime {
    session: Session,
    placement: Placement,
    inputs: Vec<Vec<usize>>,
    outputs: Vec<Vec<usize>>,
    load_seconds: f64,
}

/// Why the model cannot be run as asked.
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
    /// The provider cannot be created.
    #[error(
        "device `{device}` is not available: {provider} could not be created: {reason}\n\
         nothing was run; there is no silent change to another device\n\
         hint: {hint}"
    )]
    Provider {
        /// The device asked for.
        device: Device,
        /// Its provider.
        provider: String,
        /// What the runtime said.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// An option that the device does not have.
    #[error("device `{device}`: {reason}")]
    Option {
        /// The device asked for.
        device: Device,
        /// What is wrong.
        reason: &'static str,
    },
    /// The model cannot be loaded on the device.
    #[error("{path}: cannot be loaded for device `{device}`: {reason}")]
    Model {
        /// The file.
        path: PathBuf,
        /// The device asked for.
        device: Device,
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
        device: Device,
        /// What the runtime said.
        error: RunError,
    },
    /// There is no proof that the nodes ran where they should.
    #[error("device `{device}`: {error}")]
    Placement {
        /// The device asked for.
        device: Device,
        /// What the profile shows.
        error: PlacementError,
    },
    /// No place for the profile.
    #[error("no temporary folder for the runtime's profile: {0}")]
    Profile(std::io::Error),
}

impl Memory {
    /// For runs of a part with as many samples.
    pub fn of_runs(part: &Part, batch_size: usize) -> Self {
        let elements = |tensor: &Tensor| {
            tensor
                .sample_shape()
                .map_or(0, |axes| axes.iter().product())
        };
        let sample_bytes: usize = 4 * part.inputs.iter().map(elements).sum::<usize>();
        if sample_bytes.saturating_mul(batch_size) < LARGE_RUN_BYTES {
            Self::Arena
        } else {
            Self::System
        }
    }

    /// Sets the C library up for it. glibc reads its settings when a process begins, so that this
    /// one begins again, once: freed tensors go back to the system, and they lie in huge pages,
    /// since fresh ones cost an eighth of the time of `base` else. Where that does not work, or the
    /// user has settings of his own, it goes on as it is. Nothing may have been printed yet.
    pub fn settle(self) {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        if let (Self::System, None, Ok(program)) = (
            self,
            std::env::var_os(GLIBC_VARIABLE),
            std::env::current_exe(),
        ) {
            use std::os::unix::process::CommandExt as _;
            let mut arguments = std::env::args_os();
            let mut again = std::process::Command::new(program);
            again
                .arg0(arguments.next().unwrap_or_default())
                .args(arguments);
            again.env(
                GLIBC_VARIABLE,
                "glibc.malloc.mmap_threshold=1048576:glibc.malloc.hugetlb=1",
            );
            let _ = again.exec();
        }
    }
}

impl Options {
    /// What is known about the arithmetic: the settings that keep it in float32, and that the
    /// user's may undo them.
    pub fn precision(&self) -> String {
        let own = self.device.precision(self.allow_reduced_precision);
        match self.device_options.as_slice() {
            [] => own.to_owned(),
            options => {
                format!(
                    "{own}; unless changed by the device options {}",
                    device::key_values(options).join(", ")
                )
            }
        }
    }
}

impl Engine {
    /// Loads the library for the whole process, asks for its version, and starts the runtime in it.
    pub fn start(path: &Path) -> Result<Self, LoadError> {
        let unusable = |reason: String| LoadError::Library {
            path: path.to_owned(),
            reason,
        };
        let version = library_version(path).map_err(unusable)?;
        let sha256 = digest::sha256_file(path).map_err(|error| unusable(error.to_string()))?;
        // Refuses versions that are too old, before anything is asked of them.
        let builder = ort::init_from(path).map_err(|error| unusable(error.to_string()))?;
        let environment = builder
            .with_telemetry(false)
            .build()
            .map_err(|error| unusable(error.to_string()))?;
        let library = Library {
            path: path.to_owned(),
            version,
            build: ort::info().to_owned(),
            sha256,
        };
        Ok(Self {
            library,
            environment,
        })
    }

    /// The library in use.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The providers that the library was built with, by their full names.
    #[expect(
        unsafe_code,
        reason = "`ort` asks for one provider at a time; the list is its C API's"
    )]
    pub fn providers(&self) -> Vec<String> {
        let (mut names, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: the function fills both with an array of C strings, which the other one frees.
        unsafe {
            let status = (ort::api().GetAvailableProviders)(&raw mut names, &raw mut count);
            if !status.0.is_null() || names.is_null() {
                return Vec::new();
            }
            let at = |index: usize| {
                CStr::from_ptr(*names.add(index))
                    .to_string_lossy()
                    .into_owned()
            };
            let found = (0..usize::try_from(count).unwrap_or(0)).map(at).collect();
            let _ = (ort::api().ReleaseAvailableProviders)(names, count);
            found
        }
    }

    /// Loads a model, runs `first_inputs`, one sample each, and proves where every node ran.
    pub fn load(
        &self,
        model: Source<'_>,
        path: &Path,
        part: &Part,
        options: &Options,
        first_inputs: &[&[f32]],
    ) -> Result<OnnxRuntime, LoadError> {
        let started = Instant::now();
        let device = || options.device.clone();
        let folder = tempfile::tempdir().map_err(LoadError::Profile)?;
        let unusable = |reason: String| LoadError::Model {
            path: path.to_owned(),
            device: device(),
            reason,
        };
        let builder =
            Session::builder(&self.environment).map_err(|error| unusable(error.to_string()))?;
        let builder = configure(builder, options, folder.path()).map_err(unusable)?;
        let mut builder = register(builder, options, &self.library.path)?;
        let session = match model {
            Source::File(file) => builder.commit_from_file(file),
            Source::Memory(bytes) => builder.commit_from_memory(bytes),
        };
        let session = session.map_err(|error| unusable(plain(&error.to_string())))?;

        let (inputs, outputs) = interface(path, part, &session)?;
        let load_seconds = started.elapsed().as_secs_f64();
        let mut runtime = OnnxRuntime {
            session,
            placement: Placement::new(),
            inputs,
            outputs,
            load_seconds,
        };
        runtime
            .run(first_inputs, 1, &mut |_| {})
            .map_err(|error| LoadError::FirstRun {
                device: device(),
                error,
            })?;
        runtime.placement = runtime
            .profile()
            .and_then(|profile| placement::parse(&profile))
            .and_then(|found| placement::prove(&found, &options.device).map(|()| found))
            .map_err(|error| LoadError::Placement {
                device: device(),
                error,
            })?;
        Ok(runtime)
    }
}

impl OnnxRuntime {
    /// Where the nodes of the first run ran.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Seconds that creating the session took.
    pub fn load_seconds(&self) -> f64 {
        self.load_seconds
    }

    fn profile(&mut self) -> Result<String, PlacementError> {
        let unreadable = |reason: String| PlacementError::Unreadable(reason);
        let file = self
            .session
            .end_profiling()
            .map_err(|error| unreadable(error.to_string()))?;
        fs::read_to_string(&file).map_err(|error| unreadable(format!("{file}: {error}")))
    }
}

impl Runtime for OnnxRuntime {
    fn run(
        &mut self,
        inputs: &[&[f32]],
        samples: usize,
        outputs: &mut dyn FnMut(&[&[f32]]),
    ) -> Result<(), RunError> {
        let failed = |error: ort::Error| RunError(plain(&error.to_string()));
        let dims = |sample: &[usize]| -> Vec<i64> {
            std::iter::once(samples)
                .chain(sample.iter().copied())
                .map(|axis| axis as i64)
                .collect()
        };
        let mut tensors = Vec::with_capacity(inputs.len());
        for (shape, input) in self.inputs.iter().zip(inputs) {
            let tensor = TensorRef::from_array_view((dims(shape), *input)).map_err(failed)?;
            tensors.push(ort::session::SessionInputValue::from(tensor));
        }
        let results = self.session.run(tensors.as_slice()).map_err(failed)?;
        let mut found = Vec::with_capacity(self.outputs.len());
        for (index, shape) in self.outputs.iter().enumerate() {
            let (extracted, elements) =
                results[index].try_extract_tensor::<f32>().map_err(failed)?;
            let expected = dims(shape);
            if **extracted != *expected {
                return Err(RunError(format!(
                    "output {index} of shape {:?}, expected {expected:?}",
                    &**extracted
                )));
            }
            found.push(elements);
        }
        outputs(&found);
        Ok(())
    }
}

/// Settings of the process that must be made before the libraries are loaded: no usage data (the
/// API's own switch does not stop that), and no TF32 in NVIDIA's libraries, some of which have no
/// other switch. To be called first, while there is one thread.
#[expect(unsafe_code, reason = "setting variables of the process")]
pub fn settle_environment(allow_reduced_precision: bool) {
    // SAFETY: no other thread runs yet that could read the environment meanwhile.
    unsafe {
        std::env::set_var("ORT_DISABLE_TELEMETRY", "1");
        if !allow_reduced_precision {
            std::env::set_var("NVIDIA_TF32_OVERRIDE", "0");
        }
    }
}

#[expect(
    unsafe_code,
    reason = "a C library says its version through a C function"
)]
fn library_version(path: &Path) -> Result<String, String> {
    type GetApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    check_whole(path)?;
    // SAFETY: loading a library runs its initialisers; the user named it, or it is the one `make
    // setup` fetched.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| with_causes(&error))?;
    // Never unloaded: `ort` goes on to use the same one, and unloading a runtime runs its
    // finalisers.
    let library = std::mem::ManuallyDrop::new(library);
    // SAFETY: every ONNX Runtime exports this symbol with this signature (onnxruntime_c_api.h).
    let base = unsafe { library.get::<GetApiBase>(b"OrtGetApiBase\0") }
        .map_err(|_| "it does not export OrtGetApiBase".to_owned())?;
    // SAFETY: the function takes nothing and returns a static table or nothing.
    let base = unsafe { base().as_ref() }.ok_or_else(|| "it has no API".to_owned())?;
    // SAFETY: the version is a static C string.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: asking for an API version gives a static table or nothing.
    if unsafe { (base.GetApi)(ort::MINOR_VERSION) }.is_null() {
        return Err(format!(
            "version {version} does not have the API of 1.{}",
            ort::MINOR_VERSION
        ));
    }
    Ok(version)
}

/// An error with what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Everything that could change results is set on purpose.
fn configure(
    builder: SessionBuilder,
    options: &Options,
    profile: &Path,
) -> Result<SessionBuilder, String> {
    let text = |error: ort::Error<SessionBuilder>| error.to_string();
    let builder = builder
        .with_no_environment_execution_providers()
        .map_err(text)?
        .with_optimization_level(match options.optimization {
            Optimization::None => GraphOptimizationLevel::Disable,
            Optimization::Basic => GraphOptimizationLevel::Level1,
            Optimization::Extended => GraphOptimizationLevel::Level2,
            Optimization::All => GraphOptimizationLevel::All,
        })
        .map_err(text)?
        .with_deterministic_compute(true)
        .map_err(text)?
        .with_profiling(profile.join("profile"))
        .map_err(text)?
        .with_log_level(LogLevel::Fatal) // failures come back as errors
        .map_err(text)?;
    // A plan of where tensors lie would keep those of all operators apart.
    let builder = builder.with_memory_pattern(false).map_err(text)?;
    match options.threads {
        Some(threads) => builder.with_intra_threads(threads).map_err(text),
        None => Ok(builder),
    }
}

fn register(
    mut builder: SessionBuilder,
    options: &Options,
    library: &Path,
) -> Result<SessionBuilder, LoadError> {
    const CUDA_HINT: &str = "--device cpu runs on the CPU; on a machine with an NVIDIA GPU, `make setup DEVICE=cuda` fetches the CUDA build of ONNX Runtime and its libraries";
    let option = |reason| LoadError::Option {
        device: options.device.clone(),
        reason,
    };
    // A provider that can be one of several has it as a setting of this name.
    let id = options
        .device_id
        .map(|id| ("device_id".to_owned(), id.to_string()));
    let settings: Vec<(String, String)> = id
        .into_iter()
        .chain(options.device_options.iter().cloned())
        .collect();
    let (provider, hint): (Result<Option<ExecutionProviderDispatch>, String>, _) = match &options
        .device
    {
        Device::Cpu if !settings.is_empty() => {
            return Err(option("it has neither --device-id nor --device-option"));
        }
        Device::Cpu => {
            let arena = options.memory == Memory::Arena;
            let provider = ep::CPU::default()
                .with_arena_allocator(arena)
                .build()
                .error_on_failure();
            return builder
                .with_execution_providers([provider])
                .map_err(|error| LoadError::Provider {
                    device: Device::Cpu,
                    provider: Device::Cpu.provider(),
                    reason: plain(&error.to_string()),
                    hint: "--runtime FILE names another library",
                });
        }
        Device::Cuda => {
            preload_cuda(library);
            let provider = ep::CUDA::default().with_tf32(options.allow_reduced_precision);
            (
                Ok(Some(with_settings(provider, &settings).build())),
                CUDA_HINT,
            )
        }
        Device::TensorRt => {
            preload_cuda(library);
            let provider = ep::TensorRT::default().with_fp16(options.allow_reduced_precision);
            (
                Ok(Some(with_settings(provider, &settings).build())),
                "--device cuda runs on the GPU without TensorRT; the CUDA build of ONNX Runtime also needs NVIDIA's TensorRT libraries (pip's `tensorrt`), found through LD_LIBRARY_PATH",
            )
        }
        Device::OpenVino => {
            if options.device_id.is_some() {
                return Err(option(
                    "it is chosen by --device-option device_type=GPU.1, not by --device-id",
                ));
            }
            let mut provider = ep::OpenVINO::default().with_device_type("CPU");
            if !options.allow_reduced_precision {
                provider = provider.with_precision("FP32");
            }
            if let Some(threads) = options.threads {
                provider = provider.with_num_threads(threads);
            }
            (
                Ok(Some(with_settings(provider, &settings).build())),
                "--device cpu runs on the CPU; PyPI's onnxruntime-openvino holds a library with OpenVINO, to be named with --runtime",
            )
        }
        Device::Other(_) => {
            // Libraries before 1.22 know some providers by their short names alone.
            let registered = append_provider(&mut builder, &options.device.provider(), &settings)
                .or_else(|error| {
                    append_provider(&mut builder, &options.device.short_name(), &settings)
                        .map_err(|_| error)
                });
            (
                registered.map(|()| None),
                "`verifier devices` lists the providers that the library was built with",
            )
        }
    };
    let refused = |reason: String| LoadError::Provider {
        device: options.device.clone(),
        provider: options.device.provider(),
        reason: plain(&reason),
        hint,
    };
    let builder = match provider.map_err(refused)? {
        Some(provider) => builder
            .with_execution_providers([provider.error_on_failure()])
            .map_err(|error| refused(error.to_string()))?,
        None => builder,
    };
    builder
        .with_disable_cpu_fallback()
        .map_err(|error| refused(error.to_string()))
}

/// The user's settings, after those that this program makes.
fn with_settings<P: ArbitrarilyConfigurableExecutionProvider>(
    provider: P,
    settings: &[(String, String)],
) -> P {
    settings.iter().fold(provider, |provider, (key, value)| {
        provider.with_arbitrary_config(key, value)
    })
}

/// Registers a provider that is known by its name alone: `ort` has a type for every provider, the C
/// API takes any.
#[expect(unsafe_code, reason = "a call of the C API")]
fn append_provider(
    builder: &mut SessionBuilder,
    name: &str,
    settings: &[(String, String)],
) -> Result<(), String> {
    let text = |text: &str| CString::new(text).map_err(|_| format!("{text:?} has a zero byte"));
    let name = text(name)?;
    let keys = settings
        .iter()
        .map(|(key, _)| text(key))
        .collect::<Result<Vec<CString>, String>>()?;
    let values = settings
        .iter()
        .map(|(_, value)| text(value))
        .collect::<Result<Vec<CString>, String>>()?;
    let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
    let (key_pointers, value_pointers) = (pointers(&keys), pointers(&values));
    let api = ort::api();
    // SAFETY: all strings outlive the call; a status other than null is an error to read and to
    // release.
    unsafe {
        let status = (api.SessionOptionsAppendExecutionProvider)(
            builder.ptr_mut(),
            name.as_ptr(),
            key_pointers.as_ptr(),
            value_pointers.as_ptr(),
            keys.len(),
        );
        if status.0.is_null() {
            return Ok(());
        }
        let message = CStr::from_ptr((api.GetErrorMessage)(status.0))
            .to_string_lossy()
            .into_owned();
        (api.ReleaseStatus)(status.0);
        Err(message)
    }
}

/// Makes the CUDA libraries that `make setup` fetched known to the loader. Without them the
/// system's are used, and where there are none either, creating the provider fails and says which
/// one is missing.
fn preload_cuda(library: &Path) {
    let root = library
        .ancestors()
        .find(|folder| folder.join(CUDA_FOLDER).is_dir());
    if let Some(root) = root {
        let _ = ep::cuda::preload_dylibs(
            Some(&root.join(CUDA_FOLDER)),
            Some(&root.join(CUDNN_FOLDER)),
        );
    }
}

/// The model must have the inputs and outputs of the manifest; returns their shapes after the batch
/// axis.
#[expect(
    clippy::type_complexity,
    reason = "shapes of the inputs and of the outputs"
)]
fn interface(
    model: &Path,
    part: &Part,
    session: &Session,
) -> Result<(Vec<Vec<usize>>, Vec<Vec<usize>>), LoadError> {
    let check = |what, expected: &[Tensor], found: &[ort::value::Outlet]| {
        let expected_texts: Vec<String> = expected.iter().map(describe).collect();
        let found_texts: Vec<String> = found.iter().map(describe_outlet).collect();
        let shapes: Option<Vec<Vec<usize>>> = expected.iter().map(Tensor::sample_shape).collect();
        shapes
            .filter(|shapes| !shapes.is_empty() && expected_texts == found_texts)
            .ok_or_else(|| LoadError::Interface {
                path: model.to_owned(),
                what,
                expected: expected_texts.join(", "),
                found: found_texts.join(", "),
            })
    };
    Ok((
        check("inputs", &part.inputs, session.inputs())?,
        check("outputs", &part.outputs, session.outputs())?,
    ))
}

fn describe(tensor: &Tensor) -> String {
    let axes = tensor.sample_shape().unwrap_or_default();
    format!(
        "{} {} [batch, {}]",
        tensor.name,
        tensor.dtype.name(),
        join(&axes)
    )
}

fn describe_outlet(outlet: &ort::value::Outlet) -> String {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let axes = shape.iter().skip(1).copied().collect::<Vec<i64>>();
            format!(
                "{} {} [batch, {}]",
                outlet.name(),
                ty.to_string().replace("f32", "float32"),
                join(&axes)
            )
        }
        other => format!("{} {other:?}", outlet.name()),
    }
}

fn join(axes: &[impl ToString]) -> String {
    axes.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The runtime's messages begin with source positions and spread over lines.
fn plain(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
