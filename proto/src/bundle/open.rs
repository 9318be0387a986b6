//! Opening a bundle safely: nothing in it is trusted before version, paths, sizes and hashes have
//! been checked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::BundleError;
use super::parse::parse;
use super::path::{file_inside, read_text};
use crate::digest;
use crate::graph::Graph;
use crate::manifest::{Dataset, MANIFEST_FILE, Manifest, Part, SHA256SUMS_FILE};
use crate::npy::{Element, Npy};

/// A bundle whose manifest, paths and file sizes have been checked. Hashes are checked by
/// [`Bundle::verify_files`].
#[derive(Debug)]
pub struct Bundle {
    root: PathBuf,
    manifest: Manifest,
    manifest_json: String,
}

impl Bundle {
    /// Opens a bundle: reads the manifest, checks its version, that every file is a regular
    /// file inside the folder, and that each has the size it should have.
    pub fn open(root: &Path) -> Result<Self, BundleError> {
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
        };
        bundle.check_listed()?;
        bundle.check_sizes()?;
        bundle.check_sums()?;
        Ok(bundle)
    }

    /// Compares every file with its BLAKE3; `progress` is told the bytes as they are read.
    pub fn verify_files(&self, mut progress: impl FnMut(u64)) -> Result<(), BundleError> {
        for (file, digest) in &self.manifest.files {
            let path = self.root.join(file);
            match digest::blake3_file(&path, &mut progress) {
                Ok(found) if found == digest.blake3 => {}
                Ok(found) => {
                    return Err(BundleError::Hash {
                        path,
                        algorithm: "BLAKE3",
                        found,
                        expected: digest.blake3.clone(),
                    });
                }
                Err(error) => return Err(BundleError::Io { path, error }),
            }
        }
        Ok(())
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

    /// A part's model, read into memory; external data are where the manifest says.
    pub fn graph(&self, name: &str) -> Result<Graph, BundleError> {
        let (path, part) = self.part(name)?;
        Ok(Graph::open(&path, part.external_file_name())?)
    }

    /// A dataset, open; its shape and dtype are those of the manifest.
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
        Ok(npy)
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
