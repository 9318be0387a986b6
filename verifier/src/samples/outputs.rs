//! What a run computed, kept as NPY files: `<folder>/<output>.npy` `[samples, …]` float32.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use ndarray::ArrayViewD;
use proto::digest::FileDigest;
use proto::npy::{NpyError, NpyWriter};
use proto::staging::{Replace, StagedFolder, StagingError};

use super::recording::Recording;
use super::tensors::elements;

/// A folder of outputs; it appears when it is complete.
#[derive(Debug)]
pub struct OutputsFolder {
    folder: StagedFolder,
    names: Vec<String>,
    writers: Vec<NpyWriter<f32>>,
}

/// Why outputs cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum OutputsError {
    #[error(transparent)]
    Folder(#[from] StagingError),
    #[error(transparent)]
    Npy(#[from] NpyError),
    #[error(transparent)]
    Io(#[from] io::Error),
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
        let mut names = Vec::with_capacity(goldens.len());
        for golden in goldens {
            let shape = [&[samples], golden.sample_shape()].concat();
            let name = file_name(golden.name());
            writers.push(NpyWriter::create(&folder.path().join(&name), &shape)?);
            names.push(name);
        }
        Ok(Self {
            folder,
            names,
            writers,
        })
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
        self.finish_with(|_| None)
    }

    /// The same with one more file, which may say what the others, by their names, hold.
    pub fn finish_with(
        self,
        more: impl FnOnce(BTreeMap<String, FileDigest>) -> Option<(&'static str, Vec<u8>)>,
    ) -> Result<(), OutputsError> {
        let mut files = BTreeMap::new();
        for (name, writer) in self.names.into_iter().zip(self.writers) {
            files.insert(name, writer.finish()?);
        }
        if let Some((name, bytes)) = more(files) {
            fs::write(self.folder.path().join(name), bytes)?;
        }
        Ok(self.folder.commit()?)
    }
}

/// The file of an output in such a folder.
pub fn file_name(output: &str) -> String {
    format!("{output}.npy")
}
