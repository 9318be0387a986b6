//! What a run computed, kept as NPY files: `<folder>/<output>.npy` `[samples, …]` float32.

use std::path::Path;

use ndarray::ArrayViewD;
use proto::npy::{NpyError, NpyWriter};
use proto::staging::{Replace, StagedFolder, StagingError};

use super::recording::Recording;
use super::tensors::elements;

/// A folder of outputs; it appears when it is complete.
#[derive(Debug)]
pub struct OutputsFolder {
    folder: StagedFolder,
    writers: Vec<NpyWriter<f32>>,
}

/// Why outputs cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    #[error(transparent)]
    Folder(#[from] StagingError),
    #[error(transparent)]
    Npy(#[from] NpyError),
}

impl OutputsFolder {
    /// Begins a file for each golden, of its shape but for the number of samples.
    pub fn create(
        folder: &Path,
        goldens: &[Recording],
        samples: usize,
    ) -> Result<Self, OutputsError> {
        let folder = StagedFolder::create(folder, Replace::Never)?;
        let mut writers = Vec::with_capacity(goldens.len());
        for golden in goldens {
            let shape = [&[samples], golden.sample_shape()].concat();
            let file = folder.path().join(file_name(golden.name()));
            writers.push(NpyWriter::create(&file, &shape)?);
        }
        Ok(Self { folder, writers })
    }

    /// Appends a batch, an array `[batch, …]` for each output.
    pub fn write(&mut self, outputs: &[ArrayViewD<'_, f32>]) -> Result<(), OutputsError> {
        for (writer, output) in self.writers.iter_mut().zip(outputs) {
            writer.write(elements(output))?;
        }
        Ok(())
    }

    /// Gives the folder its name; fails unless all samples were written.
    pub fn finish(self) -> Result<(), OutputsError> {
        for writer in self.writers {
            writer.finish()?;
        }
        Ok(self.folder.commit()?)
    }
}

/// The file of an output in such a folder.
pub fn file_name(output: &str) -> String {
    format!("{output}.npy")
}
