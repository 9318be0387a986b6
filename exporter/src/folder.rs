//! A bundle's folder while it is being written: every file is hashed as it passes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use proto::digest::{DigestWriter, FileDigest};
use proto::manifest::{MANIFEST_FILE, Manifest, SHA256SUMS_FILE};
use proto::staging;

/// Elements of a file are written in blocks of this size.
const BLOCK: usize = 1 << 20;

/// The README of a bundle.
pub const README_FILE: &str = "README.md";

/// A file or folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct FolderError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

/// The target's file system has too little room.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}: {:.1} MB needed, {:.1} MB free\nhint: fewer --samples, fewer --parts, or an --out on another file system",
    *.needed as f64 / 1e6, *.free as f64 / 1e6
)]
pub struct NoRoom {
    /// The folder.
    pub path: PathBuf,
    /// Bytes needed.
    pub needed: u64,
    /// Bytes free.
    pub free: u64,
}

/// The folder, and what was written to it.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    files: BTreeMap<String, FileDigest>,
}

impl Folder {
    /// An empty folder that is there already.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
        }
    }

    /// Where a file of the bundle goes; makes the folders on the way.
    pub fn place(&self, file: &str) -> Result<PathBuf, FolderError> {
        let path = self.root.join(file);
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(at(folder))?;
        Ok(path)
    }

    /// Notes a file that was written by other means.
    pub fn add(&mut self, file: String, digest: FileDigest) {
        self.files.insert(file, digest);
    }

    /// Writes a file.
    pub fn write(&mut self, file: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let digest = self.stream(file, |out| out.write_all(bytes))?;
        self.add(file.to_owned(), digest);
        Ok(())
    }

    /// Writes a file piece by piece; the caller has to [`Self::add`] it.
    pub fn stream(
        &self,
        file: &str,
        write: impl FnOnce(&mut BufWriter<DigestWriter<File>>) -> io::Result<()>,
    ) -> Result<FileDigest, FolderError> {
        let path = self.place(file)?;
        let run = || {
            let mut out = BufWriter::with_capacity(BLOCK, DigestWriter::new(File::create(&path)?));
            write(&mut out)?;
            Ok(out
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?
                .finish())
        };
        run().map_err(at(&path))
    }

    /// Copies a file from its byte `start` on.
    pub fn copy(&mut self, from: &Path, start: u64, file: &str) -> Result<(), FolderError> {
        let digest = self.stream(file, |out| {
            let mut source = File::open(from)?;
            io::copy(&mut (&mut source).take(start), &mut io::sink())?;
            io::copy(&mut source, out).map(|_| ())
        })?;
        self.add(file.to_owned(), digest);
        Ok(())
    }

    /// What was written so far.
    pub fn files(&self) -> &BTreeMap<String, FileDigest> {
        &self.files
    }

    /// Ends with the manifest, into which the hashes of all files go, and the list of hashes.
    pub fn finish(self, mut manifest: Manifest) -> Result<Manifest, FolderError> {
        manifest.files = self.files;
        let text = manifest.to_json();
        for (file, text) in [
            (SHA256SUMS_FILE, manifest.sha256sums(&text)),
            (MANIFEST_FILE, text),
        ] {
            let path = self.root.join(file);
            fs::write(&path, text).map_err(at(&path))?;
        }
        Ok(manifest)
    }
}

/// Refuses to begin what cannot be ended: the file system of `target`, which need not exist, must
/// have this much room.
pub fn check_room(target: &Path, needed: u64) -> Result<(), NoRoom> {
    match staging::free_bytes(target) {
        Some(free) if needed > free => Err(NoRoom {
            path: target.to_owned(),
            needed,
            free,
        }),
        _ => Ok(()), // enough, or unknown: then the write itself will tell
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FolderError + use<> {
    let path = path.to_owned();
    move |error| FolderError { path, error }
}
