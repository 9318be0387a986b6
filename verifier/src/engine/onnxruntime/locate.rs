//! Which ONNX Runtime library is loaded: the user's choice, else the nearest one.

use std::env;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use proto::regular_file;

/// The environment variable that names the library.
pub const VARIABLE: &str = "ORT_DYLIB_PATH";

/// Where `make setup` puts the library, below the project's folder.
const DEPS: &str = ".deps/onnxruntime/onnxruntime/capi";

const LIBRARY: &str = if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else if cfg!(windows) {
    "onnxruntime.dll"
} else {
    "libonnxruntime.so"
};

/// Why no library was found.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The one asked for is absent.
    #[error("{origin} {path}: no such file")]
    Missing {
        /// Who asked for it.
        origin: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// None anywhere.
    #[error(
        "no ONNX Runtime library found: looked for {LIBRARY} beside the executable, in \
         {DEPS} above it, and in the system's library folders"
    )]
    NotFound,
}

/// Finds the library: `asked`, else [`VARIABLE`], else beside the executable, in `.deps` above it,
/// in the system.
pub fn locate(asked: Option<&Path>) -> Result<PathBuf, LocateError> {
    let given = |origin, path: &Path| {
        path.canonicalize().map_err(|_| LocateError::Missing {
            origin,
            path: path.to_owned(),
        })
    };
    if let Some(path) = asked {
        return given("--runtime", path);
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return given(VARIABLE, Path::new(&path));
    }
    let executable = env::current_exe()
        .ok()
        .and_then(|path| path.canonicalize().ok());
    let beside = executable
        .as_deref()
        .and_then(Path::parent)
        .map(Path::to_owned);
    // Never relative to the current directory: a library is code, and that folder may be anybody's.
    let upwards = beside.iter().flat_map(|folder| folder.ancestors());
    let folders = beside
        .clone()
        .into_iter()
        .chain(upwards.map(|folder| folder.join(DEPS)))
        .chain(system_folders());
    folders
        .filter_map(|folder| library_in(&folder))
        .next()
        .ok_or(LocateError::NotFound)
}

/// Refuses a library that is not whole. One cut short by an interrupted copy can kill the process
/// that maps it: an ELF file's section table, which ends it, must be inside.
pub fn check_whole(path: &Path) -> Result<(), String> {
    let mut header = [0u8; 64];
    let mut file = regular_file::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(()); // not a 64-bit little-endian ELF file: the loader will say what it is
    }
    // e_shoff, e_shentsize and e_shnum of the ELF-64 header (System V ABI, chapter 4).
    let offset = u64::from_le_bytes(header[40..48].try_into().expect("8 bytes"));
    let number = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let end = offset.saturating_add(number(58) * number(60));
    if metadata.len() < end {
        return Err(format!(
            "cut short: {} bytes, expected at least {end}",
            metadata.len()
        ));
    }
    Ok(())
}

fn system_folders() -> impl Iterator<Item = PathBuf> {
    let searched = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let searched: Vec<PathBuf> = env::split_paths(&searched)
        .filter(|path| path.is_absolute())
        .collect();
    let usual = [
        "/usr/local/lib",
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ];
    searched.into_iter().chain(usual.map(PathBuf::from))
}

/// `libonnxruntime.so`, or the one with the highest version number behind that name.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let named = |path: &PathBuf| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name == LIBRARY
            || name
                .strip_prefix(LIBRARY)
                .is_some_and(|rest| rest.starts_with('.'))
    };
    let version = |path: &PathBuf| -> Vec<u32> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        name.split('.')
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    entries
        .filter(named)
        .filter(|path| path.is_file())
        .max_by_key(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_is_taken_and_provider_libraries_are_not() {
        let folder = tempfile::tempdir().expect("folder");
        assert_eq!(library_in(folder.path()), None);
        for name in ["libonnxruntime_providers_cuda.so", "notes.txt"] {
            fs::write(folder.path().join(name), "").expect("write");
        }
        assert_eq!(library_in(folder.path()), None);
        for version in ["", ".1.9.0", ".1.31.1"] {
            fs::write(folder.path().join(format!("{LIBRARY}{version}")), "").expect("write");
        }
        assert_eq!(
            library_in(folder.path()),
            Some(folder.path().join(format!("{LIBRARY}.1.31.1")))
        );
    }

    #[test]
    fn a_library_asked_for_and_absent_is_an_error() {
        let error = locate(Some(Path::new("/nonexistent/libonnxruntime.so")))
            .expect_err("absent")
            .to_string();
        assert_eq!(
            error,
            "--runtime /nonexistent/libonnxruntime.so: no such file"
        );
    }
}
