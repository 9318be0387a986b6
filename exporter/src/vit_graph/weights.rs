//! The network's parameters as initializers, whose bytes are copied only when their turn to be
//! written comes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use proto::config::VitConfig;
use proto::graph::{Deployment, Elements, GraphBuilder, Value};
use proto::manifest::Initializer;
use tch::{Kind, Tensor};
use trainer::vit::Vit;
use trainer::weights::shape_and_bytes;

use super::names::identifier;

/// A network being turned into a graph.
pub(super) struct Network<'a> {
    pub(super) config: &'a VitConfig,
    pub(super) graph: GraphBuilder<'static>,
    /// Initializers that hold parameters, by their names in the graph.
    pub(super) initializers: BTreeMap<String, Initializer>,
    parameters: HashMap<String, Tensor>,
    /// What is taken off the front of names: nothing, or the submodel's own name and a dot.
    prefix: String,
}

/// A float32 tensor of the network, or a view of one.
#[derive(Debug)]
struct TensorElements(Tensor);

impl Elements for TensorElements {
    fn byte_len(&self) -> usize {
        self.0.numel() * size_of::<f32>()
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        shape_and_bytes(&self.0).1.into()
    }
}

impl<'a> Network<'a> {
    pub(super) fn new(
        vit: &'a Vit,
        graph_name: &str,
        prefix: String,
        deployment: Deployment,
    ) -> Self {
        Self {
            config: vit.config(),
            graph: GraphBuilder::with_deployment(graph_name, deployment),
            initializers: BTreeMap::new(),
            parameters: vit.variables(),
            prefix,
        }
    }

    /// What something of the Python model is called in this graph.
    pub(super) fn local(&self, name: &str) -> String {
        identifier(&self.prefix, name)
    }

    /// `x · Wᵀ + b`, `[batch, …, out]`.
    pub(super) fn linear(&mut self, module: &str, output: &str, x: &Value, out: usize) -> Value {
        let weight = self.matrix(&format!("{module}.weight"));
        let bias = self.vector(&format!("{module}.bias"));
        let product = format!("{output}_product");
        let product = self.graph.matmul_weight(&product, x, &weight, out);
        self.graph.with_constant("Add", output, &product, &bias)
    }

    pub(super) fn layer_norm(&mut self, module: &str, output: &str, x: &Value) -> Value {
        let weight = self.vector(&format!("{module}.weight"));
        let bias = self.vector(&format!("{module}.bias"));
        let epsilon = self.config.layer_norm_eps;
        self.graph.layer_norm(output, x, &weight, &bias, epsilon)
    }

    /// A Linear's weight `[out, in]` as the `[in, out]` that MatMul takes.
    pub(super) fn matrix(&mut self, name: &str) -> String {
        let matrix = self.parameters[name].detach().to_kind(Kind::Float).tr();
        self.initializer(name, matrix, true)
    }

    fn vector(&mut self, name: &str) -> String {
        let tensor = self.parameters[name].detach();
        self.initializer(name, tensor, false)
    }

    fn initializer(&mut self, name: &str, tensor: Tensor, transposed: bool) -> String {
        let local = self.local(name);
        let parameter = name.to_owned();
        let origin = Initializer {
            parameter,
            transposed,
        };
        self.initializers.insert(local.clone(), origin);
        self.constant(&local, tensor)
    }

    /// The positions, with the class token added to the first: a zero token plus this is the class
    /// token in place.
    pub(super) fn positions(&mut self) -> String {
        let _no_grad = tch::no_grad_guard();
        let positions = self.parameters["pos_embedding"].detach().copy(); // [1, tokens, dim]
        let mut first = positions.narrow(1, 0, 1);
        first += &self.parameters["cls_token"];
        // Not listed as a parameter in the manifest: it is the sum of two.
        self.constant("pos_embedding_with_cls_token", positions)
    }

    fn constant(&mut self, name: &str, tensor: Tensor) -> String {
        let shape: Vec<usize> = tensor.size().iter().map(|&axis| axis as usize).collect();
        self.graph.constant(name, &shape, TensorElements(tensor))
    }
}
