//! The network as ONNX graphs, operation for operation what `trainer::vit` computes.
//!
//! Names are C identifiers. In the full model a module's tensors begin with its name, dots as underscores; the
//! submodel's input and output bear the same names in both graphs, so that one can be cut from the other.

use std::collections::HashMap;

use proto::config::Pool;
use proto::manifest::{Part, dataset};
use proto::module::Module;
use proto::onnx::ModelProto;
use tch::{Kind, Tensor};
use trainer::vit::Vit;
use trainer::weights::shape_and_bytes;

use crate::graph::{GraphBuilder, Parameter, Value};

/// Graph input of the full model.
pub const IMAGE: &str = "image";
/// Graph output of the full model.
pub const LOGITS: &str = dataset::LOGITS;

/// A network being turned into a graph.
struct Builder<'a> {
    vit: &'a Vit,
    parameters: HashMap<String, Tensor>,
    module: Module,
    graph: GraphBuilder,
    /// What is taken off the front of parameter names: nothing, or the submodel's own name and a dot.
    prefix: String,
}

/// `image [batch, 3, S, S]` → `logits [batch, classes]`.
pub fn full(vit: &Vit, module: Module, file: &str, metadata: &[(&str, String)]) -> (ModelProto, Part) {
    let mut builder = Builder::new(vit, module, "full", String::new());
    let logits = builder.full();
    builder.graph.output(&logits);
    builder.graph.finish(file, metadata)
}

/// `submodel_input [batch, tokens, dim]` → `submodel_output [batch, tokens, dim]`.
pub fn submodel(vit: &Vit, module: Module, file: &str, metadata: &[(&str, String)]) -> (ModelProto, Part) {
    let config = vit.config();
    let mut builder = Builder::new(vit, module, "submodel", format!("{module}."));
    let input = builder.graph.input(dataset::SUBMODEL_INPUT, &[config.tokens(), config.dim]);
    let output = match module {
        Module::Attention { layer } => builder.attention(layer, &input),
    };
    builder.graph.output(&output);
    builder.graph.finish(file, metadata)
}

impl<'a> Builder<'a> {
    fn new(vit: &'a Vit, module: Module, name: &str, prefix: String) -> Self {
        Self { vit, parameters: vit.variables(), module, graph: GraphBuilder::new(name), prefix }
    }

    fn full(&mut self) -> Value {
        let config = self.vit.config().clone();
        let (side, patch) = (config.patches_per_side(), config.patch_size);
        let image = self.graph.input(IMAGE, &[config.channels, config.image_size, config.image_size]);
        let cut = self.graph.reshape("patch_grid", &image, &[config.channels, side, patch, side, patch]);
        let ordered = self.graph.transpose("patch_pixels", &cut, &[1, 3, 2, 4, 0]); // [batch, row, column, row in patch, column in patch, channel]
        let flat = self.graph.reshape("patches", &ordered, &[config.patches(), config.patch_dim()]);
        let embedded = self.linear("to_patch_embedding.1", &flat, config.dim); // [batch, patches, dim]
        let padded = self.graph.pad_first_row("tokens", &embedded); // [batch, tokens, dim], the first one zero
        let positions = self.positions();
        let mut x = self.graph.with_constant("Add", "embedding", &padded, &positions);
        for layer in 0..config.layers {
            x = self.block(layer, &x);
        }
        let pooled = match config.pool {
            Pool::Cls => {
                let first = self.graph.first_row("cls", &x);
                self.graph.reshape("pooled", &first, &[config.dim])
            }
            Pool::Mean => self.graph.mean_of_rows("pooled", &x),
        }; // [batch, dim]
        let normed = self.layer_norm("mlp_head.0", &pooled);
        self.linear_named("mlp_head.1", LOGITS, &normed, config.classes)
    }

    /// The positions, with the class token added to the first: a zero token plus this is the class token in place.
    fn positions(&mut self) -> String {
        let _no_grad = tch::no_grad_guard();
        let positions = self.parameters["pos_embedding"].detach().copy(); // [1, tokens, dim]
        let mut first = positions.narrow(1, 0, 1);
        first += &self.parameters["cls_token"];
        // Not listed as a parameter in the manifest: it is the sum of two.
        let (shape, bytes) = shape_and_bytes(&positions);
        self.graph.constant("pos_embedding_with_cls_token", &shape, bytes)
    }

    fn block(&mut self, layer: usize, x: &Value) -> Value {
        let config = self.vit.config().clone();
        let name = format!("transformer.layers.{layer}");
        let input = self.layer_norm_named(&format!("{name}.0.norm"), &self.attention_input_name(layer), x);
        let output = self.attention(layer, &input);
        let between = self.graph.elementwise("Add", &identifier(&format!("{name}.0")), &output, x);

        let normed = self.layer_norm(&format!("{name}.1.norm"), &between);
        let hidden = self.linear(&format!("{name}.1.fn.net.0"), &normed, config.mlp_dim);
        let activated = self.gelu(&identifier(&format!("{name}.1.fn.gelu")), &hidden);
        let output = self.linear(&format!("{name}.1.fn.net.3"), &activated, config.dim);
        self.graph.elementwise("Add", &identifier(&name), &output, &between)
    }

    fn attention(&mut self, layer: usize, input: &Value) -> Value {
        let config = self.vit.config().clone();
        let (tokens, heads, dim_head, inner) = (config.tokens(), config.heads, config.dim_head, config.inner_dim());
        let module = Module::Attention { layer }.to_string();
        let local = self.prefix.clone();
        let name = move |rest: &str| {
            let full = format!("{module}.{rest}");
            identifier(full.strip_prefix(&local).unwrap_or(&full))
        };
        let qkv_weight = self.weight(&format!("transformer.layers.{layer}.0.fn.to_qkv.weight"));
        let qkv = self.graph.matmul_weight(&name("qkv"), input, &qkv_weight, 3 * inner); // [batch, tokens, 3·inner]
        let [query, key, value] = self.graph.split_last([&name("query"), &name("key"), &name("value")], &qkv); // [batch, tokens, inner]
        let heads_first = |graph: &mut GraphBuilder, x: &Value, order: &[usize]| {
            let split = graph.reshape(&format!("{}_by_token", x.name()), x, &[tokens, heads, dim_head]);
            graph.transpose(&format!("{}_by_head", x.name()), &split, order)
        };
        let query = heads_first(&mut self.graph, &query, &[1, 0, 2]); // [batch, heads, tokens, dim_head]
        let key = heads_first(&mut self.graph, &key, &[1, 2, 0]); // [batch, heads, dim_head, tokens]
        let value = heads_first(&mut self.graph, &value, &[1, 0, 2]); // [batch, heads, tokens, dim_head]
        let products = self.graph.matmul(&name("products"), &query, &key); // [batch, heads, tokens, tokens]
        let scale = self.graph.scalar(&name("scale"), (dim_head as f64).powf(-0.5) as f32);
        let scores = self.graph.with_constant("Mul", &name("scores"), &products, &scale);
        let softmax = self.graph.softmax(&name("softmax"), &scores);
        let mixed = self.graph.matmul(&name("mixed_by_head"), &softmax, &value); // [batch, heads, tokens, dim_head]
        let by_token = self.graph.transpose(&name("mixed_by_token"), &mixed, &[1, 0, 2]); // [batch, tokens, heads, dim_head]

        let output = self.attention_output_name(layer);
        if config.has_to_out() {
            let mixed = self.graph.reshape(&name("mixed"), &by_token, &[tokens, inner]);
            self.linear_named(&format!("transformer.layers.{layer}.0.fn.to_out.0"), &output, &mixed, config.dim)
        } else {
            self.graph.reshape(&output, &by_token, &[tokens, inner])
        }
    }

    fn attention_input_name(&self, layer: usize) -> String {
        match self.module {
            Module::Attention { layer: cut } if cut == layer => dataset::SUBMODEL_INPUT.to_owned(),
            Module::Attention { .. } => identifier(&format!("transformer.layers.{layer}.0.norm")),
        }
    }

    fn attention_output_name(&self, layer: usize) -> String {
        match self.module {
            Module::Attention { layer: cut } if cut == layer => dataset::SUBMODEL_OUTPUT.to_owned(),
            Module::Attention { .. } => identifier(&format!("transformer.layers.{layer}.0.fn")),
        }
    }

    /// The exact GELU, `x · ½ · (1 + erf(x / √2))`; ONNX has an operator for it only from opset 20.
    fn gelu(&mut self, name: &str, x: &Value) -> Value {
        let root_two = self.graph.scalar(&format!("{name}_root_two"), std::f32::consts::SQRT_2);
        let one = self.graph.scalar(&format!("{name}_one"), 1.0);
        let half = self.graph.scalar(&format!("{name}_half"), 0.5);
        let scaled = self.graph.with_constant("Div", &format!("{name}_scaled"), x, &root_two);
        let erf = self.graph.unary("Erf", &format!("{name}_erf"), &scaled);
        let raised = self.graph.with_constant("Add", &format!("{name}_raised"), &erf, &one);
        let product = self.graph.elementwise("Mul", &format!("{name}_product"), x, &raised);
        self.graph.with_constant("Mul", name, &product, &half)
    }

    fn layer_norm(&mut self, module: &str, x: &Value) -> Value {
        self.layer_norm_named(module, &identifier(module), x)
    }

    fn layer_norm_named(&mut self, module: &str, output: &str, x: &Value) -> Value {
        let weight = self.plain(&format!("{module}.weight"));
        let bias = self.plain(&format!("{module}.bias"));
        self.graph.layer_norm(output, x, &weight, &bias, self.vit.config().layer_norm_eps)
    }

    fn linear(&mut self, module: &str, x: &Value, out: usize) -> Value {
        self.linear_named(module, &identifier(module), x, out)
    }

    fn linear_named(&mut self, module: &str, output: &str, x: &Value, out: usize) -> Value {
        let weight = self.weight(&format!("{module}.weight"));
        let bias = self.plain(&format!("{module}.bias"));
        let product = self.graph.matmul_weight(&format!("{output}_product"), x, &weight, out);
        self.graph.with_constant("Add", output, &product, &bias)
    }

    /// A Linear's `[out, in]` as the `[in, out]` that MatMul takes.
    fn weight(&mut self, name: &str) -> String {
        let matrix = self.parameters[name].detach().to_kind(Kind::Float).tr();
        self.parameter(name, &matrix, true)
    }

    fn plain(&mut self, name: &str) -> String {
        let tensor = self.parameters[name].detach();
        self.parameter(name, &tensor, false)
    }

    fn parameter(&mut self, name: &str, tensor: &Tensor, transposed: bool) -> String {
        let (shape, bytes) = shape_and_bytes(tensor);
        let local = identifier(name.strip_prefix(&self.prefix).unwrap_or(name));
        self.graph.parameter(&local, Parameter { name: name.to_owned(), shape, bytes, transposed })
    }
}

/// A name of the Python model as a C identifier.
fn identifier(name: &str) -> String {
    name.replace('.', "_")
}
