//! Calibrations in a file beside the bundle: `<bundle>.calibration.json`, one entry for each
//! setting.
//!
//! An entry holds for exactly its own setting: the same model, runtime library, device, options and
//! machine. The file carries its own hash: a tolerance that was damaged would let errors pass.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use proto::digest::blake3_bytes;
use proto::{regular_file, staging};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::setting::Setting;
use super::{BITS, Calibration, Request};
use crate::compare::{Largest, Tolerance};

/// `major.minor` of the file's layout; another major one is refused.
const VERSION: &str = "2.0";

/// How long another process may hold the folder, and how often it is asked for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
const LOCK_INTERVAL: Duration = Duration::from_millis(50);

/// The file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CalibrationFile {
    calibration_version: String,
    /// BLAKE3, hexadecimal, of `calibrations` as JSON without white space.
    blake3: String,
    calibrations: Vec<Entry>,
}

/// The part of the file that every version has.
#[derive(Deserialize)]
struct Version {
    calibration_version: String,
}

/// One calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// What it holds for.
    pub setting: Setting,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub started_unix_seconds: u64,
    /// The version of the verifier.
    pub verifier: String,
    /// BLAKE3 of the manifest of the bundle whose samples it is of.
    pub bundle_blake3: String,
    /// First sample and the one after the last.
    pub samples: [usize; 2],
    /// Passes over all samples before the tolerance was chosen.
    pub passes: usize,
    /// Elements compared in each pass.
    pub elements: usize,
    /// Largest absolute error, and the sample and element it is at.
    pub max_abs_error: Largest<f64>,
    /// Largest ULP distance.
    pub max_ulp: Largest<u32>,
    /// Samples of later passes with another bit than in the first; 0 means that passes repeat bit
    /// for bit.
    pub differing_samples: usize,
    /// The least `atol`, for this `rtol`, without a false alarm.
    pub smallest_atol: f32,
    /// `atol` over the least one.
    pub margin: f32,
    /// The tolerance to check with.
    pub tolerance: Tolerance,
    /// The detection floor: from bit 0 to bit 31, the share of single-bit flips in outputs that the
    /// tolerance catches.
    pub caught_by_bit: Vec<f64>,
    /// Elements in which every bit was flipped for that.
    pub flipped_elements: usize,
}

/// A calibration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is none.
    #[error("{path}: not a calibration file: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Where a bundle's calibrations are; `None` for a folder without a name.
pub fn beside(bundle: &Path) -> Option<PathBuf> {
    let folder = bundle.canonicalize().ok()?;
    let mut name = folder.file_name()?.to_owned();
    name.push(".calibration.json");
    Some(folder.with_file_name(name))
}

/// Reads the entries of a file; none if it does not exist.
pub fn read(path: &Path) -> Result<Vec<Entry>, FileError> {
    let malformed = |reason: String| FileError::Malformed {
        path: path.to_owned(),
        reason,
    };
    let bytes = match regular_file::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => {
            return Err(FileError::Io {
                path: path.to_owned(),
                error,
            });
        }
    };
    // The version first: another one may have another layout.
    let Version {
        calibration_version: version,
    } = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    let major = |version: &str| version.split('.').next().map(str::to_owned);
    if major(&version) != major(VERSION) {
        return Err(malformed(format!(
            "version {version:?}, expected {VERSION:?}"
        )));
    }
    let file: CalibrationFile =
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    if hash(&file.calibrations) != file.blake3 {
        return Err(malformed(
            "its BLAKE3 is not that of its calibrations: it was changed or damaged".to_owned(),
        ));
    }
    match file.calibrations.iter().find_map(Entry::contradiction) {
        None => Ok(file.calibrations),
        Some(reason) => Err(malformed(reason)),
    }
}

fn hash(calibrations: &[Entry]) -> String {
    let json = serde_json::to_vec(calibrations).expect("numbers and texts");
    blake3_bytes(&json)
}

/// What a file has for a setting.
#[derive(Debug)]
pub enum LookUp {
    /// No calibration at all.
    Nothing,
    /// The one for this very setting.
    Same(Box<Entry>),
    /// Others; what the setting of the nearest has otherwise.
    Others(Vec<String>),
}

/// Looks for the calibration of a setting.
pub fn look_up(path: &Path, setting: &Setting) -> Result<LookUp, FileError> {
    let entries = read(path)?
        .into_iter()
        .map(|entry| (setting.differences(&entry.setting), entry));
    Ok(
        match entries.min_by_key(|(differences, _)| differences.len()) {
            None => LookUp::Nothing,
            Some((differences, entry)) if differences.is_empty() => LookUp::Same(Box::new(entry)),
            Some((differences, _)) => LookUp::Others(differences),
        },
    )
}

/// Adds an entry to a file, in the place of one for the same setting. Processes that do so at the
/// same time wait for each other.
pub fn store(path: &Path, entry: Entry) -> Result<(), FileError> {
    let at = |error| FileError::Io {
        path: path.to_owned(),
        error,
    };
    let lock = lock_folder_of(path).map_err(at)?;
    let mut calibrations = read(path)?;
    calibrations.retain(|other| other.setting != entry.setting);
    calibrations.push(entry);
    let file = CalibrationFile {
        calibration_version: VERSION.to_owned(),
        blake3: hash(&calibrations),
        calibrations,
    };
    let written = staging::write_file(path, |writer| {
        serde_json::to_writer_pretty(&mut *writer, &file)?;
        writer.write_all(b"\n")
    });
    drop(lock);
    written.map_err(at)
}

/// Holds the folder until the file is dropped: the calibration file itself is replaced.
fn lock_folder_of(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = File::open(folder.unwrap_or(Path::new(".")))?;
    let started = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_TIMEOUT => {
                sleep(LOCK_INTERVAL);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other(
                    "another process has held the lock of the folder for a minute",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

impl Entry {
    /// What in it cannot be true.
    fn contradiction(&self) -> Option<String> {
        let Tolerance { atol, rtol } = self.tolerance;
        let usable = |part: f32| part.is_finite() && part >= 0.0;
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        let chosen = (self.smallest_atol * self.margin).min(f32::MAX);
        if !usable(atol) || !usable(rtol) {
            return Some(format!("a tolerance of atol {atol:e}, rtol {rtol:e}"));
        }
        if !usable(self.smallest_atol) || self.margin.is_nan() || atol != chosen {
            return Some(format!(
                "atol {atol:e}, but {} times the least of {:e} is {chosen:e}",
                self.margin, self.smallest_atol
            ));
        }
        if self.samples[0] >= self.samples[1] || self.passes == 0 || self.elements == 0 {
            return Some("a calibration of no sample".to_owned());
        }
        if self.caught_by_bit.len() != BITS || !self.caught_by_bit.iter().all(is_share) {
            return Some("other than a share for each of 32 bits".to_owned());
        }
        None
    }

    /// Of a calibration.
    pub fn new(
        setting: Setting,
        bundle_blake3: String,
        started_unix_seconds: u64,
        request: &Request<'_>,
        found: &Calibration,
    ) -> Self {
        Self {
            setting,
            started_unix_seconds,
            verifier: env!("CARGO_PKG_VERSION").to_owned(),
            bundle_blake3,
            samples: [request.samples.start, request.samples.end],
            passes: request.passes,
            elements: found.elements,
            max_abs_error: found.max_abs_error.clone(),
            max_ulp: found.max_ulp.clone(),
            differing_samples: found.differing_samples,
            smallest_atol: found.smallest_atol,
            margin: request.margin,
            tolerance: found.tolerance,
            caught_by_bit: (0..BITS).filter_map(|bit| found.floor.share(bit)).collect(),
            flipped_elements: found.floor.elements,
        }
    }
}
