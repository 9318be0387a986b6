//! PyTorch's names of a model's weights, which faults may be written with.
//!
//! The graph keeps the matrices of Linear layers transposed, so that an element has two names with
//! two indices.

use std::collections::BTreeMap;

use proto::manifest::{Initializer, Part};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::{Fault, Target};
use super::grammar::index_text;
use super::positions::Positions;

/// Which initializer holds which parameter.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    /// By the initializer's name.
    initializers: BTreeMap<String, Initializer>,
    /// The module that was cut out, and a dot: what its own parameters are also named without.
    prefix: String,
}

/// An element of a weight by both of its names, each with an index of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WeightElement {
    /// What the graph calls the weight.
    pub initializer: String,
    /// The index in the graph's tensor.
    pub initializer_index: Vec<usize>,
    /// The parameter's name in PyTorch's `state_dict()` of the whole network.
    pub parameter: String,
    /// The index in PyTorch's tensor.
    pub parameter_index: Vec<usize>,
}

impl WeightElement {
    /// The name that a fault's target is not, and where it holds: `in the graph` or `in PyTorch`.
    pub fn other_name(&self, target: &Target) -> (&'static str, String) {
        if *target == Target::Weight(self.initializer.clone()) {
            let index = index_text(&self.parameter_index);
            ("in PyTorch", format!("{}{index}", self.parameter))
        } else {
            let index = index_text(&self.initializer_index);
            ("in the graph", format!("{}{index}", self.initializer))
        }
    }
}

impl Parameters {
    /// Those of a part of a bundle; `module` is what was cut out as the submodel.
    pub fn new(part: &Part, module: &str) -> Self {
        Self {
            initializers: part.initializers.clone(),
            prefix: format!("{module}."),
        }
    }

    /// The initializer that holds a parameter, and whether transposed. The name is that of
    /// `state_dict()` of the whole network, or of the module alone.
    pub fn find(&self, name: &str) -> Option<(&str, bool)> {
        let mut all = self.initializers.iter();
        let bears_it = |origin: &Initializer| {
            origin.parameter == name || self.local(&origin.parameter) == Some(name)
        };
        let (initializer, origin) = all.find(|(_, origin)| bears_it(origin))?;
        Some((initializer.as_str(), origin.transposed))
    }

    /// The element that a fault is in by both of its names; `None` where it is in no parameter, or
    /// in several elements.
    pub fn element(&self, fault: &Fault) -> Option<WeightElement> {
        let Target::Weight(name) = &fault.target else {
            return None;
        };
        let is_graphs_name = self.initializers.contains_key(name);
        let initializer = match is_graphs_name {
            true => name.as_str(),
            false => self.find(name)?.0,
        };
        let origin = &self.initializers[initializer];
        let position = |positions: &Positions| match positions {
            Positions::At(position) => Some(*position),
            _ => None,
        };
        let given: Vec<usize> = fault.index.iter().map(position).collect::<Option<_>>()?;
        let mut other = given.clone();
        if origin.transposed {
            other.reverse();
        }
        let (initializer_index, parameter_index) = match is_graphs_name {
            true => (given, other),
            false => (other, given),
        };
        Some(WeightElement {
            initializer: initializer.to_owned(),
            initializer_index,
            parameter: origin.parameter.clone(),
            parameter_index,
        })
    }

    /// What an initializer's parameter is called, by the shorter of its names, and whether the
    /// initializer holds it transposed.
    pub fn name_of(&self, initializer: &str) -> Option<(&str, bool)> {
        let origin = self.initializers.get(initializer)?;
        let name = self.local(&origin.parameter).unwrap_or(&origin.parameter);
        Some((name, origin.transposed))
    }

    /// The name of a parameter of the module without the module's.
    fn local<'a>(&self, parameter: &'a str) -> Option<&'a str> {
        parameter.strip_prefix(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attention's weights, as the bundle's manifest maps them.
    fn parameters() -> Parameters {
        let entry = |initializer: &str, parameter: &str, transposed| {
            let parameter = format!("transformer.layers.0.0.fn.{parameter}");
            let origin = Initializer {
                parameter,
                transposed,
            };
            (initializer.to_owned(), origin)
        };
        let initializers = [
            entry("to_qkv_weight", "to_qkv.weight", true),
            entry("to_out_0_bias", "to_out.0.bias", false),
        ];
        Parameters {
            initializers: initializers.into(),
            prefix: "transformer.layers.0.0.fn.".to_owned(),
        }
    }

    #[test]
    fn an_element_has_an_index_in_the_graph_and_another_one_in_pytorch() {
        let other_name = |text: &str| {
            let fault: Fault = text.parse().expect(text);
            let element = parameters().element(&fault)?;
            Some(element.other_name(&fault.target))
        };
        let in_graph = |name: &str| Some(("in the graph", name.to_owned()));
        let in_pytorch =
            |name: &str| Some(("in PyTorch", format!("transformer.layers.0.0.fn.{name}")));
        for (fault, expected) in [
            (
                "weight:to_qkv.weight[20,10]^3",
                in_graph("to_qkv_weight[10,20]"),
            ),
            (
                "weight:transformer.layers.0.0.fn.to_qkv.weight[20,10]^3",
                in_graph("to_qkv_weight[10,20]"),
            ),
            (
                "weight:to_qkv_weight[10,20]^3",
                in_pytorch("to_qkv.weight[20,10]"),
            ),
            ("weight:to_out.0.bias[3]^3", in_graph("to_out_0_bias[3]")),
            ("weight:to_out_0_bias[3]^3", in_pytorch("to_out.0.bias[3]")),
            ("weight:scale[]^3", None),
            ("weight:to_v.weight[0,0]^3", None),
            ("output[20,10]^3", None),
        ] {
            assert_eq!(other_name(fault), expected, "{fault}");
        }
    }
}
