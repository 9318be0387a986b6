//! Building an ONNX graph node by node: every tensor knows its shape, so that every tensor gets its
//! `value_info`.
//!
//! Only standard operators of opset 17, and no operator that computes with shapes: the free axis
//! `batch` comes first everywhere and `Reshape` copies it with a 0.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proto::manifest::{Axis, Initializer, Part, Tensor as TensorInfo};
use proto::npy::Dtype;
use proto::onnx::attribute_proto::AttributeType;
use proto::onnx::tensor_proto::DataType;
use proto::onnx::tensor_shape_proto::{Dimension, dimension};
use proto::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use trainer::weights::shape_and_bytes;

/// ONNX IR version: the one that belongs to opset 17 (ONNX 1.12); ONNX Runtime 1.17 and later load
/// it.
pub const IR_VERSION: i64 = 8;
/// The first opset with LayerNormalization.
pub const OPSET_VERSION: i64 = 17;
/// The name of the free first axis.
pub const BATCH: &str = "batch";
/// A tensor of the graph: its name, and its shape after the batch axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    name: String,
    /// Axes after `batch`.
    axes: Vec<usize>,
}

/// A parameter as it goes into the graph.
#[derive(Debug)]
pub struct Parameter {
    /// Name in the Python model.
    pub name: String,
    /// The parameter, in the graph's layout.
    pub tensor: tch::Tensor,
    /// Whether a `[out, in]` matrix became `[in, out]`.
    pub transposed: bool,
}

/// A tensor that is part of the model.
#[derive(Debug)]
pub struct Constant {
    /// Its name, dtype and shape, without its elements.
    pub header: TensorProto,
    /// Its elements.
    pub data: Data,
}

/// The elements of a constant.
#[derive(Debug)]
pub enum Data {
    /// Little-endian bytes in C order.
    Bytes(Vec<u8>),
    /// A float32 tensor of the network, or a view of one; copied only when its turn to be written
    /// comes.
    Tensor(tch::Tensor),
}

/// A finished model: everything but the constants, and the constants, whose elements need not be in
/// memory together.
#[derive(Debug)]
pub struct Model {
    /// The model, with an empty list of initializers.
    pub proto: ModelProto,
    /// The initializers.
    pub constants: Vec<Constant>,
    /// Its description for the manifest.
    pub part: Part,
}

impl Data {
    /// How many bytes they are.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Tensor(tensor) => tensor.numel() * size_of::<f32>(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Bytes(bytes) => bytes.into(),
            Self::Tensor(tensor) => shape_and_bytes(tensor).1.into(),
        }
    }
}

/// Collects nodes, initializers and shapes.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: GraphProto,
    constants: Vec<Constant>,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    inner: Vec<Value>,
    parameters: BTreeMap<String, Initializer>,
}

impl Value {
    /// Name in the graph.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl GraphBuilder {
    /// An empty graph with this name.
    pub fn new(name: &str) -> Self {
        Self {
            graph: GraphProto {
                name: Some(name.to_owned()),
                ..Default::default()
            },
            ..Default::default()
        }
    }

    /// Declares a graph input `[batch, axes…]`, float32.
    pub fn input(&mut self, name: &str, axes: &[usize]) -> Value {
        let value = Value {
            name: name.to_owned(),
            axes: axes.to_vec(),
        };
        self.inputs.push(value.clone());
        value
    }

    /// Declares that a tensor is a graph output.
    pub fn output(&mut self, value: &Value) {
        self.inner.retain(|inner| inner != value);
        self.outputs.push(value.clone());
    }

    /// Adds a float32 initializer that holds a parameter; returns the initializer's name.
    pub fn parameter(&mut self, name: &str, parameter: Parameter) -> String {
        let Parameter {
            name: origin,
            tensor,
            transposed,
        } = parameter;
        self.initializer(name, DataType::Float, tensor.size(), Data::Tensor(tensor));
        self.parameters.insert(
            name.to_owned(),
            Initializer {
                parameter: origin,
                transposed,
            },
        );
        name.to_owned()
    }

    /// Adds a float32 constant that is no parameter.
    pub fn constant(&mut self, name: &str, tensor: tch::Tensor) -> String {
        self.initializer(name, DataType::Float, tensor.size(), Data::Tensor(tensor));
        name.to_owned()
    }

    /// Adds a float32 scalar.
    pub fn scalar(&mut self, name: &str, value: f32) -> String {
        self.initializer(
            name,
            DataType::Float,
            vec![],
            Data::Bytes(value.to_le_bytes().to_vec()),
        );
        name.to_owned()
    }

    fn constant_i64(&mut self, name: &str, values: &[i64]) -> String {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.initializer(
            name,
            DataType::Int64,
            vec![values.len() as i64],
            Data::Bytes(bytes),
        );
        name.to_owned()
    }

    fn initializer(&mut self, name: &str, dtype: DataType, dims: Vec<i64>, data: Data) {
        let header = TensorProto {
            name: Some(name.to_owned()),
            data_type: Some(dtype as i32),
            dims,
            ..Default::default()
        };
        self.constants.push(Constant { header, data });
    }

    /// Adds a node with one output, which bears the node's name.
    fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
        axes: &[usize],
    ) -> Value {
        self.push_node(operator, name, inputs, &[name], attributes);
        let value = Value {
            name: name.to_owned(),
            axes: axes.to_vec(),
        };
        self.inner.push(value.clone());
        value
    }

    fn push_node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.graph.node.push(NodeProto {
            op_type: Some(operator.to_owned()),
            name: Some(format!("node_{name}")),
            input: owned(inputs),
            output: owned(outputs),
            attribute,
            ..Default::default()
        });
    }

    /// `x · w`, where `w` is an initializer `[in, out]`.
    pub fn matmul_weight(&mut self, name: &str, x: &Value, weight: &str, out: usize) -> Value {
        let mut axes = x.axes.clone();
        *axes.last_mut().expect("a tensor with a feature axis") = out;
        self.node("MatMul", name, &[&x.name, weight], vec![], &axes)
    }

    /// Batched matrix product of two tensors, `[…, m, k] · […, k, n]`.
    pub fn matmul(&mut self, name: &str, a: &Value, b: &Value) -> Value {
        let mut axes = a.axes.clone();
        *axes.last_mut().expect("a matrix") = *b.axes.last().expect("a matrix");
        self.node("MatMul", name, &[&a.name, &b.name], vec![], &axes)
    }

    /// `x ∘ c` for an elementwise operator and an initializer that broadcasts to the shape of `x`.
    pub fn with_constant(
        &mut self,
        operator: &str,
        name: &str,
        x: &Value,
        constant: &str,
    ) -> Value {
        self.node(operator, name, &[&x.name, constant], vec![], &x.axes)
    }

    /// `x ∘ y` for an elementwise operator and two tensors of the same shape.
    pub fn elementwise(&mut self, operator: &str, name: &str, x: &Value, y: &Value) -> Value {
        self.node(operator, name, &[&x.name, &y.name], vec![], &x.axes)
    }

    /// The same tensor under another name.
    pub fn identity(&mut self, name: &str, x: &Value) -> Value {
        self.unary("Identity", name, x)
    }

    /// An elementwise function.
    pub fn unary(&mut self, operator: &str, name: &str, x: &Value) -> Value {
        self.node(operator, name, &[&x.name], vec![], &x.axes)
    }

    /// Another shape `[batch, axes…]` of the same elements.
    pub fn reshape(&mut self, name: &str, x: &Value, axes: &[usize]) -> Value {
        let dims: Vec<i64> = std::iter::once(0)
            .chain(axes.iter().map(|&axis| axis as i64))
            .collect();
        let shape = self.constant_i64(&format!("{name}_shape"), &dims);
        self.node("Reshape", name, &[&x.name, &shape], vec![], axes)
    }

    /// Reorders the axes after `batch`: `order[i]` is the source of axis `i`, both counted after
    /// `batch`.
    pub fn transpose(&mut self, name: &str, x: &Value, order: &[usize]) -> Value {
        let axes: Vec<usize> = order.iter().map(|&axis| x.axes[axis]).collect();
        let permutation = std::iter::once(0)
            .chain(order.iter().map(|&axis| axis as i64 + 1))
            .collect();
        self.node(
            "Transpose",
            name,
            &[&x.name],
            vec![integers("perm", permutation)],
            &axes,
        )
    }

    /// Softmax over the last axis.
    pub fn softmax(&mut self, name: &str, x: &Value) -> Value {
        self.node(
            "Softmax",
            name,
            &[&x.name],
            vec![integer("axis", -1)],
            &x.axes,
        )
    }

    /// LayerNorm over the last axis.
    pub fn layer_norm(
        &mut self,
        name: &str,
        x: &Value,
        weight: &str,
        bias: &str,
        epsilon: f64,
    ) -> Value {
        let attributes = vec![integer("axis", -1), float("epsilon", epsilon as f32)];
        self.node(
            "LayerNormalization",
            name,
            &[&x.name, weight, bias],
            attributes,
            &x.axes,
        )
    }

    /// Cuts the last axis into equal pieces.
    pub fn split_last<const N: usize>(&mut self, names: [&str; N], x: &Value) -> [Value; N] {
        let mut axes = x.axes.clone();
        let last = axes.last_mut().expect("a tensor with a feature axis");
        *last /= N;
        let sizes = self.constant_i64(&format!("{}_sizes", x.name), &[*last as i64; N]);
        let node_name = format!("{}_split", x.name);
        self.push_node(
            "Split",
            &node_name,
            &[&x.name, &sizes],
            &names,
            vec![integer("axis", -1)],
        );
        names.map(|name| {
            let value = Value {
                name: name.to_owned(),
                axes: axes.clone(),
            };
            self.inner.push(value.clone());
            value
        })
    }

    /// Puts one row of zeros before the rows of `[batch, rows, columns]`.
    pub fn pad_first_row(&mut self, name: &str, x: &Value) -> Value {
        let pads = self.constant_i64(&format!("{name}_pads"), &[0, 1, 0, 0, 0, 0]);
        let zero = self.scalar(&format!("{name}_zero"), 0.0);
        let axes = [x.axes[0] + 1, x.axes[1]];
        self.node("Pad", name, &[&x.name, &pads, &zero], vec![], &axes)
    }

    /// The first row of `[batch, rows, columns]`, as `[batch, 1, columns]`.
    pub fn first_row(&mut self, name: &str, x: &Value) -> Value {
        let starts = self.constant_i64(&format!("{name}_starts"), &[0]);
        let ends = self.constant_i64(&format!("{name}_ends"), &[1]);
        let axis = self.constant_i64(&format!("{name}_axes"), &[1]);
        self.node(
            "Slice",
            name,
            &[&x.name, &starts, &ends, &axis],
            vec![],
            &[1, x.axes[1]],
        )
    }

    /// The mean over the rows of `[batch, rows, columns]`, as `[batch, columns]`.
    pub fn mean_of_rows(&mut self, name: &str, x: &Value) -> Value {
        let attributes = vec![integers("axes", vec![1]), integer("keepdims", 0)];
        self.node("ReduceMean", name, &[&x.name], attributes, &[x.axes[1]])
    }

    /// The finished model.
    pub fn finish(mut self, file: &str, metadata: &[(&str, String)]) -> Model {
        let typed = |values: &[Value]| values.iter().map(value_info).collect();
        self.graph.input = typed(&self.inputs);
        self.graph.output = typed(&self.outputs);
        self.graph.value_info = typed(&self.inner);
        let described = |values: &[Value]| values.iter().map(tensor_info).collect();
        let part = Part {
            file: file.to_owned(),
            inputs: described(&self.inputs),
            outputs: described(&self.outputs),
            initializers: self.parameters,
            external_data: None,
            test_data_sets: vec![],
        };
        let entry = |(key, value): &(&str, String)| StringStringEntryProto {
            key: Some((*key).to_owned()),
            value: Some(value.clone()),
        };
        let proto = ModelProto {
            ir_version: Some(IR_VERSION),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(OPSET_VERSION),
            }],
            producer_name: Some(crate::bundle::PRODUCER.to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            metadata_props: metadata.iter().map(entry).collect(),
            graph: Some(self.graph),
            ..Default::default()
        };
        Model {
            proto,
            constants: self.constants,
            part,
        }
    }
}

fn value_info(value: &Value) -> ValueInfoProto {
    let batch = Dimension {
        value: Some(dimension::Value::DimParam(BATCH.to_owned())),
        ..Default::default()
    };
    let fixed = |&axis: &usize| Dimension {
        value: Some(dimension::Value::DimValue(axis as i64)),
        ..Default::default()
    };
    let shape = TensorShapeProto {
        dim: std::iter::once(batch)
            .chain(value.axes.iter().map(fixed))
            .collect(),
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(DataType::Float as i32),
        shape: Some(shape),
    };
    let r#type = TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..Default::default()
    };
    ValueInfoProto {
        name: Some(value.name.clone()),
        r#type: Some(r#type),
        ..Default::default()
    }
}

fn tensor_info(value: &Value) -> TensorInfo {
    let axes = value.axes.iter().map(|&axis| Axis::Fixed(axis));
    let shape = std::iter::once(Axis::Named(BATCH.to_owned()))
        .chain(axes)
        .collect();
    TensorInfo {
        name: value.name.clone(),
        dtype: Dtype::Float32,
        shape,
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(kind as i32),
        ..Default::default()
    }
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        i: Some(value),
        ..attribute(name, AttributeType::Int)
    }
}

fn integers(name: &str, values: Vec<i64>) -> AttributeProto {
    AttributeProto {
        ints: values,
        ..attribute(name, AttributeType::Ints)
    }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        f: Some(value),
        ..attribute(name, AttributeType::Float)
    }
}
