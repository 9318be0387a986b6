//! Faulty samples kept as NPY files, for whoever wants to look at an error closely.
//!
//! `<folder>/sample_000150/submodel_output_{golden,actual}.npy` are the whole tensors, with faults;
//! `…_index.npy` `[elements, axes]` i64 says which of their elements are outside.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use ndarray::Dimension as _;
use proto::npy::{Element, NpyError, NpyWriter};

use super::events::FaultyTensors;
use super::result::FaultyOutput;
use crate::compare::Tolerance;
use crate::samples::elements;

/// A folder that faulty samples are written to; it is made for the first of them.
#[derive(Debug)]
pub struct Dump {
    folder: PathBuf,
    tolerance: Tolerance,
    /// The open folder, locked against other processes.
    lock: Option<File>,
    /// The folder of the last sample, and how many there are.
    last: PathBuf,
    samples: usize,
}

/// Why faulty samples cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("{0}: not empty\nhint: name a folder that does not exist yet")]
    NotEmpty(PathBuf),
    #[error("{0}: another process keeps its faulty samples there")]
    Busy(PathBuf),
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Npy(#[from] NpyError),
}

impl Dump {
    /// Will make the folder, which must not hold anything.
    pub fn new(folder: &Path, tolerance: Tolerance) -> Result<Self, DumpError> {
        if folder.symlink_metadata().is_ok() {
            check_empty(folder)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            tolerance,
            lock: None,
            last: PathBuf::new(),
            samples: 0,
        })
    }

    /// Keeps an output of a faulty sample.
    pub fn keep(
        &mut self,
        faulty: &FaultyOutput,
        tensors: &FaultyTensors<'_>,
    ) -> Result<(), DumpError> {
        if self.lock.is_none() {
            self.lock = Some(make_folder(&self.folder)?);
        }
        let folder = self.folder.join(folder_name(faulty));
        fs::create_dir_all(&folder).map_err(|error| DumpError::Io {
            path: folder.clone(),
            error,
        })?;
        let FaultyTensors { golden, actual } = tensors;
        let (name, shape) = (&faulty.output, golden.shape());
        let indices = outside(tensors, self.tolerance);
        let rows = [indices.len() / shape.len().max(1), shape.len()];
        write(&folder.join(format!("{name}_index.npy")), &rows, &indices)?;
        write(
            &folder.join(format!("{name}_golden.npy")),
            shape,
            elements(golden),
        )?;
        write(
            &folder.join(format!("{name}_actual.npy")),
            shape,
            elements(actual),
        )?;
        // The outputs of a sample come one after the other.
        self.samples += usize::from(folder != self.last);
        self.last = folder;
        Ok(())
    }

    /// How many samples were kept.
    pub fn samples(&self) -> usize {
        self.samples
    }
}

/// Makes the folder; no other process may be filling it.
fn make_folder(folder: &Path) -> Result<File, DumpError> {
    let at = |error| at(folder, error);
    fs::create_dir_all(folder).map_err(at)?;
    let lock = File::open(folder).map_err(at)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(DumpError::Busy(folder.to_owned())),
        Err(TryLockError::Error(error)) => return Err(at(error)),
    }
    check_empty(folder)?;
    Ok(lock)
}

fn check_empty(folder: &Path) -> Result<(), DumpError> {
    match fs::read_dir(folder)
        .map_err(|error| at(folder, error))?
        .next()
    {
        None => Ok(()),
        Some(_) => Err(DumpError::NotEmpty(folder.to_owned())),
    }
}

fn at(path: &Path, error: io::Error) -> DumpError {
    DumpError::Io {
        path: path.to_owned(),
        error,
    }
}

fn folder_name(faulty: &FaultyOutput) -> String {
    match faulty.run {
        0 => format!("sample_{:06}", faulty.sample),
        run => format!("sample_{:06}_run_{run}", faulty.sample),
    }
}

/// The indices of the elements outside the tolerance, one after the other.
fn outside(tensors: &FaultyTensors<'_>, tolerance: Tolerance) -> Vec<i64> {
    let mut indices = Vec::new();
    for (index, &golden) in tensors.golden.indexed_iter() {
        if !tolerance.is_close(tensors.actual[&index], golden) {
            indices.extend(index.slice().iter().map(|&place| place as i64));
        }
    }
    indices
}

fn write<T: Element>(path: &Path, shape: &[usize], values: &[T]) -> Result<(), NpyError> {
    let mut writer = NpyWriter::create(path, shape)?;
    writer.write(values)?;
    writer.finish()?;
    Ok(())
}
