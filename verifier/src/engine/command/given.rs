//! The model that an engine is given to read: files that must be the same after a run.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::fixed::with_fixed_batch;
use crate::engine::files::{FileRecord, HashedFile};

/// A model in a folder of its own, with its hashes.
#[derive(Debug)]
pub struct GivenModel {
    /// The ONNX file.
    pub path: PathBuf,
    /// The same with its batch fixed, if an engine asks for it.
    pub fixed: Option<PathBuf>,
    files: Vec<FileRecord>,
}

impl GivenModel {
    /// Of a model that was written into a folder; `fixed_batch` adds a copy with this batch.
    pub fn new(path: PathBuf, fixed_batch: Option<usize>) -> io::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let fixed = match fixed_batch {
            None => None,
            Some(batch) => {
                let bytes = with_fixed_batch(&fs::read(&path)?, batch)?;
                let fixed = folder.join("fixed.onnx");
                fs::write(&fixed, bytes)?;
                Some(fixed)
            }
        };
        let mut files = Vec::new();
        collect(folder, &mut files)?;
        Ok(Self { path, fixed, files })
    }

    /// The first file that is not as it was given.
    pub fn changed(&self) -> Option<&Path> {
        let is_same = |file: &&FileRecord| record(&file.path).is_ok_and(|now| now == **file);
        let changed = self.files.iter().find(|file| !is_same(file));
        changed.map(|file| file.path.as_path())
    }
}

fn collect(folder: &Path, files: &mut Vec<FileRecord>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(record(&path)?);
        }
    }
    Ok(())
}

fn record(path: &Path) -> io::Result<FileRecord> {
    HashedFile::open(path)?.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::probe::Probe;

    #[test]
    fn a_file_that_was_changed_is_named() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("model.onnx");
        fs::write(&path, Probe::new().model).expect("write");
        fs::create_dir(folder.path().join("data")).expect("make");
        let weights = folder.path().join("data/weights.bin");
        fs::write(&weights, "weights").expect("write");
        let given = GivenModel::new(path, Some(2)).expect("hashed");
        // An engine may keep something beside the model.
        fs::write(folder.path().join("cache"), "").expect("write");
        assert_eq!(given.changed(), None);
        fs::write(&weights, "weightz").expect("write");
        assert_eq!(given.changed(), Some(weights.as_path()));
        fs::write(&weights, "weights").expect("write");
        fs::remove_file(folder.path().join("fixed.onnx")).expect("remove");
        assert_eq!(given.changed(), given.fixed.as_deref());
    }
}
