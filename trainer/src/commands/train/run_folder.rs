//! What a training run leaves beside its weights, written as it goes: a folder that one can look at
//! and resume from.
//!
//! ```text
//! run.json           network, plan, versions and machine of every start
//! metrics.jsonl      one line an epoch
//! curve.svg          loss and accuracy
//! best.safetensors   weights of the best epoch on the test split
//! last.safetensors   weights of the last epoch
//! state.safetensors  what `--resume` goes on from
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use console::note;
use proto::config::VitConfig;
use proto::{regular_file, staging};
use serde::{Deserialize, Serialize};
use trainer::state::Machine;
use trainer::train::{EpochRow, Plan, Progress, Session};

/// Every file of a run, in the order they are removed: what `--resume` needs goes first.
const FILES: [&str; 6] = [
    "state.safetensors",
    "best.safetensors",
    "last.safetensors",
    "curve.svg",
    "metrics.jsonl",
    "run.json",
];

/// The folder of one run; no other process writes it as long as this lives.
#[derive(Debug)]
pub(crate) struct RunFolder {
    folder: PathBuf,
    _lock: File,
}

/// `run.json`
#[derive(Debug, Serialize, Deserialize)]
struct RunDescription {
    preset: String,
    config: VitConfig,
    parameters: usize,
    plan: Plan,
    /// The first start, and one for each `--resume`.
    starts: Vec<Start>,
}

/// When, where and from what point a run was started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) trainer: String,
    #[serde(flatten)]
    pub(crate) machine: Machine,
    pub(crate) cores: usize,
    /// Seconds since 1970.
    pub(crate) unix_time: u64,
    /// Epochs that were complete.
    pub(crate) epochs_before: usize,
    /// Steps of the next epoch that were done.
    pub(crate) steps_before: usize,
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Metrics {
    #[serde(flatten)]
    pub(crate) row: EpochRow,
    pub(crate) test_accuracy: f64,
    /// Training steps alone, in the process that ended the epoch; absent when it only evaluated.
    pub(crate) images_per_second: Option<f64>,
    /// Steps and evaluation, in that process.
    pub(crate) seconds: Option<f64>,
    /// Memory that this process held at the end of the epoch; absent where the system does not say.
    pub(crate) resident_bytes: Option<u64>,
}

impl RunFolder {
    /// Makes the folder if need be and takes possession of it.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let path = folder.join(".lock");
        let lock = open_to_append(&path)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another process is training here", folder.display())
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| folder.display().to_string());
            }
        }
        for leftover in staging::remove_leftovers(&folder) {
            note!("removed {leftover}, left by a run that was killed");
        }
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// The state of a run in a folder that may not be there.
    pub(crate) fn state_in(folder: &Path) -> PathBuf {
        folder.join("state.safetensors")
    }

    pub(crate) fn state(&self) -> PathBuf {
        Self::state_in(&self.folder)
    }

    pub(crate) fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    pub(crate) fn last(&self) -> PathBuf {
        self.folder.join("last.safetensors")
    }

    /// Removes what an earlier run left; files of anybody else stay.
    pub(crate) fn clear(&self) -> Result<()> {
        for file in FILES {
            let path = self.folder.join(file);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes `run.json`; a resumed run's gets one more start.
    pub(crate) fn describe(
        &self,
        preset: &str,
        session: &Session<'_>,
        start: Start,
        is_resumed: bool,
    ) -> Result<()> {
        let path = self.folder.join("run.json");
        let earlier = regular_file::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<RunDescription>(&bytes).ok());
        let mut starts = earlier
            .filter(|_| is_resumed)
            .map_or(Vec::new(), |earlier| earlier.starts);
        starts.push(start);
        let config = session.vit.config();
        let run = RunDescription {
            preset: preset.to_owned(),
            config: config.clone(),
            parameters: config.parameter_count(),
            plan: session.plan.clone(),
            starts,
        };
        let text = serde_json::to_string_pretty(&run)? + "\n";
        staging::write_file(&path, |writer| writer.write_all(text.as_bytes()))
            .with_context(|| path.display().to_string())
    }

    /// Adds a line to `metrics.jsonl`.
    pub(crate) fn append_metrics(&self, metrics: &Metrics) -> Result<()> {
        let path = self.folder.join("metrics.jsonl");
        let line = serde_json::to_string(metrics)? + "\n";
        append(&path, &line).with_context(|| path.display().to_string())
    }

    /// Makes `metrics.jsonl` have one line for each epoch of a history and no other: a run that was
    /// killed may have left one more, or half of one. Of an epoch whose line is gone, the times are
    /// too.
    pub(crate) fn keep_metrics_of(&self, history: &[EpochRow]) -> Result<()> {
        let path = self.folder.join("metrics.jsonl");
        let found = regular_file::read(&path).unwrap_or_default();
        let found: Vec<Metrics> = found
            .split(|&byte| byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let mut text = String::new();
        for row in history {
            let line = match found.iter().find(|metrics| metrics.row == *row) {
                Some(metrics) => serde_json::to_string(metrics),
                None => serde_json::to_string(&Metrics {
                    row: row.clone(),
                    test_accuracy: row.test_accuracy(),
                    images_per_second: None,
                    seconds: None,
                    resident_bytes: None,
                }),
            };
            text += &(line? + "\n");
        }
        staging::write_file(&path, |writer| writer.write_all(text.as_bytes()))
            .with_context(|| path.display().to_string())
    }

    pub(crate) fn draw_curve(
        &self,
        title: &str,
        history: &[EpochRow],
        epochs: usize,
    ) -> Result<()> {
        let path = self.folder.join("curve.svg");
        let text = trainer::curve::svg(title, history, epochs);
        staging::write_file(&path, |writer| writer.write_all(text.as_bytes()))
            .with_context(|| path.display().to_string())
    }
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = open_to_append(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

/// Opening a pipe would wait for somebody to read it.
fn open_to_append(path: &Path) -> io::Result<File> {
    match path.metadata() {
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("not a regular file")),
        _ => OpenOptions::new().create(true).append(true).open(path),
    }
}

/// Memory that this process holds: the second number of Linux's `/proc/self/statm`, in pages of 4
/// KiB.
pub(crate) fn resident_bytes() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm")
        .ok()?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    Some(pages * 4096)
}

impl Start {
    /// Here and now, of a run that is so far.
    pub(crate) fn now(device: tch::Device, progress: &Progress) -> Self {
        Self {
            trainer: env!("CARGO_PKG_VERSION").to_owned(),
            machine: Machine::current(device),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            unix_time: SystemTime::UNIX_EPOCH
                .elapsed()
                .map_or(0, |time| time.as_secs()),
            epochs_before: progress.epochs(),
            steps_before: progress.step,
        }
    }
}
