//! The ONNX Runtime library: loaded once in a process, checked before anything is asked of it.

use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};

use ort::environment::{Environment, GlobalThreadPoolOptions};
use ort::logging::LogLevel;
use proto::digest;
use proto::regular_file::{self, Stamp, is_other_mapped};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::LoadError;
use super::guarded::guarded;
use super::locate::check_whole;

/// Which library was loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LibraryInfo {
    #[serde(serialize_with = "proto::regular_file::path_as_text")]
    pub path: PathBuf,
    pub version: String,
    /// What it says about its build.
    pub build: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// A loaded ONNX Runtime library; one in a process.
#[derive(Debug)]
pub struct Library {
    info: LibraryInfo,
    /// Of the file when it was hashed, before it was loaded.
    stamp: Stamp,
    environment: Environment,
}

impl Library {
    /// Loads the library for the whole process, asks for its version, and starts the runtime in it.
    pub fn start(path: &Path) -> Result<Self, LoadError> {
        Self::start_with(path, None)
    }

    /// The same, with one pool of threads for all sessions, which wait without turning: several
    /// sessions that run by turns would else take the cores from each other. `None` leaves the
    /// number of threads to the runtime.
    pub fn start_with_one_pool(path: &Path, threads: Option<usize>) -> Result<Self, LoadError> {
        let options = GlobalThreadPoolOptions::default();
        let options = options.with_spin_control(false);
        let options = options.and_then(|options| options.with_intra_threads(threads.unwrap_or(0)));
        let options = options.map_err(|error| unusable(path, error))?;
        Self::start_with(path, Some(options))
    }

    fn start_with(path: &Path, pool: Option<GlobalThreadPoolOptions>) -> Result<Self, LoadError> {
        let (sha256, stamp) = hash(path).map_err(|error| unusable(path, error))?;
        let info = LibraryInfo {
            path: path.to_owned(),
            version: version(path).map_err(|reason| unusable(path, reason))?,
            sha256,
            build: String::new(),
        };
        // Refuses versions that are too old, before anything is asked of them.
        let started = guarded(|| start(path, pool)).flatten();
        let (environment, build) = started.map_err(|reason| unusable(path, reason))?;
        let library = Self {
            info: LibraryInfo { build, ..info },
            stamp,
            environment,
        };
        library.check_unchanged()?;
        Ok(library)
    }

    /// Refuses a library whose file is not the one that was hashed, or was changed since.
    pub fn check_unchanged(&self) -> Result<(), LoadError> {
        let path = &self.info.path;
        // Links lead to the file; a mapping has its own name.
        let name = path.canonicalize().unwrap_or_else(|_| path.clone());
        let name = name.file_name().unwrap_or_default();
        match path.metadata() {
            Ok(metadata)
                if Stamp::of(&metadata) == self.stamp && !is_other_mapped(name, &metadata) =>
            {
                Ok(())
            }
            _ => Err(unusable(
                path,
                "it was replaced or changed while it was used\nhint: run the command again",
            )),
        }
    }

    /// Which one it is.
    pub fn info(&self) -> &LibraryInfo {
        &self.info
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The providers that the library was built with, by their full names.
    #[expect(
        unsafe_code,
        reason = "`ort` asks for one provider at a time; the list is its C API's"
    )]
    pub fn providers(&self) -> Vec<String> {
        let (mut names, mut count) = (std::ptr::null_mut(), 0);
        let mut found = Vec::new();
        // SAFETY: the function fills both with an array of C strings, which the other one frees.
        unsafe {
            let status = (ort::api().GetAvailableProviders)(&raw mut names, &raw mut count);
            if !status.0.is_null() || names.is_null() {
                return found;
            }
            for index in 0..usize::try_from(count).unwrap_or(0) {
                let name = CStr::from_ptr(*names.add(index));
                found.push(name.to_string_lossy().into_owned());
            }
            let _ = (ort::api().ReleaseAvailableProviders)(names, count);
        }
        found
    }
}

/// Starts the runtime; also gives what it says about its build.
fn start(
    path: &Path,
    pool: Option<GlobalThreadPoolOptions>,
) -> Result<(Environment, String), String> {
    let mut builder = ort::init_from(path).map_err(|error| error.to_string())?;
    if let Some(pool) = pool {
        builder = builder.with_global_thread_pool(pool);
    }
    let environment = builder.with_telemetry(false).build();
    let environment = environment.map_err(|error| error.to_string())?;
    Ok((environment, ort::info().to_owned()))
}

/// SHA-256 of the file, and the stamp that it had before and after.
fn hash(path: &Path) -> io::Result<(String, Stamp)> {
    let file = regular_file::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let sha256 = digest::sha256_reader(&file)?;
    match Stamp::of(&file.metadata()?) == stamp {
        true => Ok((sha256, stamp)),
        false => Err(io::Error::other("it was changed while it was read")),
    }
}

/// Failures of the runtime come back as errors; its own log says nothing more.
pub(super) const LOG_LEVEL: LogLevel = LogLevel::Fatal;

fn unusable(path: &Path, reason: impl ToString) -> LoadError {
    LoadError::Library {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

#[expect(
    unsafe_code,
    reason = "a C library says its version through a C function"
)]
fn version(path: &Path) -> Result<String, String> {
    type GetApiBase = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    check_whole(path)?;
    // SAFETY: loading a library runs its initialisers; the user named it, or it is the one that
    // `make setup` fetched.
    let library = unsafe { libloading::Library::new(path) };
    let library = library.map_err(|error| with_causes(&error))?;
    // Never unloaded: `ort` goes on to use the same one, and unloading a runtime runs its
    // finalisers.
    let library = std::mem::ManuallyDrop::new(library);
    // SAFETY: every ONNX Runtime exports this symbol with this signature (onnxruntime_c_api.h).
    let base = unsafe { library.get::<GetApiBase>(b"OrtGetApiBase\0") };
    let base = base.map_err(|_| "it does not export OrtGetApiBase".to_owned())?;
    // SAFETY: the function takes nothing and returns a static table or nothing.
    let base = unsafe { base().as_ref() }.ok_or_else(|| "it has no API".to_owned())?;
    // SAFETY: the version is a static C string.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) };
    let version = version.to_string_lossy().into_owned();
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
