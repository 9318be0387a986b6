//! The ONNX model as a file and in memory: where its data lie, and weight faults.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;
use proto::manifest::Part;
use proto::onnx::{ModelProto, TensorProto, tensor_proto};
use proto::regular_file;

use super::fault::{Fault, FaultError, Target};

/// A model that can be run: all of its data are covered by the bundle's hashes.
#[derive(Debug)]
pub struct Model {
    path: PathBuf,
    proto: ModelProto,
}

/// The model is not one to run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// It cannot be read, or is not ONNX.
    #[error("{path}: not an ONNX model: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Its weights are elsewhere than the bundle says.
    #[error("{path}: tensor `{tensor}` {reason}: the bundle's hashes do not cover its data")]
    ExternalData {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Where its data are said to lie.
        reason: String,
    },
    /// A weight fault has no place.
    #[error(transparent)]
    Fault(#[from] FaultError),
}

impl Model {
    /// Reads a part's model. Data outside its file must be in the part's own external file, and
    /// inside it.
    pub fn open(path: &Path, part: &Part) -> Result<Self, ModelError> {
        let unreadable = |reason: String| ModelError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        let bytes = regular_file::read(path).map_err(|error| unreadable(error.to_string()))?;
        let proto =
            ModelProto::decode(bytes.as_slice()).map_err(|error| unreadable(error.to_string()))?;
        let model = Self {
            path: path.to_owned(),
            proto,
        };
        model.check_external_data(part)?;
        Ok(model)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_external_data(&self, part: &Part) -> Result<(), ModelError> {
        // ONNX looks for the file in the model's own folder: only one that is listed there is
        // covered by a hash.
        let folder = |file: &str| file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let listed = part
            .external_data
            .as_ref()
            .filter(|file| folder(file) == folder(&part.file))
            .map(|file| {
                let name = file.rsplit('/').next().unwrap_or(file).to_owned();
                let size = fs::metadata(self.path.with_file_name(&name))
                    .map_or(0, |metadata| metadata.len());
                (name, size)
            });
        for tensor in self.proto.external_tensors() {
            let refused = |reason: String| ModelError::ExternalData {
                path: self.path.clone(),
                tensor: tensor.name().to_owned(),
                reason,
            };
            let entries: BTreeMap<&str, &str> = tensor
                .external_data
                .iter()
                .map(|entry| (entry.key(), entry.value()))
                .collect();
            let location = entries.get("location").copied().unwrap_or_default();
            let Some((name, size)) = &listed else {
                return Err(refused(format!(
                    "is stored in another file, {location:?}, and the manifest names none beside the model"
                )));
            };
            if location != name {
                return Err(refused(format!(
                    "is stored in {location:?}, but the manifest names {name:?}"
                )));
            }
            let number = |key: &str| {
                entries
                    .get(key)
                    .map_or(Some(0), |text| text.parse::<u64>().ok())
            };
            let end = number("offset")
                .zip(number("length"))
                .and_then(|(offset, length)| offset.checked_add(length));
            if end.is_none_or(|end| end > *size) {
                return Err(refused(format!("ends beyond the {size} bytes of {name:?}")));
            }
        }
        Ok(())
    }

    /// What the largest operator reads and writes for each sample, in bytes.
    pub fn largest_operator_bytes(&self) -> Option<usize> {
        None
    }

    /// The model's bytes with the faults that are in weights; `None` if there are none.
    pub fn with_weight_faults(mut self, faults: &[Fault]) -> Result<Option<Vec<u8>>, ModelError> {
        let mut changed = false;
        for fault in faults {
            if let Target::Weight(name) = &fault.target {
                self.change(fault, name)?;
                changed = true;
            }
        }
        Ok(changed.then(|| self.proto.encode_to_vec()))
    }

    fn change(&mut self, fault: &Fault, name: &str) -> Result<(), FaultError> {
        // A model in memory has no folder in which ONNX Runtime could find them.
        let is_whole = self.proto.external_tensors().is_empty();
        let initializers = self
            .proto
            .graph
            .as_mut()
            .map(|graph| &mut graph.initializer);
        let mut initializers: Vec<&mut TensorProto> = initializers.into_iter().flatten().collect();
        let Some(position) = initializers.iter().position(|tensor| tensor.name() == name) else {
            let available = initializers
                .iter()
                .map(|tensor| tensor.name())
                .collect::<Vec<_>>()
                .join(", ");
            return Err(FaultError::NoTensor {
                fault: fault.to_string(),
                kind: "weight",
                name: name.to_owned(),
                available,
            });
        };
        let tensor = initializers.swap_remove(position);
        let refused = |reason| FaultError::Weight {
            fault: fault.to_string(),
            name: name.to_owned(),
            reason,
        };
        if tensor.data_type != Some(tensor_proto::DataType::Float as i32) {
            return Err(refused("is not float32"));
        }
        if !is_whole {
            return Err(refused(
                "is of a model that keeps weights in a second file, which cannot be run from memory",
            ));
        }
        let shape: Vec<usize> = tensor
            .dims
            .iter()
            .map(|&axis| usize::try_from(axis).unwrap_or_default())
            .collect();
        let element = fault.element(name, &shape)?;
        if let Some(raw) = tensor.raw_data.as_mut().filter(|raw| !raw.is_empty()) {
            let bytes = raw
                .chunks_exact_mut(4)
                .nth(element)
                .ok_or_else(|| refused("has less data than its shape"))?;
            let value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            bytes.copy_from_slice(&fault.change.apply(value).to_le_bytes());
        } else {
            let value = tensor
                .float_data
                .get_mut(element)
                .ok_or_else(|| refused("has less data than its shape"))?;
            *value = fault.change.apply(*value);
        }
        Ok(())
    }
}
