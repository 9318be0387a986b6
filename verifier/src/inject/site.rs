//! Where faults can be put: the float32 tensors of a part, found from its graph.

use std::fmt;

use proto::graph::{Axis, Graph};
use proto::npy::Dtype;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tensor that faults can be put into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Site {
    pub kind: SiteKind,
    /// The tensor's name in the graph.
    pub name: String,
    /// Axes of one sample; of a weight all of its axes.
    pub shape: Vec<usize>,
}

/// What the tensor is in the graph.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SiteKind {
    Input,
    /// What one node writes and another one reads.
    Edge,
    Output,
    /// An initializer.
    Weight,
}

impl SiteKind {
    /// As faults name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Edge => "edge",
            Self::Output => "output",
            Self::Weight => "weight",
        }
    }
}

impl Site {
    /// Elements of one sample; of a weight all of them.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.name)
    }
}

/// Every float32 tensor of a graph: inputs, then edges in the order in which they are written,
/// outputs, weights. A tensor without a shape, or without a free axis of samples, is none, but for
/// a weight.
pub fn sites(graph: &Graph) -> Vec<Site> {
    let outputs = graph.output_names();
    let weights = graph.initializer_names();
    let mut inputs = graph.input_names();
    inputs.retain(|name| !weights.contains(name));
    let mut edges = graph.inner_edges();
    edges.retain(|name| !outputs.contains(name));
    let of_samples = [
        (SiteKind::Input, inputs),
        (SiteKind::Edge, edges),
        (SiteKind::Output, outputs),
    ];
    let mut sites = Vec::new();
    for (kind, names) in of_samples {
        sites.extend(names.into_iter().filter_map(|name| {
            Some(Site {
                kind,
                name: name.to_owned(),
                shape: sample_shape(graph, name)?,
            })
        }));
    }
    sites.extend(weights.into_iter().filter_map(|name| {
        graph.float32_elements(name).ok()?;
        Some(Site {
            kind: SiteKind::Weight,
            name: name.to_owned(),
            shape: graph.initializer_shape(name).ok()?,
        })
    }));
    sites.retain(|site| site.elements() > 0);
    sites
}

/// The axes behind a free first one.
pub(super) fn sample_shape(graph: &Graph, name: &str) -> Option<Vec<usize>> {
    if graph.dtype(name) != Some(Dtype::Float32) {
        return None;
    }
    let axes = graph.shape(name)?;
    let (Axis::Named(_), axes) = axes.split_first()? else {
        return None;
    };
    let lengths = axes.iter().map(|axis| match axis {
        Axis::Fixed(length) => Some(*length),
        Axis::Named(_) => None,
    });
    lengths.collect()
}

/// The names of sites, those like `name` first, which may have a kind before it; with their kinds
/// where there are several.
pub fn nearest_first(name: &str, sites: &[Site]) -> String {
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    let shared = |other: &Site| {
        let pairs = name.bytes().zip(other.name.bytes());
        pairs.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
    let mut nearest: Vec<&Site> = sites.iter().collect();
    nearest.sort_by_key(|other| std::cmp::Reverse(shared(other)));
    let is_of_one_kind = sites.iter().all(|site| site.kind == sites[0].kind);
    let names = nearest.iter().map(|site| match is_of_one_kind {
        true => site.name.clone(),
        false => site.to_string(),
    });
    names.collect::<Vec<_>>().join(", ")
}
