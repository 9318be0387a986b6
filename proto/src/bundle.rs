//! Opening a bundle safely: nothing in it is trusted before version, paths, sizes and hashes have
//! been checked.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use prost::Message as _;

use crate::digest;
use crate::manifest::{Dataset, FORMAT_VERSION, MANIFEST_FILE, Manifest, Part, SHA256SUMS_FILE};
use crate::npy::{Dtype, Element, Npy, NpyError};
use crate::onnx::{TensorProto, tensor_proto};

/// A manifest of all presets' parts is some 20 KB; a larger file than this is not one.
const LARGEST_MANIFEST: u64 = 16 << 20;

/// A bundle whose manifest, paths and file sizes are sound. Hashes are checked by
/// [`Bundle::verify_files`].
#[derive(Debug)]
pub struct Bundle {
    root: PathBuf,
    manifest: Manifest,
    manifest_json: String,
}

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The folder is missing or is not a folder.
    #[error("{0}: no such folder\nhint: a bundle is the folder that `exporter bundle --out` wrote")]
    NoFolder(PathBuf),
    /// The folder has no manifest.
    #[error("{0}: not a bundle: it has no manifest.json")]
    NoManifest(PathBuf),
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The manifest is not what it should be.
    #[error("{path}: malformed manifest: {reason}")]
    Malformed {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Written by a newer or older program.
    #[error(
        "{path}: format_version {found}: this program reads {FORMAT_VERSION} and later minor versions"
    )]
    Version {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// A path in the manifest leads out of the bundle or through a link.
    #[error("{file}: not a plain file inside the bundle ({reason})")]
    UnsafePath {
        /// The path as written.
        file: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A file is absent.
    #[error(
        "{0}: missing from the bundle\nhint: copy the whole folder again; `sha256sum -c SHA256SUMS` lists what differs"
    )]
    Missing(PathBuf),
    /// A file has another size than the manifest says.
    #[error(
        "{path}: {found} bytes, expected {expected}\nhint: the copy is incomplete; copy the whole folder again"
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// A file has other contents than the manifest says.
    #[error(
        "{path}: {algorithm} is {found}, expected {expected}\nhint: the file was changed or damaged; copy it again"
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// Which hash.
        algorithm: &'static str,
        /// Hash found.
        found: String,
        /// Hash expected.
        expected: String,
    },
    /// SHA256SUMS and the manifest disagree.
    #[error(
        "{0}: does not agree with manifest.json\nhint: one of the two was changed or damaged; copy the bundle again"
    )]
    Sums(PathBuf),
    /// Something the caller needs is not in the manifest.
    #[error("{path}: no {kind} `{name}`; it has {available}")]
    Absent {
        /// The manifest.
        path: PathBuf,
        /// `part` or `dataset`.
        kind: &'static str,
        /// What was looked for.
        name: String,
        /// What is there.
        available: String,
    },
    /// A dataset's file differs from its entry.
    #[error("{path}: shape {found:?}, expected {expected:?} as in manifest.json")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Shape of the file.
        found: Vec<usize>,
        /// Shape in the manifest.
        expected: Vec<usize>,
    },
    /// A dataset's file has another element type than its entry.
    #[error("{path}: dtype {}, expected {} as in manifest.json", .found.name(), .expected.name())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// Element type of the file.
        found: Dtype,
        /// Element type in the manifest.
        expected: Dtype,
    },
    /// A dataset's file is not sound.
    #[error(transparent)]
    Npy(#[from] NpyError),
}

impl Bundle {
    /// Opens a bundle: reads the manifest, checks its version, that every file is a plain file
    /// inside the folder, and that each has the size it should have.
    pub fn open(root: &Path) -> Result<Self, BundleError> {
        if !root.is_dir() {
            return Err(BundleError::NoFolder(root.to_owned()));
        }
        let (path, _) = plain_file(root, MANIFEST_FILE).map_err(|error| match error {
            BundleError::Missing(_) => BundleError::NoManifest(root.to_owned()),
            other => other,
        })?;
        let manifest_json = read_text(&path).map_err(|error| BundleError::Io {
            path: path.clone(),
            error,
        })?;
        let manifest = parse(&path, &manifest_json)?;
        let bundle = Self {
            root: root.to_owned(),
            manifest,
            manifest_json,
        };
        bundle.check_listed()?;
        for (file, digest) in &bundle.manifest.files {
            let (path, found) = plain_file(root, file)?;
            if found != digest.size {
                return Err(BundleError::Size {
                    path,
                    found,
                    expected: digest.size,
                });
            }
        }
        bundle.check_sums()?;
        Ok(bundle)
    }

    /// Compares every file with its BLAKE3; `progress` is told the bytes as they are read.
    pub fn verify_files(&self, mut progress: impl FnMut(u64)) -> Result<(), BundleError> {
        for (file, digest) in &self.manifest.files {
            let path = self.root.join(file);
            let found =
                digest::blake3_file(&path, &mut progress).map_err(|error| BundleError::Io {
                    path: path.clone(),
                    error,
                })?;
            if found != digest.blake3 {
                return Err(BundleError::Hash {
                    path,
                    algorithm: "BLAKE3",
                    found,
                    expected: digest.blake3.clone(),
                });
            }
        }
        Ok(())
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The description.
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

    /// A tensor of a test data set, `[1, …]` float32 in ONNX's own form, whose axes after the first
    /// are `axes`.
    pub fn test_tensor(&self, file: &str, axes: &[usize]) -> Result<Vec<f32>, BundleError> {
        let path = self.root.join(file);
        let malformed = |reason: String| BundleError::Malformed {
            path: path.clone(),
            reason,
        };
        if !self.manifest.files.contains_key(file) {
            return Err(malformed(
                "not listed under `files` of the manifest".to_owned(),
            ));
        }
        let bytes = fs::read(&path).map_err(|error| BundleError::Io {
            path: path.clone(),
            error,
        })?;
        let tensor =
            TensorProto::decode(bytes.as_slice()).map_err(|error| malformed(error.to_string()))?;
        let expected: Vec<i64> = std::iter::once(1)
            .chain(axes.iter().map(|&axis| axis as i64))
            .collect();
        let is_float = tensor.data_type == Some(tensor_proto::DataType::Float as i32);
        let elements = axes
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis));
        let data = tensor.raw_data.as_deref().unwrap_or_default();
        if !is_float
            || tensor.dims != expected
            || elements.and_then(|count| count.checked_mul(4)) != Some(data.len())
        {
            return Err(malformed(format!(
                "a tensor of type {}, shape {:?} and {} bytes, expected float32 of shape {expected:?}",
                tensor.data_type.unwrap_or_default(),
                tensor.dims,
                data.len()
            )));
        }
        Ok(data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")))
            .collect())
    }

    fn absent<'a>(
        &self,
        kind: &'static str,
        name: &str,
        there: impl Iterator<Item = &'a String>,
    ) -> BundleError {
        let available = there
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let available = match available.as_str() {
            "" if kind == "dataset" => {
                "none\nhint: the bundle was exported with --samples 0: models alone".to_owned()
            }
            "" => "none".to_owned(),
            _ => available,
        };
        BundleError::Absent {
            path: self.root.join(MANIFEST_FILE),
            kind,
            name: name.to_owned(),
            available,
        }
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
        match used
            .into_iter()
            .find(|file| !manifest.files.contains_key(*file))
        {
            None => Ok(()),
            Some(file) => Err(BundleError::Malformed {
                path: self.root.join(MANIFEST_FILE),
                reason: format!("`{file}` is used but not listed under `files`"),
            }),
        }
    }

    /// The manifest determines SHA256SUMS to the byte, so together they reveal a change in either.
    fn check_sums(&self) -> Result<(), BundleError> {
        let (path, _) = plain_file(&self.root, SHA256SUMS_FILE)?;
        let found = read_text(&path).map_err(|error| BundleError::Io {
            path: path.clone(),
            error,
        })?;
        if found == self.manifest.sha256sums(&self.manifest_json) {
            Ok(())
        } else {
            Err(BundleError::Sums(path))
        }
    }
}

/// The bundle that a path would lie in, if any: what is put there would be no part of it, and
/// unknown to its hashes.
pub fn around(path: &Path) -> Option<PathBuf> {
    let parent = std::path::absolute(path).ok()?.parent()?.to_owned();
    let nearest = parent
        .ancestors()
        .find_map(|folder| folder.canonicalize().ok())?;
    let is_bundle = |folder: &&Path| {
        folder.join(MANIFEST_FILE).is_file() && folder.join(SHA256SUMS_FILE).is_file()
    };
    nearest.ancestors().find(is_bundle).map(Path::to_owned)
}

/// Resolves a path of the manifest to a plain file inside the folder, and gives its size.
fn plain_file(root: &Path, file: &str) -> Result<(PathBuf, u64), BundleError> {
    let refused = |reason| BundleError::UnsafePath {
        file: file.to_owned(),
        reason,
    };
    if file.is_empty() || file.contains('\\') {
        return Err(refused("empty, or with a backslash"));
    }
    let mut path = root.to_owned();
    for component in Path::new(file).components() {
        let Component::Normal(name) = component else {
            return Err(refused("absolute, or with `.` or `..`"));
        };
        path.push(name);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => return Err(refused("a symbolic link")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BundleError::Missing(path));
            }
            Err(error) => return Err(BundleError::Io { path, error }),
        }
    }
    match path.metadata() {
        Ok(metadata) if metadata.is_file() => Ok((path, metadata.len())),
        Ok(_) => Err(refused("not a file")),
        Err(error) => Err(BundleError::Io { path, error }),
    }
}

fn parse(path: &Path, json: &str) -> Result<Manifest, BundleError> {
    let malformed = |reason: String| BundleError::Malformed {
        path: path.to_owned(),
        reason,
    };
    // The version first: a later major version may have another layout altogether.
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    let version = value
        .get("format_version")
        .and_then(|version| version.as_str())
        .ok_or_else(|| malformed("no format_version".to_owned()))?;
    let numbers = |version: &str| -> Option<(u32, u32)> {
        let (major, minor) = version.split_once('.')?;
        let number = |digits: &str| {
            digits
                .parse()
                .ok()
                .filter(|number: &u32| number.to_string() == digits)
        };
        Some((number(major)?, number(minor)?))
    };
    if numbers(version).map(|(major, _)| major) != numbers(FORMAT_VERSION).map(|(major, _)| major) {
        return Err(BundleError::Version {
            path: path.to_owned(),
            found: version.to_owned(),
        });
    }
    if let Some(text) = text_with_control_characters(&value) {
        return Err(malformed(format!("control characters in {text:?}")));
    }
    // From the text, in which a key that stands twice can still be seen.
    let manifest: Manifest =
        serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    manifest.check().map_err(malformed)?;
    Ok(manifest)
}

/// A text or key that could move a terminal's cursor or forge a line of output.
fn text_with_control_characters(value: &serde_json::Value) -> Option<&str> {
    let spoiled = |text: &str| text.chars().any(char::is_control);
    match value {
        serde_json::Value::String(text) => spoiled(text).then_some(text.as_str()),
        serde_json::Value::Array(values) => values.iter().find_map(text_with_control_characters),
        serde_json::Value::Object(entries) => entries.iter().find_map(|(key, value)| {
            if spoiled(key) {
                Some(key.as_str())
            } else {
                text_with_control_characters(value)
            }
        }),
        _ => None,
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?
        .take(LARGEST_MANIFEST + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_MANIFEST {
        return Err(io::Error::other(format!(
            "longer than {LARGEST_MANIFEST} bytes"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;
    use crate::manifest::*;
    use crate::npy::{Dtype, NpyWriter};
    use crate::preprocessing::Preprocessing;
    use crate::tier::Tiers;

    const LABELS_FILE: &str = "npy/labels.npy";

    /// A sound bundle with one dataset, whose manifest `change` may spoil before it is written.
    fn bundle(change: impl FnOnce(&mut Manifest)) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir(folder.path().join("npy")).expect("make");
        let mut writer =
            NpyWriter::<i64>::create(&folder.path().join(LABELS_FILE), &[2]).expect("create");
        writer.write(&[3, 8]).expect("write");
        writer.finish().expect("finish");
        let digest = digest::digest_file(&folder.path().join(LABELS_FILE)).expect("digest");
        let labels = Dataset {
            file: LABELS_FILE.to_owned(),
            role: Role::SampleInfo,
            dtype: Dtype::Int64,
            shape: vec![2],
        };
        let config = Preset::Nano.config();
        let mut manifest = Manifest {
            format_version: FORMAT_VERSION.to_owned(),
            producer: Producer {
                name: "test".to_owned(),
                version: "0".to_owned(),
            },
            module: "transformer.layers.0.0.fn".to_owned(),
            parts: [].into(),
            datasets: [(dataset::LABELS.to_owned(), labels)].into(),
            selection: Selection {
                split: Split::Test,
                subset: None,
            },
            tiers: Tiers::new(4),
            preprocessing: Preprocessing::cifar10(config.image_size),
            golden: Golden {
                libtorch: "2.13.0".to_owned(),
                device: "cpu".to_owned(),
                dtype: Dtype::Float32,
                threads: 1,
                batch_size: 1,
                cpu_features: vec![],
                float64: None,
            },
            accuracy: Accuracy {
                samples: 2,
                correct: 1,
            },
            files: [(LABELS_FILE.to_owned(), digest)].into(),
            model: Model {
                preset: "nano".to_owned(),
                parameters: 310_186,
                config,
                weights_sha256: "00".to_owned(),
            },
        };
        change(&mut manifest);
        let json = manifest.to_json();
        fs::write(
            folder.path().join(SHA256SUMS_FILE),
            manifest.sha256sums(&json),
        )
        .expect("write");
        fs::write(folder.path().join(MANIFEST_FILE), json).expect("write");
        folder
    }

    fn refusal(folder: &tempfile::TempDir) -> String {
        let result = Bundle::open(folder.path()).and_then(|bundle| {
            bundle.verify_files(|_| {})?;
            bundle.dataset::<i64>(dataset::LABELS).map(|_| ())
        });
        result.expect_err("must be refused").to_string()
    }

    #[test]
    fn a_sound_bundle_opens() {
        let folder = bundle(|_| {});
        let bundle = Bundle::open(folder.path()).expect("open");
        let mut bytes = 0;
        bundle.verify_files(|block| bytes += block).expect("hashes");
        assert_eq!(bytes, bundle.total_bytes());
        assert_eq!(
            &*bundle
                .dataset::<i64>(dataset::LABELS)
                .expect("dataset")
                .rows(0..2)
                .expect("rows"),
            [3, 8]
        );
        assert!(
            bundle
                .part(part::FULL)
                .expect_err("none")
                .to_string()
                .contains("no part `full`; it has none")
        );
    }

    #[test]
    fn another_major_version_is_refused_and_another_minor_one_read() {
        assert!(
            refusal(&bundle(|manifest| manifest.format_version = "2.0".into()))
                .contains("format_version 2.0")
        );
        let later = bundle(|manifest| manifest.format_version = "1.7".into());
        assert!(Bundle::open(later.path()).is_ok());
    }

    #[test]
    fn paths_out_of_the_bundle_are_refused() {
        for path in [
            "../labels.npy",
            "/etc/passwd",
            "npy/../npy/labels.npy",
            "./npy/labels.npy",
            "npy\\labels.npy",
            "",
        ] {
            let folder = bundle(|manifest| {
                let digest = manifest.files.remove(LABELS_FILE).expect("entry");
                manifest.files.insert(path.to_owned(), digest);
                manifest
                    .datasets
                    .get_mut(dataset::LABELS)
                    .expect("entry")
                    .file = path.to_owned();
            });
            assert!(
                refusal(&folder).contains("not a plain file inside the bundle"),
                "{path}: {}",
                refusal(&folder)
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused() {
        let folder = bundle(|_| {});
        let file = folder.path().join(LABELS_FILE);
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&file, &elsewhere).expect("move");
        std::os::unix::fs::symlink(&elsewhere, &file).expect("link");
        assert!(refusal(&folder).contains("a symbolic link"));
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        for file in [LABELS_FILE, MANIFEST_FILE, SHA256SUMS_FILE] {
            let folder = bundle(|_| {});
            let path = folder.path().join(file);
            let clean = fs::read(&path).expect("read");
            for position in 0..clean.len() {
                let mut spoiled = clean.clone();
                spoiled[position] ^= 1;
                fs::write(&path, spoiled).expect("write");
                let _ = refusal(&folder);
            }
        }
    }

    #[test]
    fn missing_short_and_unlisted_files_are_named() {
        let folder = bundle(|_| {});
        fs::remove_file(folder.path().join(LABELS_FILE)).expect("remove");
        assert!(refusal(&folder).contains("missing from the bundle"));

        let folder = bundle(|_| {});
        fs::write(folder.path().join(LABELS_FILE), "short").expect("write");
        assert!(refusal(&folder).contains("5 bytes, expected 144"));

        let folder = bundle(|manifest| manifest.files.clear());
        assert!(refusal(&folder).contains("not listed under `files`"));

        let folder = bundle(|manifest| {
            manifest
                .datasets
                .get_mut(dataset::LABELS)
                .expect("entry")
                .shape = vec![2, 1]
        });
        assert!(refusal(&folder).contains("shape [2], expected [2, 1]"));

        let folder = bundle(|manifest| manifest.model.config.dim = 0);
        assert!(refusal(&folder).contains("dim is 0"));
    }

    #[test]
    fn what_is_not_a_bundle_says_so() {
        let folder = tempfile::tempdir().expect("folder");
        assert!(refusal(&folder).contains("no manifest.json"));
        fs::write(folder.path().join(MANIFEST_FILE), "{".repeat(100_000)).expect("write");
        assert!(refusal(&folder).contains("malformed"));
        let missing = Bundle::open(&folder.path().join("none"))
            .expect_err("missing")
            .to_string();
        assert!(missing.contains("no such folder"));
    }
}
