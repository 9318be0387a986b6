//! What a bundle's model may be made of: standard operators in one graph, so that its nodes are all
//! there is to it, and nothing else is read when it is loaded.

use super::read::Graph;
use crate::onnx::NodeProto;
use crate::onnx::attribute_proto::AttributeType;

/// The names of the domain of ONNX's own operators.
const STANDARD_DOMAINS: [&str; 2] = ["", "ai.onnx"];

impl Graph {
    /// Refuses functions, training information, control flow, operators of other domains, and
    /// control characters in names; says what there is.
    ///
    /// A function's attributes have defaults that may lie in other files; an operator of another
    /// domain may read any file; and control flow may choose nodes that no proof of placement saw.
    pub fn check_standard(&self) -> Result<(), String> {
        let model = &self.model;
        if let Some(function) = model.functions.first() {
            return Err(format!("it defines the function {:?}", function.name()));
        }
        if !model.training_info.is_empty() {
            return Err("it holds training information".to_owned());
        }
        if let Some(name) = self.names().find(|name| name.contains(char::is_control)) {
            return Err(format!("it has control characters in the name {name:?}"));
        }
        self.nodes().iter().try_for_each(check_node)?;
        let mut domains = model.opset_import.iter().map(|import| import.domain());
        if let Some(domain) = domains.find(|domain| !is_standard(domain)) {
            return Err(format!("it imports operators of the domain {domain:?}"));
        }
        Ok(())
    }

    /// The names of nodes, operators and tensors.
    fn names(&self) -> impl Iterator<Item = &str> {
        let graph = self.graph();
        let nodes = graph.node.iter().flat_map(|node| {
            let names = node.input.iter().chain(&node.output).chain(&node.name);
            names.chain(&node.op_type).map(String::as_str)
        });
        let values = graph
            .input
            .iter()
            .chain(&graph.output)
            .map(|value| value.name());
        let initializers = graph.initializer.iter().map(|tensor| tensor.name());
        nodes.chain(values).chain(initializers)
    }
}

fn check_node(node: &NodeProto) -> Result<(), String> {
    let (name, operator) = (node.name(), node.op_type());
    if !is_standard(node.domain()) {
        let domain = node.domain();
        return Err(format!(
            "node {name:?} is {operator} of the domain {domain:?}"
        ));
    }
    let has_graph = node.attribute.iter().any(|attribute| {
        let r#type = attribute.r#type.unwrap_or_default();
        let is_graph = |kind: AttributeType| r#type == kind as i32;
        attribute.g.is_some()
            || !attribute.graphs.is_empty()
            || is_graph(AttributeType::Graph)
            || is_graph(AttributeType::Graphs)
    });
    match has_graph {
        true => Err(format!(
            "node {name:?} is {operator}, which holds a graph of its own"
        )),
        false => Ok(()),
    }
}

fn is_standard(domain: &str) -> bool {
    STANDARD_DOMAINS.contains(&domain)
}
