//! Faulty samples kept as NPY files, for whoever wants to look at an error closely.
//!
//! `<folder>/sample_000150/submodel_output_{golden,actual}.npy` are the whole tensors, with faults;
//! `…_index.npy` `[elements, axes]` i64 says which of their elements are outside.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use proto::npy::{Element, NpyError, NpyWriter};

use crate::check::Specimen;
use crate::compare::{Outcome, Tolerance};
use crate::verdict;

/// A folder that faulty samples are written to.
#[derive(Debug)]
pub struct Specimens {
    folder: PathBuf,
    tolerance: Tolerance,
    kept: usize,
}

/// Why specimens cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpecimenError {
    /// The folder has something in it.
    #[error("{0}: not empty\nhint: name a folder that does not exist yet")]
    NotEmpty(PathBuf),
    /// The folder cannot be made or written to.
    #[error("{path}: {error}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Npy(#[from] NpyError),
}

impl Specimens {
    /// Makes the folder, which must not hold anything.
    pub fn create(folder: &Path, tolerance: Tolerance) -> Result<Self, SpecimenError> {
        let at = |error| SpecimenError::Io {
            path: folder.to_owned(),
            error,
        };
        fs::create_dir_all(folder).map_err(at)?;
        if fs::read_dir(folder).map_err(at)?.next().is_some() {
            return Err(SpecimenError::NotEmpty(folder.to_owned()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            tolerance,
            kept: 0,
        })
    }

    /// Keeps one sample.
    pub fn keep(&mut self, specimen: &Specimen<'_>) -> Result<(), SpecimenError> {
        let run = match specimen.sample.run {
            0 => String::new(),
            run => format!("_run_{run}"),
        };
        let folder = self
            .folder
            .join(format!("sample_{:06}{run}", specimen.sample.sample));
        fs::create_dir_all(&folder).map_err(|error| SpecimenError::Io {
            path: folder.clone(),
            error,
        })?;
        for output in &specimen.sample.outputs {
            let (recording, golden, actual) = &specimen.outputs[output.output];
            let (name, shape) = (recording.name(), recording.sample_shape());
            let outside = golden.iter().zip(*actual).enumerate();
            let outside =
                outside.filter(|(_, (g, y))| self.tolerance.outcome(**y, **g) != Outcome::Close);
            let indices: Vec<i64> = outside
                .flat_map(|(element, _)| verdict::index(0, element, shape).into_iter().skip(1))
                .map(|index| index as i64)
                .collect();
            let rows = indices.len() / shape.len().max(1);
            write(
                &folder.join(format!("{name}_index.npy")),
                &[rows, shape.len()],
                &indices,
            )?;
            write(&folder.join(format!("{name}_golden.npy")), shape, golden)?;
            write(&folder.join(format!("{name}_actual.npy")), shape, actual)?;
        }
        self.kept += 1;
        Ok(())
    }

    /// How many samples were kept.
    pub fn kept(&self) -> usize {
        self.kept
    }
}

fn write<T: Element>(path: &Path, shape: &[usize], values: &[T]) -> Result<(), NpyError> {
    let mut writer = NpyWriter::create(path, shape)?;
    writer.write(values)?;
    writer.finish()?;
    Ok(())
}
