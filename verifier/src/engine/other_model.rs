//! A model that the user names in the place of the bundle's own: simplified, quantised, of another
//! precision or opset, or of a fixed batch.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use prost::Message as _;
use proto::onnx::tensor_shape_proto::dimension;
use proto::onnx::{ModelProto, NodeProto, type_proto};

use super::files::{FileRecord, read_whole};

/// The bytes of a model and of every file that it refers to.
#[derive(Debug)]
pub struct OtherModel {
    pub path: PathBuf,
    pub model: Vec<u8>,
    /// Names, below the model's folder, and bytes of the files that hold some of its weights.
    external: Vec<(PathBuf, Vec<u8>)>,
    /// All of them, with their hashes; the model is the first.
    pub files: Vec<FileRecord>,
    /// Samples of every run, if its first input fixes them.
    pub fixed_batch: Option<usize>,
    /// In the model's order.
    pub output_names: Vec<String>,
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OtherModelError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: not a model of ONNX: {reason}")]
    Malformed { path: PathBuf, reason: String },
    #[error(
        "{path}: tensor `{tensor}` is stored in {location:?}, which is not below the model's folder"
    )]
    Outside {
        path: PathBuf,
        tensor: String,
        location: String,
    },
    #[error(
        "{path}: node `{node}` is a compiled context, which may refer to files that nobody lists\n\
         hint: name the model that it was compiled from"
    )]
    Context { path: PathBuf, node: String },
}

impl OtherModel {
    /// Reads a model and every file that it refers to, which must lie below its folder.
    pub fn read(path: &Path) -> Result<Self, OtherModelError> {
        let at = |path: &Path, error| OtherModelError::Io {
            path: path.to_owned(),
            error,
        };
        let (model, record) = read_whole(path).map_err(|error| at(path, error))?;
        let mut files = vec![record];
        let mut external = Vec::new();
        let proto = ModelProto::decode(model.as_slice());
        let proto = proto.map_err(|error| malformed(path, error.to_string()))?;
        for name in external_names(path, &proto)? {
            let file = path.parent().unwrap_or(Path::new("")).join(&name);
            let (bytes, record) = read_whole(&file).map_err(|error| at(&file, error))?;
            external.push((name, bytes));
            files.push(record);
        }
        Ok(Self {
            path: path.to_owned(),
            model,
            external,
            files,
            fixed_batch: fixed_batch(&proto),
            output_names: output_names(&proto),
        })
    }

    /// Frees the bytes; the hashes stay.
    pub fn release(&mut self) {
        self.model = vec![];
        self.external = vec![];
    }

    /// Whether some of its weights are in other files.
    pub fn has_external_data(&self) -> bool {
        !self.external.is_empty()
    }

    /// BLAKE3 of its files, in their order: what a calibration holds for.
    pub fn blake3(&self) -> String {
        let hashes: Vec<&str> = self.files.iter().map(|file| file.blake3.as_str()).collect();
        hashes.join("+")
    }

    /// Writes what was hashed into a folder, the model as `model.onnx`: for a runtime that reads
    /// further files by itself.
    pub fn write_into(&self, folder: &Path) -> io::Result<()> {
        fs::write(folder.join("model.onnx"), &self.model)?;
        for (name, bytes) in &self.external {
            let copy = folder.join(name);
            if let Some(around) = copy.parent() {
                fs::create_dir_all(around)?;
            }
            fs::write(copy, bytes)?;
        }
        Ok(())
    }
}

/// The files that a model's tensors are in, each once.
fn external_names(path: &Path, model: &ModelProto) -> Result<Vec<PathBuf>, OtherModelError> {
    let graph = model.graph.as_ref();
    let graph = graph.ok_or_else(|| malformed(path, "it has no graph".to_owned()))?;
    let is_context = |node: &&NodeProto| node.op_type() == "EPContext";
    let functions = model.functions.iter().flat_map(|function| &function.node);
    if let Some(node) = graph.node.iter().chain(functions).find(is_context) {
        return Err(OtherModelError::Context {
            path: path.to_owned(),
            node: node.name().to_owned(),
        });
    }
    let mut names = BTreeSet::new();
    for tensor in model.external_tensors() {
        let mut entries = tensor.external_data.iter();
        let location = entries.find(|entry| entry.key() == "location");
        let location = location.map(|entry| entry.value()).unwrap_or_default();
        let name = PathBuf::from(location);
        let is_below = |component: Component<'_>| matches!(component, Component::Normal(_));
        if location.is_empty() || !name.components().all(is_below) {
            return Err(OtherModelError::Outside {
                path: path.to_owned(),
                tensor: tensor.name().to_owned(),
                location: location.to_owned(),
            });
        }
        names.insert(name);
    }
    Ok(names.into_iter().collect())
}

fn output_names(model: &ModelProto) -> Vec<String> {
    let outputs = model.graph.iter().flat_map(|graph| &graph.output);
    outputs.map(|output| output.name().to_owned()).collect()
}

/// The length of the first axis of the first input, unless it is free.
fn fixed_batch(model: &ModelProto) -> Option<usize> {
    let input = model.graph.as_ref()?.input.first()?;
    let Some(type_proto::Value::TensorType(tensor)) = &input.r#type.as_ref()?.value else {
        return None;
    };
    match &tensor.shape.as_ref()?.dim.first()?.value {
        Some(dimension::Value::DimValue(length)) => usize::try_from(*length).ok(),
        _ => None,
    }
}

fn malformed(path: &Path, reason: String) -> OtherModelError {
    OtherModelError::Malformed {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use proto::onnx::{GraphProto, StringStringEntryProto, TensorProto};

    use super::*;

    fn with_weights_in(location: &str) -> Vec<u8> {
        let entry = StringStringEntryProto {
            key: Some("location".to_owned()),
            value: Some(location.to_owned()),
        };
        let tensor = TensorProto {
            name: Some("w".to_owned()),
            external_data: vec![entry],
            data_location: Some(1),
            ..TensorProto::default()
        };
        let graph = GraphProto {
            initializer: vec![tensor],
            ..GraphProto::default()
        };
        let model = ModelProto {
            graph: Some(graph),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    #[test]
    fn every_file_is_hashed_and_copied() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("other.onnx");
        fs::write(&path, with_weights_in("data/weights.bin")).expect("write");
        let missing = OtherModel::read(&path).expect_err("no weights");
        assert!(missing.to_string().contains("weights.bin"), "{missing}");
        fs::create_dir(folder.path().join("data")).expect("make");
        fs::write(folder.path().join("data/weights.bin"), "weights").expect("write");
        let model = OtherModel::read(&path).expect("a model and its weights");
        assert_eq!(model.files.len(), 2);
        let copy = tempfile::tempdir().expect("folder");
        model.write_into(copy.path()).expect("copy");
        let file = copy.path().join("model.onnx");
        assert_eq!(fs::read(file).expect("model"), model.model);
        let weights = copy.path().join("data/weights.bin");
        assert_eq!(fs::read(weights).expect("weights"), b"weights");
    }

    #[test]
    fn files_elsewhere_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("other.onnx");
        for location in ["../weights.bin", "/etc/passwd", "a/../../b", ""] {
            fs::write(&path, with_weights_in(location)).expect("write");
            let refused = OtherModel::read(&path).expect_err(location).to_string();
            assert!(
                refused.contains("not below the model's folder"),
                "{refused}"
            );
        }
        fs::write(&path, "no model").expect("write");
        assert!(OtherModel::read(&path).is_err());
    }
}
