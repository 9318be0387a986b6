//! The part of a graph between given tensors, as `onnx.utils.extract_model` cuts it.

use std::collections::{BTreeSet, HashSet};

use super::links::reads;
use super::read::Graph;
use super::shape::fixed_value;
use crate::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};

/// Why there is no graph between these tensors.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CutError {
    #[error("no tensor `{0}` in the graph")]
    NoTensor(String),
    #[error("tensor `{0}` has no value_info: it cannot become an input or output of a graph")]
    NoValueInfo(String),
    #[error("tensor `{0}` is to be both an input and an output")]
    Both(String),
    /// An output cannot be computed from the inputs.
    #[error(
        "output `{output}` cannot be computed: it takes `{needed}`, which is not among the inputs"
    )]
    Needed { output: String, needed: String },
    #[error("tensor `{0}` is the graph's last: nothing comes after it")]
    NothingAfter(String),
    /// An input that no output depends on.
    #[error("input `{0}` reaches none of the outputs")]
    Unreached(String),
}

/// The two sides of a graph that is cut at an edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Halves {
    /// From the graph's inputs to the edge, and to what else passes the cut.
    pub before: Graph,
    /// From the edge, and from what else passes the cut, to the graph's outputs.
    pub after: Graph,
}

/// What a cut needs.
#[derive(Default)]
struct Reached<'a> {
    nodes: BTreeSet<usize>,
    tensors: HashSet<&'a str>,
}

impl Graph {
    /// The graph that computes `outputs` from `inputs`, in this order: only the nodes and
    /// initializers that it takes. An input may be an initializer, which is then one no more.
    pub fn cut(&self, inputs: &[&str], outputs: &[&str]) -> Result<Self, CutError> {
        if let Some(name) = inputs.iter().find(|name| outputs.contains(name)) {
            return Err(CutError::Both((*name).to_owned()));
        }
        let new_inputs = self.declarations(inputs)?;
        let new_outputs = self.declarations(outputs)?;
        let reached = self.reach(inputs, outputs)?;
        if let Some(name) = inputs.iter().find(|name| !reached.tensors.contains(*name)) {
            return Err(CutError::Unreached((*name).to_owned()));
        }
        let graph = self.graph_of(&reached, new_inputs, new_outputs);
        Ok(Self {
            model: ModelProto {
                graph: Some(graph),
                ..self.without_graph()
            },
        })
    }

    /// Cuts the graph at a tensor that one node writes and others read. What passes the cut beside
    /// it, such as a residual, is an output of the first half and an input of the second. Every
    /// node that the graph's outputs depend on is in exactly one of the two.
    pub fn split_at(&self, edge: &str) -> Result<Halves, CutError> {
        self.declaration(edge)?;
        let mut inputs = self.input_names();
        inputs.retain(|name| !self.is_initializer(name));
        let before = self.reach(&inputs, &[edge])?;
        let crossing = self.crossing(edge, &before.nodes);

        let mut outputs = self.output_names();
        outputs.retain(|name| !crossing.contains(name));
        if outputs.is_empty() {
            return Err(CutError::NothingAfter(edge.to_owned()));
        }
        let mut after_inputs = [crossing.clone(), inputs.clone()].concat();
        let after = self.reach(&after_inputs, &outputs)?;
        after_inputs.retain(|name| after.tensors.contains(name));
        inputs.retain(|name| before.tensors.contains(name));
        Ok(Halves {
            before: self.cut(&inputs, &crossing)?,
            after: self.cut(&after_inputs, &outputs)?,
        })
    }

    /// What the nodes before a cut write and the others, or the caller, read: the edge first.
    fn crossing<'a>(&'a self, edge: &'a str, before: &BTreeSet<usize>) -> Vec<&'a str> {
        let nodes = || self.nodes().iter().enumerate();
        let is_before = |(position, _): &(usize, _)| before.contains(position);
        let after = nodes().filter(|node| !is_before(node));
        let read: HashSet<&str> = after
            .flat_map(|(_, node)| reads(node))
            .chain(self.output_names())
            .collect();
        let written = nodes().filter(is_before).flat_map(|(_, node)| &node.output);
        let others = written
            .map(String::as_str)
            .filter(|name| *name != edge && read.contains(name));
        std::iter::once(edge).chain(others).collect()
    }

    /// Walks from the outputs back to the inputs.
    fn reach<'a>(
        &'a self,
        inputs: &[&'a str],
        outputs: &[&'a str],
    ) -> Result<Reached<'a>, CutError> {
        let writers = self.writers();
        let mut reached = Reached::default();
        for &output in outputs {
            let mut waiting = vec![output];
            while let Some(name) = waiting.pop() {
                if !reached.tensors.insert(name) || inputs.contains(&name) {
                    continue;
                }
                if let Some(&position) = writers.get(name) {
                    if reached.nodes.insert(position) {
                        waiting.extend(reads(&self.graph().node[position]));
                    }
                } else if !self.is_initializer(name) {
                    return Err(CutError::Needed {
                        output: output.to_owned(),
                        needed: name.to_owned(),
                    });
                }
            }
        }
        Ok(reached)
    }

    /// The graph of these nodes, with the initializers and descriptions that belong to them.
    fn graph_of(
        &self,
        reached: &Reached<'_>,
        input: Vec<ValueInfoProto>,
        output: Vec<ValueInfoProto>,
    ) -> GraphProto {
        let whole = self.graph();
        let node: Vec<NodeProto> = reached
            .nodes
            .iter()
            .map(|&position| whole.node[position].clone())
            .collect();
        let written = node.iter().flat_map(|node| &node.output);
        let tensors: HashSet<&str> = written
            .map(String::as_str)
            .chain(reached.tensors.iter().copied())
            .collect();
        let edges: HashSet<&str> = input
            .iter()
            .chain(&output)
            .map(|edge| edge.name())
            .collect();
        let is_inner = |name: &str| tensors.contains(name) && !edges.contains(name);
        GraphProto {
            initializer: kept(&whole.initializer, |tensor| is_inner(tensor.name())),
            sparse_initializer: kept(&whole.sparse_initializer, |tensor| {
                let values = tensor.values.as_ref();
                values.is_some_and(|values| is_inner(values.name()))
            }),
            value_info: kept(&whole.value_info, |value| is_inner(value.name())),
            quantization_annotation: kept(&whole.quantization_annotation, |annotation| {
                tensors.contains(annotation.tensor_name())
            }),
            node,
            input,
            output,
            name: whole.name.clone(),
            doc_string: whole.doc_string.clone(),
            metadata_props: whole.metadata_props.clone(),
        }
    }

    /// What the graph declares of these tensors, or their initializers are.
    fn declarations(&self, names: &[&str]) -> Result<Vec<ValueInfoProto>, CutError> {
        names.iter().map(|name| self.declaration(name)).collect()
    }

    fn declaration(&self, name: &str) -> Result<ValueInfoProto, CutError> {
        if let Some(value) = self.value(name) {
            return Ok(value.clone());
        }
        if let Some(tensor) = self.initializer(name) {
            return Ok(fixed_value(name, tensor.data_type(), &tensor.dims));
        }
        Err(if self.has_tensor(name) {
            CutError::NoValueInfo(name.to_owned())
        } else {
            CutError::NoTensor(name.to_owned())
        })
    }

    /// The model's own fields.
    fn without_graph(&self) -> ModelProto {
        let model = &self.model;
        ModelProto {
            ir_version: model.ir_version,
            opset_import: model.opset_import.clone(),
            producer_name: model.producer_name.clone(),
            producer_version: model.producer_version.clone(),
            domain: model.domain.clone(),
            model_version: model.model_version,
            doc_string: model.doc_string.clone(),
            graph: None,
            metadata_props: model.metadata_props.clone(),
            training_info: vec![],
            functions: model.functions.clone(),
            configuration: model.configuration.clone(),
        }
    }
}

fn kept<T: Clone>(all: &[T], is_kept: impl Fn(&T) -> bool) -> Vec<T> {
    all.iter().filter(|item| is_kept(item)).cloned().collect()
}
