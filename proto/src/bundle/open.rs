//! Opening a bundle safely: nothing in it is trusted before version, paths, sizes and hashes have
//! been checked, and what is used are the very bytes that were hashed.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::error::BundleError;
use super::parse::parse;
use super::path::{file_inside, read_text};
use crate::digest::{self, FileDigest, StreamHash};
use crate::graph::{Graph, ReadError};
use crate::manifest::{Dataset, MANIFEST_FILE, Manifest, Part, SHA256SUMS_FILE};
use crate::npy::{Element, Npy};

/// A bundle whose manifest, paths and file sizes have been checked.
///
/// A hash is compared when the bytes are read: of a whole file by [`Bundle::read`], of an array by
/// [`Npy::all`] and [`HashedRows::finish`](crate::npy::HashedRows::finish), and of what is left by
/// [`Bundle::verify_files`].
#[derive(Debug)]
pub struct Bundle {
    root: PathBuf,
    manifest: Manifest,
    manifest_json: String,
    /// Files that were read as a whole and have their hash.
    verified: Mutex<BTreeSet<String>>,
}

/// A part's model in memory, as it lies in its file and decoded.
#[derive(Debug)]
pub struct PartModel {
    pub files: ModelFiles,
    pub graph: Graph,
}

/// The bytes of a model's files, which have their hashes.
#[derive(Debug)]
pub struct ModelFiles {
    pub model: Vec<u8>,
    /// Name and bytes of the file beside it that holds its large weights, if there is one.
    pub external_data: Option<(String, Vec<u8>)>,
}

impl Bundle {
    /// Opens a bundle: reads the manifest, checks its version, that every file is a regular
    /// file inside the folder, and that each has the size it should have.
    pub fn open(root: &Path) -> Result<Self, BundleError> {
        if root.is_file() {
            return Err(BundleError::NotAFolder(root.to_owned()));
        }
        if !root.is_dir() {
            return Err(BundleError::NoFolder(root.to_owned()));
        }
        let (path, _) = file_inside(root, MANIFEST_FILE).map_err(|error| match error {
            BundleError::Missing(_) => BundleError::NoManifest(root.to_owned()),
            other => other,
        })?;
        let manifest_json = read_text(&path)?;
        let manifest = parse(&path, &manifest_json)?;
        let bundle = Self {
            root: root.to_owned(),
            manifest,
            manifest_json,
            verified: Mutex::default(),
        };
        bundle.check_listed()?;
        bundle.check_sizes()?;
        bundle.check_sums()?;
        Ok(bundle)
    }

    /// Compares every file with its BLAKE3, but for those that were read as a whole and those of
    /// `later`, which the caller hashes as it reads them; `go_on` is told the bytes as they are
    /// read and may end it.
    pub fn verify_files(
        &self,
        later: &[&str],
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<(), BundleError> {
        for file in &self.unverified(later) {
            let path = self.root.join(file);
            match digest::blake3_file(&path, &mut go_on) {
                Ok(Some(found)) => self.check_hash(file, path, found)?,
                Ok(None) => return Err(BundleError::Interrupted),
                Err(error) => return Err(BundleError::Io { path, error }),
            }
        }
        Ok(())
    }

    /// Bytes that [`Self::verify_files`] would read now.
    pub fn unverified_bytes(&self, later: &[&str]) -> u64 {
        let files = &self.manifest.files;
        let files = self
            .unverified(later)
            .into_iter()
            .map(|file| files[&file].size);
        files.sum()
    }

    fn unverified(&self, later: &[&str]) -> Vec<String> {
        let verified = self.verified.lock().expect("nothing panics with it");
        let is_due = |file: &&String| !verified.contains(*file) && !later.contains(&file.as_str());
        self.manifest.files.keys().filter(is_due).cloned().collect()
    }

    /// Reads a file that the manifest lists; an error unless its bytes have the manifest's hash.
    pub fn read(&self, file: &str) -> Result<Vec<u8>, BundleError> {
        let Some(digest) = self.manifest.files.get(file) else {
            let path = self.root.join(file);
            let reason = "not listed under `files` of the manifest".to_owned();
            return Err(BundleError::Malformed { path, reason });
        };
        let (path, _) = file_inside(&self.root, file)?;
        let mut bytes = vec![0; digest.size as usize];
        let mut hash = StreamHash::default();
        // Bytes that were added since its size was compared stay unread.
        let read = File::open(&path)
            .and_then(|file| digest::read_at_on_all_cores(&file, 0, &mut bytes, &mut hash));
        if let Err(error) = read {
            return Err(BundleError::Io { path, error });
        }
        self.check_hash(file, path, hash.finish())?;
        let mut verified = self.verified.lock().expect("nothing panics with it");
        verified.insert(file.to_owned());
        Ok(bytes)
    }

    /// Refuses a folder in which there is another bundle by now: reads its manifest again.
    pub fn check_unchanged(&self) -> Result<(), BundleError> {
        let path = self.root.join(MANIFEST_FILE);
        match read_text(&path) {
            Ok(text) if text == self.manifest_json => Ok(()),
            _ => Err(BundleError::Replaced(self.root.clone())),
        }
    }

    /// Refuses the copy of a file that has not its hash.
    pub(super) fn check_copy(&self, file: &str, copy: &FileDigest) -> Result<(), BundleError> {
        self.check_hash(file, self.root.join(file), copy.blake3.clone())
    }

    fn check_hash(&self, file: &str, path: PathBuf, found: String) -> Result<(), BundleError> {
        let expected = &self.manifest.files[file].blake3;
        if found == *expected {
            return Ok(());
        }
        Err(BundleError::Hash {
            path,
            algorithm: "BLAKE3",
            found,
            expected: expected.clone(),
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// BLAKE3 of `manifest.json`, which names the hashes of all other files: it stands for the
    /// whole bundle.
    pub fn blake3(&self) -> String {
        digest::blake3_bytes(self.manifest_json.as_bytes())
    }

    /// Bytes of all files that the manifest lists.
    pub fn total_bytes(&self) -> u64 {
        self.manifest.files.values().map(|digest| digest.size).sum()
    }

    /// An ONNX model: its path and its description.
    pub fn part(&self, name: &str) -> Result<(PathBuf, &Part), BundleError> {
        let parts = &self.manifest.parts;
        let part = parts
            .get(name)
            .ok_or_else(|| self.absent("part", name, parts.keys()))?;
        Ok((self.root.join(&part.file), part))
    }

    /// A part's model: one graph of standard operators whose weights lie where the manifest says.
    pub fn model(&self, name: &str) -> Result<PartModel, BundleError> {
        let (path, part) = self.part(name)?;
        let model = self.read(&part.file)?;
        let external_data = match (part.external_file_name(), &part.external_data) {
            (Some(name), Some(file)) => Some((name.to_owned(), self.read(file)?)),
            _ => None,
        };
        let listed = external_data.as_ref();
        let listed = listed.map(|(name, data)| (name.as_str(), data.len() as u64));
        let graph = Graph::read(&path, &model, listed)?;
        graph
            .check_standard()
            .map_err(|reason| ReadError::NotStandard { path, reason })?;
        let files = ModelFiles {
            model,
            external_data,
        };
        Ok(PartModel { files, graph })
    }

    /// The graph of [`Self::model`] alone.
    pub fn graph(&self, name: &str) -> Result<Graph, BundleError> {
        Ok(self.model(name)?.graph)
    }

    /// A dataset, open; its shape and dtype are those of the manifest, and it expects its hash.
    pub fn dataset<T: Element>(&self, name: &str) -> Result<Npy<T>, BundleError> {
        let datasets = &self.manifest.datasets;
        let dataset: &Dataset = datasets
            .get(name)
            .ok_or_else(|| self.absent("dataset", name, datasets.keys()))?;
        let path = self.root.join(&dataset.file);
        let npy = Npy::<T>::open(&path)?;
        if dataset.dtype != T::DTYPE {
            return Err(BundleError::Dtype {
                path,
                found: T::DTYPE,
                expected: dataset.dtype,
            });
        }
        if npy.shape() != dataset.shape {
            let (found, expected) = (npy.shape().to_vec(), dataset.shape.clone());
            return Err(BundleError::Shape {
                path,
                found,
                expected,
            });
        }
        Ok(npy.expecting(&self.manifest.files[&dataset.file].blake3))
    }

    fn absent<'a>(
        &self,
        kind: &'static str,
        name: &str,
        available: impl Iterator<Item = &'a String>,
    ) -> BundleError {
        let available: Vec<String> = available.map(|name| format!("`{name}`")).collect();
        let available = match available.as_slice() {
            [] if kind == "dataset" => "none\nhint: it was exported without samples".to_owned(),
            [] => "none".to_owned(),
            _ => available.join(", "),
        };
        BundleError::Absent {
            path: self.root.join(MANIFEST_FILE),
            kind,
            name: name.to_owned(),
            available,
        }
    }

    fn check_sizes(&self) -> Result<(), BundleError> {
        for (file, digest) in &self.manifest.files {
            let (path, found) = file_inside(&self.root, file)?;
            let expected = digest.size;
            if found != expected {
                return Err(BundleError::Size {
                    path,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// Every part and dataset must be among the files whose hashes are checked.
    fn check_listed(&self) -> Result<(), BundleError> {
        let manifest = &self.manifest;
        let used: BTreeSet<&String> = manifest
            .parts
            .values()
            .flat_map(|part| std::iter::once(&part.file).chain(&part.external_data))
            .chain(manifest.datasets.values().map(|dataset| &dataset.file))
            .collect();
        let is_unlisted = |file: &&String| !manifest.files.contains_key(*file);
        match used.into_iter().find(is_unlisted) {
            None => Ok(()),
            Some(file) => Err(BundleError::Malformed {
                path: self.root.join(MANIFEST_FILE),
                reason: format!("`{file}` is used but not listed under `files`"),
            }),
        }
    }

    /// The manifest determines SHA256SUMS to the byte, so together they reveal a change in either.
    fn check_sums(&self) -> Result<(), BundleError> {
        let (path, _) = file_inside(&self.root, SHA256SUMS_FILE)?;
        if read_text(&path)? == self.manifest.sha256sums(&self.manifest_json) {
            Ok(())
        } else {
            Err(BundleError::Sums(path))
        }
    }
}
