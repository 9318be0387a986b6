//! A model file as a graph in memory.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;

use super::external::{ExternalDataError, check_external_data};
use super::shape::{Axis, dtype_of, shape_of};
use crate::npy::Dtype;
use crate::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use crate::regular_file;

/// An ONNX model with its graph; all of it is in memory but external data.
///
/// ```
/// use proto::graph::{Axis, Graph};
///
/// # let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
/// # let bundle = fixtures.join("tiny_bundle");
/// let full = Graph::open(&bundle.join("onnx/full/model.onnx"), None)?;
/// assert_eq!(full.input_names(), ["image"]);
/// assert_eq!(full.shape("logits"), Some(vec![Axis::Named("batch".into()), Axis::Fixed(10)]));
///
/// let tail = full.cut(&["mlp_head_0"], &["logits"])?;
/// assert_eq!(tail.nodes().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// With its graph.
    pub(super) model: ModelProto,
}

/// Why a file is not a graph to work with.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read, or is not ONNX.
    #[error("{path}: not an ONNX model: {reason}")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path}: {error}")]
    ExternalData {
        path: PathBuf,
        error: ExternalDataError,
    },
    /// It is more than a graph of standard operators.
    #[error(
        "{path}: {reason}\n\
         hint: a bundle's model is one graph of standard ONNX operators, as `exporter bundle` \
         writes it"
    )]
    NotStandard { path: PathBuf, reason: String },
}

impl Graph {
    /// Reads a model file. Data outside of it must lie in the file of this name beside it, which
    /// the manifest names, and inside that file; for a model without external data it is `None`.
    pub fn open(path: &Path, external_data: Option<&str>) -> Result<Self, ReadError> {
        let bytes = regular_file::read(path).map_err(|error| ReadError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let external = external_data.map(|name| {
            let size = fs::metadata(path.with_file_name(name)).map_or(0, |metadata| metadata.len());
            (name, size)
        });
        Self::read(path, &bytes, external)
    }

    /// The same of a file's bytes, which are in memory already; of the file beside it the name and
    /// the size in bytes.
    pub fn read(
        path: &Path,
        bytes: &[u8],
        external_data: Option<(&str, u64)>,
    ) -> Result<Self, ReadError> {
        let path = || path.to_owned();
        let graph = Self::decode(bytes).map_err(|reason| ReadError::Unreadable {
            path: path(),
            reason,
        })?;
        check_external_data(&graph.model, external_data).map_err(|error| {
            ReadError::ExternalData {
                path: path(),
                error,
            }
        })?;
        Ok(graph)
    }

    /// Decodes a model's bytes; says what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let model = ModelProto::decode(bytes).map_err(|error| error.to_string())?;
        match model.graph {
            Some(_) => Ok(Self { model }),
            None => Err("it has no graph".to_owned()),
        }
    }

    /// The model's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    /// Whether a tensor's data lie outside of the model's file: then the model cannot be run from
    /// memory.
    pub fn has_external_data(&self) -> bool {
        !self.model.external_tensors().is_empty()
    }

    pub(super) fn graph(&self) -> &GraphProto {
        self.model.graph.as_ref().expect("every Graph has one")
    }

    pub(super) fn graph_mut(&mut self) -> &mut GraphProto {
        self.model.graph.get_or_insert_default()
    }

    /// In the order in which they can run.
    pub fn nodes(&self) -> &[NodeProto] {
        &self.graph().node
    }

    /// Names of the graph's inputs. A model of IR 3 lists its initializers among them.
    pub fn input_names(&self) -> Vec<&str> {
        self.graph()
            .input
            .iter()
            .map(ValueInfoProto::name)
            .collect()
    }

    pub fn output_names(&self) -> Vec<&str> {
        self.graph()
            .output
            .iter()
            .map(ValueInfoProto::name)
            .collect()
    }

    pub fn initializer_names(&self) -> Vec<&str> {
        let dense = self.graph().initializer.iter().map(|tensor| tensor.name());
        dense.chain(self.sparse_names()).collect()
    }

    /// The tensors that a node writes and another one reads: where a graph can be cut.
    pub fn inner_edges(&self) -> Vec<&str> {
        self.nodes()
            .iter()
            .flat_map(|node| &node.output)
            .map(String::as_str)
            .filter(|name| !name.is_empty() && !self.readers(name).is_empty())
            .collect()
    }

    /// The shape that the graph declares of a tensor; `None` where it declares none, or leaves the
    /// length of an axis open without a name.
    pub fn shape(&self, tensor: &str) -> Option<Vec<Axis>> {
        shape_of(self.value(tensor)?)
    }

    /// The element type that the graph declares of a tensor; `None` where it declares none, or one
    /// that bundles do not use.
    pub fn dtype(&self, tensor: &str) -> Option<Dtype> {
        dtype_of(self.value(tensor)?)
    }

    /// What the graph declares of a tensor.
    pub(super) fn value(&self, tensor: &str) -> Option<&ValueInfoProto> {
        let GraphProto {
            input,
            output,
            value_info,
            ..
        } = self.graph();
        let mut declared = input.iter().chain(output).chain(value_info);
        declared.find(|value| value.name() == tensor)
    }

    pub(super) fn is_initializer(&self, name: &str) -> bool {
        let mut dense = self.graph().initializer.iter();
        dense.any(|tensor| tensor.name() == name) || self.sparse_names().any(|found| found == name)
    }

    fn sparse_names(&self) -> impl Iterator<Item = &str> {
        let sparse = self.graph().sparse_initializer.iter();
        sparse.filter_map(|tensor| Some(tensor.values.as_ref()?.name()))
    }
}
