//! Changing a graph: a node put upon an edge, a node replaced by others, an initializer that
//! becomes an input.

use std::ops::Range;

use super::initializer::InitializerError;
use super::links::reads;
use super::read::Graph;
use super::shape::fixed_value;
use crate::onnx::{NodeProto, ValueInfoProto};

/// Who reads what an inserted node writes, instead of the tensor before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers<'a> {
    /// Every node that reads the tensor.
    All,
    /// The node of this name.
    Node(&'a str),
}

/// Why a graph cannot be changed so.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RewriteError {
    #[error("no tensor `{0}` in the graph")]
    NoTensor(String),
    #[error("no node `{0}` in the graph")]
    NoNode(String),
    #[error("{} tensor `{tensor}`", who_does_not_read(.node.as_deref()))]
    NotRead {
        tensor: String,
        node: Option<String>,
    },
    #[error("tensor `{0}` is there already")]
    Taken(String),
    /// A new node takes what is computed after its place.
    #[error("node `{node}` takes tensor `{tensor}`, which is not there yet at its place")]
    TooEarly { node: String, tensor: String },
    /// A replaced node's output is still read.
    #[error("tensor `{0}` is read, but the new nodes do not write it")]
    NotWritten(String),
    /// A node with a graph inside it reads the tensor there.
    #[error("node `{node}` reads tensor `{tensor}` in a graph inside it, which is left as it is")]
    ReadInside { node: String, tensor: String },
    #[error(transparent)]
    Initializer(#[from] InitializerError),
}

fn who_does_not_read(node: Option<&str>) -> String {
    match node {
        Some(node) => format!("node `{node}` does not read"),
        None => "no node reads".to_owned(),
    }
}

impl Graph {
    /// Puts a node upon the edge from a tensor to its readers. The node should take the tensor;
    /// its first output, a new name, is what the readers get instead. What else it takes must be
    /// there when the first reader runs. A graph output keeps the tensor as it was.
    pub fn insert(
        &mut self,
        tensor: &str,
        readers: Readers<'_>,
        node: NodeProto,
    ) -> Result<(), RewriteError> {
        if !self.has_tensor(tensor) {
            return Err(RewriteError::NoTensor(tensor.to_owned()));
        }
        let readers = self.chosen_readers(tensor, readers)?;
        let place = readers.first().copied().unwrap_or_default();
        self.check_new_nodes(std::slice::from_ref(&node), place..place)?;
        let Some(output) = node.output.first().cloned() else {
            return Err(RewriteError::NotWritten(tensor.to_owned()));
        };
        if let Some(declared) = self.value(tensor).cloned() {
            let name = Some(output.clone());
            let declared = ValueInfoProto { name, ..declared };
            self.graph_mut().value_info.push(declared);
        }
        let nodes = &mut self.graph_mut().node;
        for position in readers {
            let inputs = nodes[position].input.iter_mut();
            inputs
                .filter(|input| *input == tensor)
                .for_each(|input| input.clone_from(&output));
        }
        nodes.insert(place, node);
        Ok(())
    }

    /// Puts other nodes in the place of one, in the order given. They must write every output of it
    /// that is read elsewhere.
    pub fn replace(&mut self, name: &str, nodes: Vec<NodeProto>) -> Result<(), RewriteError> {
        let place = self.node_position(name)?;
        self.check_new_nodes(&nodes, place..place + 1)?;
        let written: Vec<&String> = nodes.iter().flat_map(|node| &node.output).collect();
        let old = &self.nodes()[place];
        let is_needed = |output: &&String| {
            !output.is_empty()
                && (!self.readers(output).is_empty()
                    || self.output_names().contains(&output.as_str()))
        };
        let mut lost = old.output.iter().filter(is_needed);
        if let Some(output) = lost.find(|output| !written.contains(output)) {
            return Err(RewriteError::NotWritten(output.clone()));
        }
        self.graph_mut().node.splice(place..place + 1, nodes);
        Ok(())
    }

    /// Turns an initializer into a graph input, the last one, of the same name, type and shape.
    pub fn initializer_to_input(&mut self, name: &str) -> Result<(), RewriteError> {
        let mut all = self.graph().initializer.iter();
        let position = all
            .position(|tensor| tensor.name() == name)
            .ok_or_else(|| self.unknown_initializer(name))?;
        let is_input = self.input_names().contains(&name);
        let graph = self.graph_mut();
        let tensor = graph.initializer.remove(position);
        if !is_input {
            let value = fixed_value(name, tensor.data_type(), &tensor.dims);
            graph.input.push(value);
        }
        Ok(())
    }

    fn node_position(&self, name: &str) -> Result<usize, RewriteError> {
        let mut nodes = self.nodes().iter();
        nodes
            .position(|node| node.name() == name)
            .ok_or_else(|| RewriteError::NoNode(name.to_owned()))
    }

    /// Positions of the nodes that are to read something else, ascending.
    fn chosen_readers(
        &self,
        tensor: &str,
        readers: Readers<'_>,
    ) -> Result<Vec<usize>, RewriteError> {
        let mut positions = self.readers(tensor);
        if let Readers::Node(name) = readers {
            let position = self.node_position(name)?;
            positions.retain(|&reader| reader == position);
        }
        if positions.is_empty() {
            return Err(RewriteError::NotRead {
                tensor: tensor.to_owned(),
                node: match readers {
                    Readers::All => None,
                    Readers::Node(name) => Some(name.to_owned()),
                },
            });
        }
        let mut nodes = positions.iter().map(|&position| &self.nodes()[position]);
        let takes = |node: &NodeProto| node.input.iter().any(|input| input == tensor);
        match nodes.find(|node| !takes(node)) {
            Some(node) => Err(RewriteError::ReadInside {
                node: node.name().to_owned(),
                tensor: tensor.to_owned(),
            }),
            None => Ok(positions),
        }
    }

    /// New nodes in the place of some must take what is there before them and write what nobody
    /// else does.
    fn check_new_nodes(&self, new: &[NodeProto], place: Range<usize>) -> Result<(), RewriteError> {
        let writers = self.writers();
        let inputs = self.input_names();
        let mut written: Vec<&str> = Vec::new();
        for node in new {
            let is_there = |name: &&str| match writers.get(name) {
                Some(&position) => position < place.start,
                None => inputs.contains(name) || self.is_initializer(name),
            };
            let missing = reads(node)
                .into_iter()
                .find(|name| !written.contains(name) && !is_there(name));
            if let Some(tensor) = missing {
                return Err(RewriteError::TooEarly {
                    node: node.name().to_owned(),
                    tensor: tensor.to_owned(),
                });
            }
            for output in node.output.iter().filter(|output| !output.is_empty()) {
                let name = output.as_str();
                let is_taken = match writers.get(name) {
                    Some(position) => !place.contains(position),
                    None => inputs.contains(&name) || self.is_initializer(name),
                };
                if is_taken || written.contains(&name) {
                    return Err(RewriteError::Taken(output.clone()));
                }
                written.push(name);
            }
        }
        Ok(())
    }
}
