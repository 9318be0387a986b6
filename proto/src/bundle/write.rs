//! Writing a bundle into a hidden sibling folder, which gets its name when all is there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::error::{NoRoom, WriteError};
use super::path::around;
use super::replace::{check_replaceable, obstacle};
use crate::digest::{DigestWriter, FileDigest};
use crate::manifest::{Dataset, MANIFEST_FILE, Manifest, Role, SHA256SUMS_FILE};
use crate::npy::{Element, NpyWriter};
use crate::staging::{self, Replace, StagedFolder};

/// Elements of a file are written in blocks of this size.
const BLOCK: usize = 1 << 20;

pub const README_FILE: &str = "README.md";

/// A bundle being written: every file is hashed as it passes. Nothing is left of it unless it is
/// finished.
#[derive(Debug)]
pub struct BundleWriter {
    staged: StagedFolder,
    out: PathBuf,
    replace: bool,
    files: BTreeMap<String, FileDigest>,
    datasets: BTreeMap<String, Dataset>,
}

impl BundleWriter {
    /// Makes the hidden folder. The place must not lie in another bundle and must have room for
    /// `needed_bytes`; with `replace` a bundle that is there gives way in the end, but nothing else
    /// does.
    pub fn create(out: &Path, replace: bool, needed_bytes: u64) -> Result<Self, WriteError> {
        check_room(out, needed_bytes)?;
        if let Some(bundle) = around(out) {
            let out = out.to_owned();
            return Err(WriteError::InsideBundle { out, bundle });
        }
        let gives_way = match replace {
            true => Replace::Unless(obstacle),
            false => Replace::Never,
        };
        if replace {
            check_replaceable(out)?;
        }
        Ok(Self {
            staged: StagedFolder::create(out, gives_way)?,
            out: out.to_owned(),
            replace,
            files: BTreeMap::new(),
            datasets: BTreeMap::new(),
        })
    }

    pub fn write(&mut self, file: &str, bytes: &[u8]) -> Result<(), WriteError> {
        let digest = self.stream(file, |out| out.write_all(bytes))?;
        self.add(file.to_owned(), digest);
        Ok(())
    }

    /// Writes a file piece by piece; the caller has to [`Self::add`] it. Several can be written at
    /// the same time.
    pub fn stream(
        &self,
        file: &str,
        write: impl FnOnce(&mut BufWriter<DigestWriter<File>>) -> io::Result<()>,
    ) -> Result<FileDigest, WriteError> {
        let path = self.place(file)?;
        write_hashed(&path, write).map_err(|error| WriteError::Io { path, error })
    }

    /// Notes a file that was streamed.
    pub fn add(&mut self, file: String, digest: FileDigest) {
        self.files.insert(file, digest);
    }

    /// Copies a file from its byte `start` on; gives the hashes of what was copied.
    pub fn copy(&mut self, from: &Path, start: u64, file: &str) -> Result<&FileDigest, WriteError> {
        let digest = self.stream(file, |out| {
            let mut source = File::open(from)?;
            io::copy(&mut (&mut source).take(start), &mut io::sink())?;
            io::copy(&mut source, out).map(|_| ())
        })?;
        self.add(file.to_owned(), digest);
        Ok(&self.files[file])
    }

    /// Begins `npy/NAME.npy`; the caller has to [`Self::add_array`] it.
    pub fn array<T: Element>(
        &self,
        name: &str,
        shape: &[usize],
    ) -> Result<NpyWriter<T>, WriteError> {
        let path = self.place(&array_file(name))?;
        Ok(NpyWriter::create(&path, shape)?)
    }

    /// Ends an array and lists it in the manifest.
    pub fn add_array<T: Element>(
        &mut self,
        name: &str,
        role: Role,
        writer: NpyWriter<T>,
    ) -> Result<(), WriteError> {
        let file = array_file(name);
        let shape = writer.shape().to_vec();
        self.add(file.clone(), writer.finish()?);
        let dataset = Dataset {
            file,
            role,
            dtype: T::DTYPE,
            shape,
        };
        self.datasets.insert(name.to_owned(), dataset);
        Ok(())
    }

    /// Writes what every bundle ends with, and gives it its place: with `raw` the arrays once more
    /// as bare little-endian elements, the README, the list of hashes, and the manifest, into which
    /// go the arrays and the hashes of all files.
    pub fn finish(
        mut self,
        mut manifest: Manifest,
        raw: bool,
        readme: impl FnOnce(&Manifest) -> String,
    ) -> Result<Manifest, WriteError> {
        if raw {
            self.write_raw()?;
        }
        manifest.datasets = std::mem::take(&mut self.datasets);
        let readme = readme(&manifest);
        self.write(README_FILE, readme.as_bytes())?;
        manifest.files = std::mem::take(&mut self.files);
        let text = manifest.to_json();
        self.write_unlisted(SHA256SUMS_FILE, &manifest.sha256sums(&text))?;
        self.write_unlisted(MANIFEST_FILE, &text)?;
        // What is in the place by now must still be something that may be replaced.
        if self.replace {
            check_replaceable(&self.out)?;
        }
        self.staged.commit()?;
        Ok(manifest)
    }

    fn write_raw(&mut self) -> Result<(), WriteError> {
        for (name, dataset) in self.datasets.clone() {
            let elements: usize = dataset.shape.iter().product();
            let bytes = (elements * dataset.dtype.size()) as u64;
            let header = self.files[&dataset.file].size - bytes;
            let from = self.staged.path().join(&dataset.file);
            self.copy(&from, header, &format!("raw/{name}.bin"))?;
        }
        Ok(())
    }

    fn write_unlisted(&self, file: &str, text: &str) -> Result<(), WriteError> {
        let path = self.staged.path().join(file);
        fs::write(&path, text).map_err(|error| WriteError::Io { path, error })
    }

    /// Where a file of the bundle goes; makes the folders on the way.
    fn place(&self, file: &str) -> Result<PathBuf, WriteError> {
        let path = self.staged.path().join(file);
        let folder = path.parent().unwrap_or(self.staged.path());
        match fs::create_dir_all(folder) {
            Ok(()) => Ok(path),
            Err(error) => Err(WriteError::Io {
                path: folder.to_owned(),
                error,
            }),
        }
    }
}

fn array_file(name: &str) -> String {
    format!("npy/{name}.npy")
}

fn write_hashed(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<DigestWriter<File>>) -> io::Result<()>,
) -> io::Result<FileDigest> {
    let mut out = BufWriter::with_capacity(BLOCK, DigestWriter::new(File::create(path)?));
    write(&mut out)?;
    let writer = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(writer.finish())
}

/// Refuses to begin what cannot be ended: the file system of `target`, which need not exist, must
/// have this much room.
fn check_room(target: &Path, needed: u64) -> Result<(), NoRoom> {
    match staging::free_bytes(target) {
        Some(free) if needed > free => Err(NoRoom {
            path: target.to_owned(),
            needed,
            free,
        }),
        _ => Ok(()), // enough, or unknown: then the write itself will tell
    }
}
