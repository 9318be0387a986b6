//! What a run computed, kept as NPY files: `<folder>/<output>.npy` `[samples, …]` float32.

use std::path::Path;

use proto::npy::{NpyError, NpyWriter};
use proto::staging::{StagedFolder, StagingError};

use crate::recording::Recording;

/// A folder of outputs; it appears when it is complete.
#[derive(Debug)]
pub struct Outputs {
    folder: StagedFolder,
    writers: Vec<NpyWriter<f32>>,
}

/// Why outputs cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    /// The folder cannot be made.
    #[error(transparent)]
    Folder(#[from] StagingError),
    /// A file cannot be written.
    #[error(transparent)]
    Npy(#[from] NpyError),
}

impl Outputs {
    /// Begins a file for each golden, of its shape but for the number of samples.
    pub fn create(
        folder: &Path,
        goldens: &[Recording],
        samples: usize,
    ) -> Result<Self, OutputsError> {
        let folder = StagedFolder::create(folder, false)?;
        let begin = |golden: &Recording| {
            let shape: Vec<usize> = std::iter::once(samples)
                .chain(golden.sample_shape().iter().copied())
                .collect();
            NpyWriter::create(
                &folder.path().join(format!("{}.npy", golden.name())),
                &shape,
            )
        };
        let writers = goldens.iter().map(begin).collect::<Result<_, _>>()?;
        Ok(Self { folder, writers })
    }

    /// Appends a batch.
    pub fn write(&mut self, outputs: &[&[f32]]) -> Result<(), OutputsError> {
        for (writer, output) in self.writers.iter_mut().zip(outputs) {
            writer.write(output)?;
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
