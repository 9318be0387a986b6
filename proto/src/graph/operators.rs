//! The operators that a graph is built of.
//!
//! Only standard ones, and none that computes with shapes: the axis of the samples comes first
//! everywhere and `Reshape` copies it with a 0. All are written as opset 13 has them, which opset
//! 17 reads as the same, but for LayerNormalization, which comes with opset 17.

use super::builder::{GraphBuilder, Value};
use super::node::{float, integer, integers};
use super::shape::data_type;
use crate::npy::Dtype;

impl GraphBuilder<'_> {
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

    /// `x ∘ y` for an elementwise operator and a `y` of the same shape, or with 1 for last axis.
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

    /// A tensor of another element type as float32.
    pub fn to_float32(&mut self, name: &str, x: &Value) -> Value {
        let attributes = vec![integer("to", data_type(Dtype::Float32) as i64)];
        self.node("Cast", name, &[&x.name], attributes, &x.axes)
    }

    /// Elements outside of a range as its nearer end.
    pub fn clip(&mut self, name: &str, x: &Value, least: &str, most: &str) -> Value {
        self.node("Clip", name, &[&x.name, least, most], vec![], &x.axes)
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
        let attributes = vec![integers("perm", permutation)];
        self.node("Transpose", name, &[&x.name], attributes, &axes)
    }

    /// Softmax over the last axis.
    pub fn softmax(&mut self, name: &str, x: &Value) -> Value {
        let attributes = vec![integer("axis", -1)];
        self.node("Softmax", name, &[&x.name], attributes, &x.axes)
    }

    /// LayerNorm over the last axis; weight and bias are initializers. Before opset 17 it is spelt
    /// out.
    pub fn layer_norm(
        &mut self,
        name: &str,
        x: &Value,
        weight: &str,
        bias: &str,
        epsilon: f64,
    ) -> Value {
        if !self.deployment.has_layer_normalization() {
            return self.spelt_out_layer_norm(name, x, weight, bias, epsilon);
        }
        let attributes = vec![integer("axis", -1), float("epsilon", epsilon as f32)];
        let inputs = [x.name.as_str(), weight, bias];
        self.node("LayerNormalization", name, &inputs, attributes, &x.axes)
    }

    /// `(x − mean) / √(variance + epsilon) · weight + bias`, the last node with the name.
    fn spelt_out_layer_norm(
        &mut self,
        name: &str,
        x: &Value,
        weight: &str,
        bias: &str,
        epsilon: f64,
    ) -> Value {
        let within = |rest: &str| format!("{name}_{rest}");
        let mean = self.mean_of_last_axis(&within("mean"), x); // [batch, …, 1]
        let centred = self.elementwise("Sub", &within("centred"), x, &mean);
        let squared = self.elementwise("Mul", &within("squared"), &centred, &centred);
        let variance = self.mean_of_last_axis(&within("variance"), &squared); // [batch, …, 1]
        let epsilon = self.scalar(&within("epsilon"), epsilon as f32);
        let raised = self.with_constant("Add", &within("variance_raised"), &variance, &epsilon);
        let deviation = self.unary("Sqrt", &within("deviation"), &raised); // [batch, …, 1]
        let normed = self.elementwise("Div", &within("normed"), &centred, &deviation);
        let scaled = self.with_constant("Mul", &within("scaled"), &normed, weight);
        self.with_constant("Add", name, &scaled, bias)
    }

    /// The mean over the last axis, `[batch, …, 1]`.
    fn mean_of_last_axis(&mut self, name: &str, x: &Value) -> Value {
        let mut axes = x.axes.clone();
        *axes.last_mut().expect("a tensor with a feature axis") = 1;
        let attributes = vec![integers("axes", vec![-1]), integer("keepdims", 1)];
        self.node("ReduceMean", name, &[&x.name], attributes, &axes)
    }

    /// Cuts the last axis into equal pieces.
    pub fn split_last<const N: usize>(&mut self, names: [&str; N], x: &Value) -> [Value; N] {
        let mut axes = x.axes.clone();
        let last = axes.last_mut().expect("a tensor with a feature axis");
        *last /= N;
        let sizes = self.constant_i64(&format!("{}_sizes", x.name), &[*last as i64; N]);
        self.node_with_outputs(
            "Split",
            &format!("{}_split", x.name),
            &[&x.name, &sizes],
            names,
            vec![integer("axis", -1)],
            &axes,
        )
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
        let inputs = [x.name.as_str(), &starts, &ends, &axis];
        self.node("Slice", name, &inputs, vec![], &[1, x.axes[1]])
    }

    /// The mean over the rows of `[batch, rows, columns]`, as `[batch, columns]`.
    pub fn mean_of_rows(&mut self, name: &str, x: &Value) -> Value {
        let attributes = vec![integers("axes", vec![1]), integer("keepdims", 0)];
        self.node("ReduceMean", name, &[&x.name], attributes, &[x.axes[1]])
    }
}
