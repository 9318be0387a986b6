//! A part that is cut at edges, so that faults can be put into the tensors that pass there.

use std::ops::Range;

use ndarray::{ArrayD, ArrayViewD, Axis};
use proto::graph::{CutError, Graph};

use super::change::Change;
use super::fault::{Fault, FaultError, Target};
use super::site::{SiteKind, nearest_first, sample_shape, sites};
use crate::engine::{Engine, RunError};

/// The two sides of a part at one edge, and how tensors go from one to the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    pub before: Graph,
    pub after: Graph,
    /// Names of what passes the cut, the edge first: the outputs of `before`.
    pub crossing: Vec<String>,
    /// Which of the part's inputs `before` takes, in its order.
    pub before_takes: Vec<usize>,
    /// What `after` takes, in its order.
    pub after_takes: Vec<Taken>,
}

/// Where an input of the second side comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// What passes the cut, by its number.
    Crossing(usize),
    /// The part's own input, by its number.
    Input(usize),
}

impl Cut {
    /// Cuts a graph at an edge.
    pub fn new(graph: &Graph, edge: &str) -> Result<Self, CutError> {
        let halves = graph.split_at(edge)?;
        let inputs = graph.input_names();
        let crossing: Vec<String> = owned(&halves.before.output_names());
        let position = |names: &[&str], name: &str| names.iter().position(|&own| own == name);
        let before_takes = halves.before.input_names();
        let before_takes = before_takes
            .iter()
            .filter_map(|name| position(&inputs, name))
            .collect();
        let passing: Vec<&str> = crossing.iter().map(String::as_str).collect();
        let after_takes = halves.after.input_names();
        let after_takes = after_takes
            .iter()
            .filter_map(|name| {
                let crossing = position(&passing, name).map(Taken::Crossing);
                crossing.or_else(|| position(&inputs, name).map(Taken::Input))
            })
            .collect();
        Ok(Self {
            before: halves.before,
            after: halves.after,
            crossing,
            before_takes,
            after_takes,
        })
    }

    /// Whether the second side takes inputs of the part.
    pub fn after_takes_inputs(&self) -> bool {
        let mut taken = self.after_takes.iter();
        taken.any(|taken| matches!(taken, Taken::Input(_)))
    }

    /// The inputs of the second side, of those of the part and of what passes the cut.
    pub fn inputs_after<'v>(
        &self,
        inputs: &[ArrayViewD<'v, f32>],
        crossing: &[ArrayViewD<'v, f32>],
    ) -> Vec<ArrayViewD<'v, f32>> {
        let taken = self.after_takes.iter().map(|taken| match *taken {
            Taken::Crossing(number) => crossing[number].clone(),
            Taken::Input(number) => inputs[number].clone(),
        });
        taken.collect()
    }
}

/// Loads a piece of a part where it runs.
type LoadPiece<'l, 'a, E> = dyn FnMut(&Graph) -> Result<Box<dyn Engine + 'a>, E> + 'l;

/// A part that is cut once or more, with faults in what passes the cuts; without any it computes
/// what the whole part does.
pub struct CutEngine<'a> {
    cut: Cut,
    before: Box<dyn Engine + 'a>,
    after: Box<dyn Engine + 'a>,
    faults: Vec<EdgeFault>,
    crossing: Vec<ArrayD<f32>>,
}

/// A fault in what passes a cut.
#[derive(Debug, Clone)]
struct EdgeFault {
    crossing: usize,
    sample: usize,
    /// In C order, of the sample.
    elements: Vec<usize>,
    change: Change,
}

/// The edges that faults are in, each once, in the order in which the graph writes them.
pub fn faulty_edges(graph: &Graph, faults: &[Fault]) -> Vec<String> {
    let is_faulty = |edge: &&str| {
        let mut targets = faults.iter().map(|fault| &fault.target);
        targets.any(|target| matches!(target, Target::Edge(name) if name == edge))
    };
    owned(
        &graph
            .inner_edges()
            .into_iter()
            .filter(is_faulty)
            .collect::<Vec<_>>(),
    )
}

/// Refuses a fault in an edge that is not there, or outside of it, or in a sample that is not run.
pub fn check_edge_faults(
    graph: &Graph,
    faults: &[Fault],
    samples: &Range<usize>,
) -> Result<(), FaultError> {
    let mut edges = sites(graph);
    edges.retain(|site| site.kind == SiteKind::Edge);
    for fault in faults {
        let Target::Edge(name) = &fault.target else {
            continue;
        };
        let Some(site) = edges.iter().find(|site| site.name == *name) else {
            return Err(FaultError::NoTensor {
                fault: fault.to_string(),
                kind: "edge",
                name: name.clone(),
                available: nearest_first(name, &edges),
            });
        };
        let shape = [&[samples.end], site.shape.as_slice()].concat();
        fault.elements(name, &shape)?;
        fault.sample_in(samples)?;
    }
    Ok(())
}

impl<'a> CutEngine<'a> {
    /// Cuts the graph at every edge, and loads its pieces; `faults` go into what passes there.
    pub fn load<E: From<CutError>>(
        graph: &Graph,
        edges: &[String],
        faults: &[Fault],
        load: &mut LoadPiece<'_, 'a, E>,
    ) -> Result<Box<dyn Engine + 'a>, E> {
        let Some((edge, others)) = edges.split_first() else {
            return load(graph);
        };
        let cut = Cut::new(graph, edge)?;
        // What passes the cut anyway needs no cut of its own.
        let mut others = others.to_vec();
        others.retain(|other| !cut.crossing.contains(other));
        let before = load(&cut.before)?;
        let after = Self::load(&cut.after, &others, faults, load)?;
        let placed = faults.iter().filter_map(|fault| edge_fault(fault, &cut));
        Ok(Box::new(Self {
            before,
            after,
            faults: placed.collect(),
            crossing: vec![],
            cut,
        }))
    }
}

/// A fault that is in what passes a cut.
fn edge_fault(fault: &Fault, cut: &Cut) -> Option<EdgeFault> {
    let Target::Edge(name) = &fault.target else {
        return None;
    };
    let sample = fault.sample()?;
    let axes = sample_shape(&cut.before, name)?;
    let elements = fault.elements(name, &[&[sample + 1], axes.as_slice()].concat());
    Some(EdgeFault {
        crossing: cut.crossing.iter().position(|passing| passing == name)?,
        sample,
        elements: elements.ok()?,
        change: fault.change,
    })
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

impl Engine for CutEngine<'_> {
    fn run(
        &mut self,
        samples: &Range<usize>,
        inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayViewD<'_, f32>>, RunError> {
        let taken = self.cut.before_takes.iter();
        let taken: Vec<ArrayViewD<'_, f32>> = taken.map(|&number| inputs[number].clone()).collect();
        let crossing = self.before.run(samples, &taken)?;
        self.crossing = crossing.iter().map(ArrayViewD::to_owned).collect();
        for fault in self
            .faults
            .iter()
            .filter(|fault| samples.contains(&fault.sample))
        {
            let tensor = &mut self.crossing[fault.crossing];
            let mut sample = tensor.index_axis_mut(Axis(0), fault.sample - samples.start);
            let values = sample.as_slice_mut().expect("samples are in C order");
            for &element in &fault.elements {
                values[element] = fault.change.apply(values[element]);
            }
        }
        let Self {
            cut,
            after,
            crossing,
            ..
        } = self;
        let crossing: Vec<ArrayViewD<'_, f32>> = crossing.iter().map(|own| own.view()).collect();
        let inputs = cut.inputs_after(inputs, &crossing);
        after.run(samples, &inputs)
    }
}
