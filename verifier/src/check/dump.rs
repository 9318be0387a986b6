//! Faulty samples kept as NPY files, for whoever wants to look at an error closely.
//!
//! `<folder>/sample_000150/submodel_output_{golden,actual}.npy` are the whole tensors, with faults;
//! `…_index.npy` `[elements, axes]` i64 says which of their elements are outside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::Dimension as _;
use proto::npy::{Element, NpyError, NpyWriter};
use proto::staging::{Replace, StagedFolder, StagingError};

use super::events::FaultyTensors;
use super::result::FaultyOutput;
use crate::compare::Tolerance;
use crate::samples::elements;

/// A folder of faulty samples; it is begun with the first of them and appears when it is complete.
#[derive(Debug)]
pub struct Dump {
    target: PathBuf,
    tolerance: Tolerance,
    folder: Option<StagedFolder>,
    /// The folder of the last sample, and how many there are.
    last: PathBuf,
    samples: usize,
}

/// Why faulty samples cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("{0}: not empty\nhint: name a folder that does not exist yet")]
    NotEmpty(PathBuf),
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Folder(#[from] StagingError),
    #[error(transparent)]
    Npy(#[from] NpyError),
}

impl Dump {
    /// Will make the folder, in whose place nothing may be but an empty one.
    pub fn new(target: &Path, tolerance: Tolerance) -> Result<Self, DumpError> {
        is_empty_folder(target)?;
        Ok(Self {
            target: target.to_owned(),
            tolerance,
            folder: None,
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
        let staged = match &mut self.folder {
            Some(staged) => staged,
            None => {
                is_empty_folder(&self.target)?;
                let empty = Replace::Unless(not_empty);
                self.folder
                    .insert(StagedFolder::create(&self.target, empty)?)
            }
        };
        let folder = staged.path().join(folder_name(faulty));
        fs::create_dir_all(&folder).map_err(|error| DumpError::Io {
            path: folder.clone(),
            error,
        })?;
        let FaultyTensors { golden, actual, .. } = tensors;
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

    /// Gives the folder its name, if there is a faulty sample; gives how many there are.
    pub fn finish(self) -> Result<usize, DumpError> {
        if let Some(staged) = self.folder {
            is_empty_folder(&self.target)?;
            staged.commit()?;
        }
        Ok(self.samples)
    }
}

/// Whether there is an empty folder; an error if there is anything else.
fn is_empty_folder(path: &Path) -> Result<bool, DumpError> {
    if path.symlink_metadata().is_err() {
        return Ok(false);
    }
    let entries = fs::read_dir(path).map_err(|error| DumpError::Io {
        path: path.to_owned(),
        error,
    });
    match entries?.next() {
        None => Ok(true),
        Some(_) => Err(DumpError::NotEmpty(path.to_owned())),
    }
}

/// Why a folder does not give way: it is not empty, or not known to be.
fn not_empty(path: &Path) -> Option<String> {
    is_empty_folder(path).err().map(|error| error.to_string())
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
