//! The execution provider of a device: registered with a session, never with a quiet fallback.

use std::ffi::{CStr, CString};
use std::path::Path;

use ort::AsPointer as _;
use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::SessionBuilder;

use super::error::{LoadError, one_line};
use super::options::Options;
use crate::engine::device::Device;

/// Where `make setup DEVICE=cuda` puts CUDA and cuDNN, below the folder that holds `.deps`.
const CUDA_FOLDER: &str = ".deps/py/nvidia/cu13/lib";
const CUDNN_FOLDER: &str = ".deps/py/nvidia/cudnn/lib";

/// A provider's settings, as key and value.
type Settings = Vec<(String, String)>;

/// Registers the device's provider.
pub(super) fn register(
    mut builder: SessionBuilder,
    options: &Options,
    library: &Path,
) -> Result<SessionBuilder, LoadError> {
    let settings = settings(options)?;
    let provider = match &options.device {
        Device::Cpu => ep::CPU::default().with_arena_allocator(true).build(),
        Device::Cuda => cuda(options, &settings, library),
        Device::TensorRt => tensorrt(options, &settings, library),
        Device::OpenVino => openvino(options, &settings),
        Device::Other(_) => {
            append_by_name(&mut builder, &options.device, &settings)
                .map_err(|reason| refused(options, reason))?;
            return without_fallback(builder, options);
        }
    };
    let builder = builder
        .with_execution_providers([provider.error_on_failure()])
        .map_err(|error| refused(options, error))?;
    match options.device {
        Device::Cpu => Ok(builder),
        _ => without_fallback(builder, options),
    }
}

fn without_fallback(
    builder: SessionBuilder,
    options: &Options,
) -> Result<SessionBuilder, LoadError> {
    builder
        .with_disable_cpu_fallback()
        .map_err(|error| refused(options, error))
}

fn refused(options: &Options, reason: impl ToString) -> LoadError {
    LoadError::Provider {
        device: options.device.clone(),
        provider: options.device.provider(),
        reason: one_line(&reason.to_string()),
    }
}

/// The user's settings, after the number of the device.
fn settings(options: &Options) -> Result<Settings, LoadError> {
    // A provider that can be one of several has it as a setting of this name.
    let id = options
        .device_id
        .map(|id| ("device_id".to_owned(), id.to_string()));
    let settings: Settings = id
        .into_iter()
        .chain(options.device_options.clone())
        .collect();
    let reason = match options.device {
        Device::Cpu if !settings.is_empty() => "it has neither --device-id nor --device-option",
        Device::OpenVino if options.device_id.is_some() => {
            "it is chosen by --device-option device_type=GPU.1, not by --device-id"
        }
        _ => return Ok(settings),
    };
    Err(LoadError::Option {
        device: options.device.clone(),
        reason,
    })
}

fn cuda(options: &Options, settings: &Settings, library: &Path) -> ExecutionProviderDispatch {
    preload_cuda(library);
    let provider = ep::CUDA::default().with_tf32(options.allow_reduced_precision);
    with_settings(provider, settings).build()
}

fn tensorrt(options: &Options, settings: &Settings, library: &Path) -> ExecutionProviderDispatch {
    preload_cuda(library);
    let provider = ep::TensorRT::default().with_fp16(options.allow_reduced_precision);
    with_settings(provider, settings).build()
}

fn openvino(options: &Options, settings: &Settings) -> ExecutionProviderDispatch {
    let mut provider = ep::OpenVINO::default().with_device_type("CPU");
    if !options.allow_reduced_precision {
        provider = provider.with_precision("FP32");
    }
    if let Some(threads) = options.threads {
        provider = provider.with_num_threads(threads);
    }
    with_settings(provider, settings).build()
}

/// The user's settings, after those that this program makes.
fn with_settings<P: ArbitrarilyConfigurableExecutionProvider>(
    provider: P,
    settings: &Settings,
) -> P {
    settings.iter().fold(provider, |provider, (key, value)| {
        provider.with_arbitrary_config(key, value)
    })
}

/// Makes the CUDA libraries that `make setup` fetched known to the loader. Without them the
/// system's are used, and where there are none either, creating the provider fails and says which
/// one is missing.
fn preload_cuda(library: &Path) {
    let mut folders = library.ancestors();
    if let Some(root) = folders.find(|folder| folder.join(CUDA_FOLDER).is_dir()) {
        let (cuda, cudnn) = (root.join(CUDA_FOLDER), root.join(CUDNN_FOLDER));
        let _ = ep::cuda::preload_dylibs(Some(&cuda), Some(&cudnn));
    }
}

/// Registers a provider that is known by its name alone.
fn append_by_name(
    builder: &mut SessionBuilder,
    device: &Device,
    settings: &Settings,
) -> Result<(), String> {
    append(builder, &device.provider(), settings).or_else(|error| {
        // Libraries before 1.22 know some providers by their short names alone.
        append(builder, &device.short_name(), settings).map_err(|_| error)
    })
}

/// `ort` has a type for every provider; the C API takes any name.
#[expect(unsafe_code, reason = "a call of the C API")]
fn append(builder: &mut SessionBuilder, name: &str, settings: &Settings) -> Result<(), String> {
    let name = c_string(name)?;
    let keys: Vec<CString> = settings
        .iter()
        .map(|(key, _)| c_string(key))
        .collect::<Result<_, _>>()?;
    let values: Vec<CString> = settings
        .iter()
        .map(|(_, value)| c_string(value))
        .collect::<Result<_, _>>()?;
    let key_pointers: Vec<_> = keys.iter().map(|key| key.as_ptr()).collect();
    let value_pointers: Vec<_> = values.iter().map(|value| value.as_ptr()).collect();
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
        let message = CStr::from_ptr((api.GetErrorMessage)(status.0));
        let message = message.to_string_lossy().into_owned();
        (api.ReleaseStatus)(status.0);
        Err(message)
    }
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} has a zero byte"))
}
