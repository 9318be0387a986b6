//! Building a graph node by node: every tensor knows its shape, so that every tensor gets its
//! `value_info`.

use super::deployment::Deployment;
use super::elements::{Constant, Elements};
use super::node::node;
use super::shape::{Axis, data_type, value_info};
use crate::npy::Dtype;
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, ValueInfoProto,
};

/// A tensor of the graph, `[batch, axes…]`; all are float32 but inputs declared otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    /// `batch`, or the number of samples where it is fixed.
    first: Axis,
    /// Axes after the first.
    pub(super) axes: Vec<usize>,
}

/// A finished model: everything but the constants, and the constants, whose elements need not be in
/// memory together.
#[derive(Debug)]
pub struct Model<'a> {
    /// The model, with an empty list of initializers.
    pub proto: ModelProto,
    pub constants: Vec<Constant<'a>>,
    /// Graph inputs and outputs, in the graph's order.
    pub inputs: Vec<Value>,
    pub outputs: Vec<Value>,
}

/// Collects nodes, constants and shapes.
#[derive(Debug, Default)]
pub struct GraphBuilder<'a> {
    pub(super) deployment: Deployment,
    graph: GraphProto,
    constants: Vec<Constant<'a>>,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    inner: Vec<Value>,
}

impl Value {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// All axes, the samples first.
    pub fn shape(&self) -> Vec<Axis> {
        let axes = self.axes.iter().map(|&axis| Axis::Fixed(axis));
        std::iter::once(self.first.clone()).chain(axes).collect()
    }
}

impl<'a> GraphBuilder<'a> {
    /// An empty graph of opset 17 with a free first axis.
    pub fn new(name: &str) -> Self {
        Self::with_deployment(name, Deployment::default())
    }

    /// An empty graph that is written for certain tools.
    pub fn with_deployment(name: &str, deployment: Deployment) -> Self {
        Self {
            deployment,
            graph: GraphProto {
                name: Some(name.to_owned()),
                ..GraphProto::default()
            },
            ..Self::default()
        }
    }

    /// Declares a graph input `[batch, axes…]`, float32.
    pub fn input(&mut self, name: &str, axes: &[usize]) -> Value {
        self.input_of(name, Dtype::Float32, axes)
    }

    /// Declares a graph input `[batch, axes…]` of another element type, which only
    /// [`Self::to_float32`] takes.
    pub fn input_of(&mut self, name: &str, dtype: Dtype, axes: &[usize]) -> Value {
        let value = Value {
            dtype,
            ..self.float_value(name, axes)
        };
        self.inputs.push(value.clone());
        value
    }

    /// Declares that a tensor is a graph output.
    pub fn output(&mut self, value: &Value) {
        self.inner.retain(|inner| inner != value);
        self.outputs.push(value.clone());
    }

    /// Adds a float32 initializer; returns its name.
    pub fn constant(
        &mut self,
        name: &str,
        shape: &[usize],
        elements: impl Elements + 'a,
    ) -> String {
        let dims = shape.iter().map(|&axis| axis as i64).collect();
        self.initializer(name, Dtype::Float32, dims, elements)
    }

    /// Adds a float32 scalar; returns its name.
    pub fn scalar(&mut self, name: &str, value: f32) -> String {
        self.initializer(name, Dtype::Float32, vec![], value.to_le_bytes().to_vec())
    }

    pub(super) fn constant_i64(&mut self, name: &str, values: &[i64]) -> String {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.initializer(name, Dtype::Int64, vec![values.len() as i64], bytes)
    }

    fn initializer(
        &mut self,
        name: &str,
        dtype: Dtype,
        dims: Vec<i64>,
        elements: impl Elements + 'a,
    ) -> String {
        let header = TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(data_type(dtype) as i32),
            dims,
            ..TensorProto::default()
        };
        let elements = Box::new(elements);
        self.constants.push(Constant { header, elements });
        name.to_owned()
    }

    /// Adds a node with one output `[batch, axes…]`, which bears the node's name.
    pub(super) fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        axes: &[usize],
    ) -> Value {
        let [value] = self.node_with_outputs(operator, name, inputs, [name], attributes, axes);
        value
    }

    /// Adds a node whose outputs are all `[batch, axes…]`, float32.
    pub(super) fn node_with_outputs<const N: usize>(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        outputs: [&str; N],
        attributes: Vec<AttributeProto>,
        axes: &[usize],
    ) -> [Value; N] {
        let is_other =
            |value: &Value| value.dtype != Dtype::Float32 && inputs.contains(&value.name());
        let other = self.inputs.iter().find(|value| is_other(value));
        assert!(
            operator == "Cast" || other.is_none(),
            "{operator} of {other:?}: only Cast takes what is not float32"
        );
        let name = format!("node_{name}");
        let node = node(operator, &name, inputs, &outputs, attributes);
        self.graph.node.push(node);
        let values = outputs.map(|output| self.float_value(output, axes));
        self.inner.extend_from_slice(&values);
        values
    }

    fn float_value(&self, name: &str, axes: &[usize]) -> Value {
        Value {
            name: name.to_owned(),
            dtype: Dtype::Float32,
            first: self.deployment.first_axis(),
            axes: axes.to_vec(),
        }
    }

    /// The finished model.
    pub fn finish(mut self) -> Model<'a> {
        self.graph.input = described(&self.inputs);
        self.graph.output = described(&self.outputs);
        self.graph.value_info = described(&self.inner);
        let proto = ModelProto {
            ir_version: Some(self.deployment.ir_version()),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(self.deployment.opset),
            }],
            graph: Some(self.graph),
            ..ModelProto::default()
        };
        Model {
            proto,
            constants: self.constants,
            inputs: self.inputs,
            outputs: self.outputs,
        }
    }
}

impl Model<'_> {
    /// Says which program made the model.
    pub fn set_producer(&mut self, name: &str, version: &str) {
        self.proto.producer_name = Some(name.to_owned());
        self.proto.producer_version = Some(version.to_owned());
    }

    pub fn set_metadata(&mut self, entries: &[(&str, String)]) {
        let entry = |(key, value): &(&str, String)| StringStringEntryProto {
            key: Some((*key).to_owned()),
            value: Some(value.clone()),
        };
        self.proto.metadata_props = entries.iter().map(entry).collect();
    }

    /// The model with all its constants in memory.
    pub fn to_proto(&self) -> ModelProto {
        let mut proto = self.proto.clone();
        let graph = proto.graph.get_or_insert_default();
        graph.initializer = self.constants.iter().map(Constant::to_tensor).collect();
        proto
    }
}

fn described(values: &[Value]) -> Vec<ValueInfoProto> {
    values
        .iter()
        .map(|value| value_info(&value.name, value.dtype, &value.shape()))
        .collect()
}
