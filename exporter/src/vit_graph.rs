//! The network as ONNX graphs, operation for operation what `trainer::vit` computes, whole or cut
//! at a module.
//!
//! ```text
//! head   image → residual, submodel_input          the same operations as in `full`, so that the parts joined
//! submodel       submodel_input → submodel_output   give what it gives
//! tail   residual, submodel_output → logits
//! ```
//!
//! What goes round the module is the residual; nothing goes round a whole block. Names are C
//! identifiers: a module's tensors begin with its name, dots as underscores; those at the cut bear
//! the same names in every graph.

use std::collections::HashMap;

use proto::config::{Pool, VitConfig};
use proto::manifest::{dataset, part};
use proto::module::{Module, ModuleKind};
use tch::{Kind, Tensor};
use trainer::vit::Vit;

use crate::graph::{GraphBuilder, Model, Parameter, Value};

/// Graph input of the full model and the head.
pub const IMAGE: &str = "image";
/// Graph output of the full model and the tail.
pub const LOGITS: &str = dataset::LOGITS;
/// What the head hands to the tail, round the submodel.
pub const RESIDUAL: &str = "residual";
const SUBMODEL_INPUT: &str = dataset::SUBMODEL_INPUT;
const SUBMODEL_OUTPUT: &str = dataset::SUBMODEL_OUTPUT;

/// A network being turned into a graph.
struct Builder<'a> {
    config: &'a VitConfig,
    parameters: HashMap<String, Tensor>,
    module: Module,
    graph: GraphBuilder,
    /// What is taken off the front of names: nothing, or the submodel's own name and a dot.
    prefix: String,
    /// What the residual is called, where the graph has it as a tensor of its own.
    residual: Option<&'static str>,
}

/// One of the bundle's models, by its name in [`part`].
pub fn build(
    vit: &Vit,
    module: Module,
    name: &str,
    file: &str,
    metadata: &[(&str, String)],
) -> Model {
    let edge = [vit.config().tokens(), vit.config().dim];
    // A whole block's own names would begin with a digit.
    let strips = name == part::SUBMODEL && module.kind != ModuleKind::Block;
    let mut builder = Builder {
        config: vit.config(),
        parameters: vit.variables(),
        module,
        graph: GraphBuilder::new(name),
        prefix: if strips {
            format!("{module}.")
        } else {
            String::new()
        },
        residual: (name == part::HEAD).then_some(RESIDUAL),
    };
    match name {
        part::HEAD => {
            let (mut residual, input) = builder.head();
            if residual.as_ref().is_some_and(|residual| *residual == input) {
                // One tensor cannot be two outputs.
                residual = Some(builder.graph.identity(RESIDUAL, &input));
            }
            residual
                .iter()
                .chain([&input])
                .for_each(|value| builder.graph.output(value));
        }
        part::SUBMODEL => {
            let input = builder.graph.input(SUBMODEL_INPUT, &edge);
            let output = builder.submodel(&input);
            builder.graph.output(&output);
        }
        part::TAIL => {
            let residual = module
                .has_residual()
                .then(|| builder.graph.input(RESIDUAL, &edge));
            let output = builder.graph.input(SUBMODEL_OUTPUT, &edge);
            let logits = builder.tail(residual.as_ref(), &output);
            builder.graph.output(&logits);
        }
        _ => {
            let (residual, input) = builder.head();
            let output = builder.submodel(&input);
            let logits = builder.tail(residual.as_ref(), &output);
            builder.graph.output(&logits);
        }
    }
    builder.graph.finish(file, metadata)
}

impl Builder<'_> {
    /// From the image to what goes round the module, if anything does, and the module's input.
    fn head(&mut self) -> (Option<Value>, Value) {
        let Module { layer, kind } = self.module;
        match kind {
            ModuleKind::Block => (None, self.stream(layer, SUBMODEL_INPUT)),
            ModuleKind::NormAttention => {
                let x = self.stream(layer, SUBMODEL_INPUT);
                (Some(x.clone()), x)
            }
            ModuleKind::Attention => {
                let name = self
                    .residual
                    .map_or_else(|| self.stream_name(layer), str::to_owned);
                let x = self.stream(layer, &name);
                let input = self.layer_norm(&block(layer, ".0.norm"), SUBMODEL_INPUT, &x);
                (Some(x), input)
            }
            ModuleKind::NormFeedForward => {
                let between = self.stream_between(layer, SUBMODEL_INPUT);
                (Some(between.clone()), between)
            }
            ModuleKind::FeedForward => {
                let name = self
                    .residual
                    .map_or_else(|| self.local(&block(layer, ".0")), str::to_owned);
                let between = self.stream_between(layer, &name);
                let input = self.layer_norm(&block(layer, ".1.norm"), SUBMODEL_INPUT, &between);
                (Some(between), input)
            }
        }
    }

    fn submodel(&mut self, input: &Value) -> Value {
        let Module { layer, kind } = self.module;
        match kind {
            ModuleKind::Attention => self.attention(layer, input, SUBMODEL_OUTPUT),
            ModuleKind::NormAttention => {
                let normed = self.norm_of_block(layer, ".0.norm", input);
                self.attention(layer, &normed, SUBMODEL_OUTPUT)
            }
            ModuleKind::FeedForward => self.feed_forward(layer, input, SUBMODEL_OUTPUT),
            ModuleKind::NormFeedForward => {
                let normed = self.norm_of_block(layer, ".1.norm", input);
                self.feed_forward(layer, &normed, SUBMODEL_OUTPUT)
            }
            ModuleKind::Block => self.block(layer, input, SUBMODEL_OUTPUT),
        }
    }

    /// From what goes round the module and the module's output to the logits.
    fn tail(&mut self, residual: Option<&Value>, output: &Value) -> Value {
        let Module { layer, kind } = self.module;
        let mut x = match (kind, residual) {
            (ModuleKind::Attention | ModuleKind::NormAttention, Some(residual)) => {
                let name = self.local(&block(layer, ".0"));
                let between = self.graph.elementwise("Add", &name, output, residual);
                let name = self.local(&block(layer, ""));
                self.second_half(layer, &between, &name)
            }
            (ModuleKind::FeedForward | ModuleKind::NormFeedForward, Some(residual)) => {
                let name = self.local(&block(layer, ""));
                self.graph.elementwise("Add", &name, output, residual)
            }
            _ => output.clone(),
        };
        for layer in layer + 1..self.config.layers {
            let name = self.local(&block(layer, ""));
            x = self.block(layer, &x, &name);
        }
        self.classify(&x)
    }

    /// What enters a block, from the image on, under a name.
    fn stream(&mut self, layer: usize, name: &str) -> Value {
        let Some(last) = layer.checked_sub(1) else {
            return self.embed(name);
        };
        let before = self.stream_name(last);
        let x = self.stream(last, &before);
        self.block(last, &x, name)
    }

    fn stream_name(&self, layer: usize) -> String {
        layer.checked_sub(1).map_or_else(
            || "embedding".to_owned(),
            |last| self.local(&block(last, "")),
        )
    }

    /// What leaves the first half of a block, from the image on, under a name.
    fn stream_between(&mut self, layer: usize, name: &str) -> Value {
        let before = self.stream_name(layer);
        let x = self.stream(layer, &before);
        self.first_half(layer, &x, name)
    }

    /// `image [batch, 3, S, S]` → `[batch, tokens, dim]`.
    fn embed(&mut self, name: &str) -> Value {
        let config = self.config;
        let (side, patch) = (config.patches_per_side(), config.patch_size);
        let image = self.graph.input(
            IMAGE,
            &[config.channels, config.image_size, config.image_size],
        );
        let cut = self.graph.reshape(
            "patch_grid",
            &image,
            &[config.channels, side, patch, side, patch],
        );
        // [batch, row, column, row in patch, column in patch, channel]
        let ordered = self.graph.transpose("patch_pixels", &cut, &[1, 3, 2, 4, 0]);
        let flat = self
            .graph
            .reshape("patches", &ordered, &[config.patches(), config.patch_dim()]);
        let embedded = self.linear(
            "to_patch_embedding.1",
            "to_patch_embedding_1",
            &flat,
            config.dim,
        ); // [batch, patches, dim]
        // [batch, tokens, dim], the first one zero
        let padded = self.graph.pad_first_row("tokens", &embedded);
        let positions = self.positions();
        self.graph.with_constant("Add", name, &padded, &positions)
    }

    /// `[batch, tokens, dim]` → logits `[batch, classes]`.
    fn classify(&mut self, x: &Value) -> Value {
        let config = self.config;
        let pooled = match config.pool {
            Pool::Cls => {
                let first = self.graph.first_row("cls", x);
                self.graph.reshape("pooled", &first, &[config.dim])
            }
            Pool::Mean => self.graph.mean_of_rows("pooled", x),
        }; // [batch, dim]
        let normed = self.layer_norm("mlp_head.0", "mlp_head_0", &pooled);
        self.linear("mlp_head.1", LOGITS, &normed, config.classes)
    }

    /// The positions, with the class token added to the first: a zero token plus this is the class
    /// token in place.
    fn positions(&mut self) -> String {
        let _no_grad = tch::no_grad_guard();
        let positions = self.parameters["pos_embedding"].detach().copy(); // [1, tokens, dim]
        let mut first = positions.narrow(1, 0, 1);
        first += &self.parameters["cls_token"];
        // Not listed as a parameter in the manifest: it is the sum of two.
        self.graph
            .constant("pos_embedding_with_cls_token", positions)
    }

    fn block(&mut self, layer: usize, x: &Value, name: &str) -> Value {
        let between = self.local(&block(layer, ".0"));
        let between = self.first_half(layer, x, &between);
        self.second_half(layer, &between, name)
    }

    /// attention(norm(x)) + x
    fn first_half(&mut self, layer: usize, x: &Value, name: &str) -> Value {
        let normed = self.norm_of_block(layer, ".0.norm", x);
        let output = self.local(&block(layer, ".0.fn"));
        let output = self.attention(layer, &normed, &output);
        self.graph.elementwise("Add", name, &output, x)
    }

    /// feed_forward(norm(x)) + x
    fn second_half(&mut self, layer: usize, x: &Value, name: &str) -> Value {
        let normed = self.norm_of_block(layer, ".1.norm", x);
        let output = self.local(&block(layer, ".1.fn"));
        let output = self.feed_forward(layer, &normed, &output);
        self.graph.elementwise("Add", name, &output, x)
    }

    fn norm_of_block(&mut self, layer: usize, norm: &str, x: &Value) -> Value {
        let module = block(layer, norm);
        let name = self.local(&module);
        self.layer_norm(&module, &name, x)
    }

    fn feed_forward(&mut self, layer: usize, input: &Value, output: &str) -> Value {
        let module = block(layer, ".1.fn");
        let name = |rest: &str| format!("{module}.{rest}");
        let local = self.local(&name("net.0"));
        let hidden = self.linear(&name("net.0"), &local, input, self.config.mlp_dim);
        let local = self.local(&name("gelu"));
        let activated = self.gelu(&local, &hidden);
        self.linear(&name("net.3"), output, &activated, self.config.dim)
    }

    fn attention(&mut self, layer: usize, input: &Value, output: &str) -> Value {
        let config = self.config;
        let (tokens, heads, dim_head, inner) = (
            config.tokens(),
            config.heads,
            config.dim_head,
            config.inner_dim(),
        );
        let module = block(layer, ".0.fn");
        let prefix = self.prefix.clone();
        let name = move |rest: &str| local(&prefix, &format!("{module}.{rest}"));
        let qkv_weight = self.weight(&block(layer, ".0.fn.to_qkv.weight"));
        let qkv = self
            .graph
            .matmul_weight(&name("qkv"), input, &qkv_weight, 3 * inner); // [batch, tokens, 3·inner]
        let [query, key, value] = self
            .graph
            // [batch, tokens, inner]
            .split_last([&name("query"), &name("key"), &name("value")], &qkv);
        let heads_first = |graph: &mut GraphBuilder, x: &Value, order: &[usize]| {
            let split = graph.reshape(
                &format!("{}_by_token", x.name()),
                x,
                &[tokens, heads, dim_head],
            );
            graph.transpose(&format!("{}_by_head", x.name()), &split, order)
        };
        // [batch, heads, tokens, dim_head]
        let query = heads_first(&mut self.graph, &query, &[1, 0, 2]);
        // [batch, heads, dim_head, tokens]
        let key = heads_first(&mut self.graph, &key, &[1, 2, 0]);
        // [batch, heads, tokens, dim_head]
        let value = heads_first(&mut self.graph, &value, &[1, 0, 2]);
        // [batch, heads, tokens, tokens]
        let products = self.graph.matmul(&name("products"), &query, &key);
        let scale = self
            .graph
            .scalar(&name("scale"), (dim_head as f64).powf(-0.5) as f32);
        let scores = self
            .graph
            .with_constant("Mul", &name("scores"), &products, &scale);
        let softmax = self.graph.softmax(&name("softmax"), &scores);
        // [batch, heads, tokens, dim_head]
        let mixed = self.graph.matmul(&name("mixed_by_head"), &softmax, &value);
        let by_token = self
            .graph
            // [batch, tokens, heads, dim_head]
            .transpose(&name("mixed_by_token"), &mixed, &[1, 0, 2]);

        if config.has_to_out() {
            let mixed = self
                .graph
                .reshape(&name("mixed"), &by_token, &[tokens, inner]);
            self.linear(&block(layer, ".0.fn.to_out.0"), output, &mixed, config.dim)
        } else {
            self.graph.reshape(output, &by_token, &[tokens, inner])
        }
    }

    /// The exact GELU, `x · ½ · (1 + erf(x / √2))`; ONNX has an operator for it only from opset 20.
    fn gelu(&mut self, name: &str, x: &Value) -> Value {
        let root_two = self
            .graph
            .scalar(&format!("{name}_root_two"), std::f32::consts::SQRT_2);
        let one = self.graph.scalar(&format!("{name}_one"), 1.0);
        let half = self.graph.scalar(&format!("{name}_half"), 0.5);
        let scaled = self
            .graph
            .with_constant("Div", &format!("{name}_scaled"), x, &root_two);
        let erf = self.graph.unary("Erf", &format!("{name}_erf"), &scaled);
        let raised = self
            .graph
            .with_constant("Add", &format!("{name}_raised"), &erf, &one);
        let product = self
            .graph
            .elementwise("Mul", &format!("{name}_product"), x, &raised);
        self.graph.with_constant("Mul", name, &product, &half)
    }

    fn layer_norm(&mut self, module: &str, output: &str, x: &Value) -> Value {
        let weight = self.plain(&format!("{module}.weight"));
        let bias = self.plain(&format!("{module}.bias"));
        self.graph
            .layer_norm(output, x, &weight, &bias, self.config.layer_norm_eps)
    }

    fn linear(&mut self, module: &str, output: &str, x: &Value, out: usize) -> Value {
        let weight = self.weight(&format!("{module}.weight"));
        let bias = self.plain(&format!("{module}.bias"));
        let product = self
            .graph
            .matmul_weight(&format!("{output}_product"), x, &weight, out);
        self.graph.with_constant("Add", output, &product, &bias)
    }

    /// A Linear's `[out, in]` as the `[in, out]` that MatMul takes.
    fn weight(&mut self, name: &str) -> String {
        let matrix = self.parameters[name].detach().to_kind(Kind::Float).tr();
        self.parameter(name, matrix, true)
    }

    fn plain(&mut self, name: &str) -> String {
        let tensor = self.parameters[name].detach();
        self.parameter(name, tensor, false)
    }

    fn parameter(&mut self, name: &str, tensor: Tensor, transposed: bool) -> String {
        let local = self.local(name);
        self.graph.parameter(
            &local,
            Parameter {
                name: name.to_owned(),
                tensor,
                transposed,
            },
        )
    }

    /// What something of the Python model is called in this graph.
    fn local(&self, name: &str) -> String {
        local(&self.prefix, name)
    }
}

/// A name of the Python model as a C identifier, less the submodel's own name.
fn local(prefix: &str, name: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).replace('.', "_")
}

/// The name of something in a transformer block.
fn block(layer: usize, rest: &str) -> String {
    format!("transformer.layers.{layer}{rest}")
}
