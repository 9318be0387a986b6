//! The parts of a bundle: the whole network, and what is before, in and after the module.
//!
//! What goes round the module is the residual; nothing goes round a whole block.

use proto::graph::{Deployment, Model, Value};
use proto::manifest::{Part, part};
use proto::module::{Module, ModuleKind};
use trainer::vit::Vit;

use super::names::{RESIDUAL, SUBMODEL_INPUT, SUBMODEL_OUTPUT, block};
use super::weights::Network;

/// A part as a model, and its description for the manifest.
#[derive(Debug)]
pub struct PartModel {
    pub model: Model<'static>,
    pub part: Part,
}

/// A part being built.
struct Builder<'a> {
    network: Network<'a>,
    module: Module,
    /// What the residual is called, where the graph has it as a tensor of its own.
    residual: Option<&'static str>,
}

/// One of the bundle's models, by its name in [`part`]; `file` is its path in the bundle.
pub fn build(
    vit: &Vit,
    module: Module,
    name: &str,
    file: &str,
    deployment: Deployment,
) -> PartModel {
    // A whole block's own names would begin with a digit.
    let strips = name == part::SUBMODEL && module.kind != ModuleKind::Block;
    let prefix = if strips {
        format!("{module}.")
    } else {
        String::new()
    };
    let mut builder = Builder {
        network: Network::new(vit, name, prefix, deployment),
        module,
        residual: (name == part::HEAD).then_some(RESIDUAL),
    };
    match name {
        part::HEAD => builder.build_head(),
        part::SUBMODEL => builder.build_submodel(),
        part::TAIL => builder.build_tail(),
        _ => builder.build_full(),
    }
    let Network {
        graph,
        initializers,
        ..
    } = builder.network;
    let mut built = PartModel::new(graph.finish(), file);
    built.part.initializers = initializers;
    built
}

impl PartModel {
    /// A model without parameters that is to lie at `file`.
    pub fn new(model: Model<'static>, file: &str) -> Self {
        let part = Part::of_model(file, &model);
        Self { model, part }
    }
}

impl Builder<'_> {
    fn build_head(&mut self) {
        let (mut residual, input) = self.head();
        if residual.as_ref().is_some_and(|residual| *residual == input) {
            // One tensor cannot be two outputs.
            residual = Some(self.network.graph.identity(RESIDUAL, &input));
        }
        for value in residual.iter().chain([&input]) {
            self.network.graph.output(value);
        }
    }

    fn build_submodel(&mut self) {
        let input = self.network.graph.input(SUBMODEL_INPUT, &self.edge());
        let output = self.submodel(&input);
        self.network.graph.output(&output);
    }

    fn build_tail(&mut self) {
        let edge = self.edge();
        let graph = &mut self.network.graph;
        let has_residual = self.module.has_residual();
        let residual = has_residual.then(|| graph.input(RESIDUAL, &edge));
        let output = graph.input(SUBMODEL_OUTPUT, &edge);
        let logits = self.tail(residual.as_ref(), &output);
        self.network.graph.output(&logits);
    }

    fn build_full(&mut self) {
        let (residual, input) = self.head();
        let output = self.submodel(&input);
        let logits = self.tail(residual.as_ref(), &output);
        self.network.graph.output(&logits);
    }

    /// Axes after `batch` of what passes the cut.
    fn edge(&self) -> [usize; 2] {
        [self.network.config.tokens(), self.network.config.dim]
    }

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
                let norm = block(layer, ".0.norm");
                let input = self.network.layer_norm(&norm, SUBMODEL_INPUT, &x);
                (Some(x), input)
            }
            ModuleKind::NormFeedForward => {
                let between = self.stream_between(layer, SUBMODEL_INPUT);
                (Some(between.clone()), between)
            }
            ModuleKind::FeedForward => {
                let own_name = || self.network.local(&block(layer, ".0"));
                let name = self.residual.map_or_else(own_name, str::to_owned);
                let between = self.stream_between(layer, &name);
                let norm = block(layer, ".1.norm");
                let input = self.network.layer_norm(&norm, SUBMODEL_INPUT, &between);
                (Some(between), input)
            }
        }
    }

    fn submodel(&mut self, input: &Value) -> Value {
        let Module { layer, kind } = self.module;
        let network = &mut self.network;
        match kind {
            ModuleKind::Attention => network.attention(layer, input, SUBMODEL_OUTPUT),
            ModuleKind::NormAttention => {
                let normed = network.norm_of_block(layer, ".0.norm", input);
                network.attention(layer, &normed, SUBMODEL_OUTPUT)
            }
            ModuleKind::FeedForward => network.feed_forward(layer, input, SUBMODEL_OUTPUT),
            ModuleKind::NormFeedForward => {
                let normed = network.norm_of_block(layer, ".1.norm", input);
                network.feed_forward(layer, &normed, SUBMODEL_OUTPUT)
            }
            ModuleKind::Block => network.block(layer, input, SUBMODEL_OUTPUT),
        }
    }

    /// From what goes round the module and the module's output to the logits.
    fn tail(&mut self, residual: Option<&Value>, output: &Value) -> Value {
        let Module { layer, kind } = self.module;
        let network = &mut self.network;
        let mut x = match (kind, residual) {
            (ModuleKind::Attention | ModuleKind::NormAttention, Some(residual)) => {
                let name = network.local(&block(layer, ".0"));
                let between = network.graph.elementwise("Add", &name, output, residual);
                let name = network.local(&block(layer, ""));
                network.second_half(layer, &between, &name)
            }
            (ModuleKind::FeedForward | ModuleKind::NormFeedForward, Some(residual)) => {
                let name = network.local(&block(layer, ""));
                network.graph.elementwise("Add", &name, output, residual)
            }
            _ => output.clone(),
        };
        for layer in layer + 1..network.config.layers {
            let name = network.local(&block(layer, ""));
            x = network.block(layer, &x, &name);
        }
        network.classify(&x)
    }

    /// What enters a block, from the image on, under a name.
    fn stream(&mut self, layer: usize, name: &str) -> Value {
        let Some(last) = layer.checked_sub(1) else {
            return self.network.embed(name);
        };
        let before = self.stream_name(last);
        let x = self.stream(last, &before);
        self.network.block(last, &x, name)
    }

    fn stream_name(&self, layer: usize) -> String {
        match layer.checked_sub(1) {
            Some(last) => self.network.local(&block(last, "")),
            None => "embedding".to_owned(),
        }
    }

    /// What leaves the first half of a block, from the image on, under a name.
    fn stream_between(&mut self, layer: usize, name: &str) -> Value {
        let before = self.stream_name(layer);
        let x = self.stream(layer, &before);
        self.network.first_half(layer, &x, name)
    }
}
