//! The network's layers, operation for operation what `trainer::vit` computes.

use proto::config::Pool;
use proto::graph::{GraphBuilder, Value};
use proto::preprocessing::IMAGE;

use super::names::{LOGITS, block};
use super::weights::Network;

impl Network<'_> {
    /// `image [batch, 3, S, S]` → `[batch, tokens, dim]`.
    pub(super) fn embed(&mut self, name: &str) -> Value {
        let config = self.config;
        let (channels, size) = (config.channels, config.image_size);
        let (side, patch) = (config.patches_per_side(), config.patch_size);
        let image = self.graph.input(IMAGE, &[channels, size, size]);
        let grid = [channels, side, patch, side, patch];
        let cut = self.graph.reshape("patch_grid", &image, &grid);
        // [batch, row, column, row in patch, column in patch, channel]
        let ordered = self.graph.transpose("patch_pixels", &cut, &[1, 3, 2, 4, 0]);
        let rows = [config.patches(), config.patch_dim()];
        let flat = self.graph.reshape("patches", &ordered, &rows);
        let (module, output) = ("to_patch_embedding.1", "to_patch_embedding_1");
        let embedded = self.linear(module, output, &flat, config.dim); // [batch, patches, dim]
        // [batch, tokens, dim], the first one zero
        let padded = self.graph.pad_first_row("tokens", &embedded);
        let positions = self.positions();
        self.graph.with_constant("Add", name, &padded, &positions)
    }

    /// `[batch, tokens, dim]` → logits `[batch, classes]`.
    pub(super) fn classify(&mut self, x: &Value) -> Value {
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

    pub(super) fn block(&mut self, layer: usize, x: &Value, name: &str) -> Value {
        let between = self.local(&block(layer, ".0"));
        let between = self.first_half(layer, x, &between);
        self.second_half(layer, &between, name)
    }

    /// attention(norm(x)) + x
    pub(super) fn first_half(&mut self, layer: usize, x: &Value, name: &str) -> Value {
        let normed = self.norm_of_block(layer, ".0.norm", x);
        let output = self.local(&block(layer, ".0.fn"));
        let output = self.attention(layer, &normed, &output);
        self.graph.elementwise("Add", name, &output, x)
    }

    /// feed_forward(norm(x)) + x
    pub(super) fn second_half(&mut self, layer: usize, x: &Value, name: &str) -> Value {
        let normed = self.norm_of_block(layer, ".1.norm", x);
        let output = self.local(&block(layer, ".1.fn"));
        let output = self.feed_forward(layer, &normed, &output);
        self.graph.elementwise("Add", name, &output, x)
    }

    pub(super) fn norm_of_block(&mut self, layer: usize, norm: &str, x: &Value) -> Value {
        let module = block(layer, norm);
        let name = self.local(&module);
        self.layer_norm(&module, &name, x)
    }

    pub(super) fn feed_forward(&mut self, layer: usize, input: &Value, output: &str) -> Value {
        let (first, second) = (block(layer, ".1.fn.net.0"), block(layer, ".1.fn.net.3"));
        let local = self.local(&first);
        let hidden = self.linear(&first, &local, input, self.config.mlp_dim);
        let local = self.local(&block(layer, ".1.fn.gelu"));
        let activated = self.gelu(&local, &hidden);
        self.linear(&second, output, &activated, self.config.dim)
    }

    pub(super) fn attention(&mut self, layer: usize, input: &Value, output: &str) -> Value {
        let config = self.config;
        let (tokens, inner) = (config.tokens(), config.inner_dim());
        let prefix = self.local(&block(layer, ".0.fn."));
        let name = |rest: &str| format!("{prefix}{rest}");
        let weight = self.matrix(&block(layer, ".0.fn.to_qkv.weight"));
        let graph = &mut self.graph;
        // [batch, tokens, 3·inner]
        let qkv = graph.matmul_weight(&name("qkv"), input, &weight, 3 * inner);
        let pieces = [&*name("query"), &name("key"), &name("value")];
        let [query, key, value] = graph.split_last(pieces, &qkv); // [batch, tokens, inner]
        let split = [tokens, config.heads, config.dim_head];
        // [batch, heads, tokens, dim_head]
        let query = heads_first(graph, &query, split, &[1, 0, 2]);
        // [batch, heads, dim_head, tokens]
        let key = heads_first(graph, &key, split, &[1, 2, 0]);
        // [batch, heads, tokens, dim_head]
        let value = heads_first(graph, &value, split, &[1, 0, 2]);
        // [batch, heads, tokens, tokens]
        let products = graph.matmul(&name("products"), &query, &key);
        let scale = (config.dim_head as f64).powf(-0.5) as f32;
        let scale = graph.scalar(&name("scale"), scale);
        let scores = graph.with_constant("Mul", &name("scores"), &products, &scale);
        let softmax = graph.softmax(&name("softmax"), &scores);
        // [batch, heads, tokens, dim_head]
        let mixed = graph.matmul(&name("mixed_by_head"), &softmax, &value);
        // [batch, tokens, heads, dim_head]
        let by_token = graph.transpose(&name("mixed_by_token"), &mixed, &[1, 0, 2]);
        if config.has_to_out() {
            let mixed = graph.reshape(&name("mixed"), &by_token, &[tokens, inner]);
            self.linear(&block(layer, ".0.fn.to_out.0"), output, &mixed, config.dim)
        } else {
            graph.reshape(output, &by_token, &[tokens, inner])
        }
    }

    /// The exact GELU, `x · ½ · (1 + erf(x / √2))`; ONNX has an operator for it only from opset 20.
    fn gelu(&mut self, name: &str, x: &Value) -> Value {
        let graph = &mut self.graph;
        let within = |rest: &str| format!("{name}_{rest}");
        let root_two = graph.scalar(&within("root_two"), std::f32::consts::SQRT_2);
        let one = graph.scalar(&within("one"), 1.0);
        let half = graph.scalar(&within("half"), 0.5);
        let scaled = graph.with_constant("Div", &within("scaled"), x, &root_two);
        let erf = graph.unary("Erf", &within("erf"), &scaled);
        let raised = graph.with_constant("Add", &within("raised"), &erf, &one);
        let product = graph.elementwise("Mul", &within("product"), x, &raised);
        graph.with_constant("Mul", name, &product, &half)
    }
}

/// `[batch, tokens, heads·dim_head]` with an axis of its own for the heads, in another order.
fn heads_first(
    graph: &mut GraphBuilder<'_>,
    x: &Value,
    split: [usize; 3],
    order: &[usize],
) -> Value {
    let by_token = format!("{}_by_token", x.name());
    let by_token = graph.reshape(&by_token, x, &split); // [batch, tokens, heads, dim_head]
    graph.transpose(&format!("{}_by_head", x.name()), &by_token, order)
}
