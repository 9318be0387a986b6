//! Faults at one site, many samples at a time: each beside the same run without it.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use proto::graph::Graph;

use super::error::RunnerError;
use crate::engine::onnxruntime::LoadError;
use crate::engine::{Engine, RunError, float_mode};
use crate::inject::cut::Cut;
use crate::inject::{Change, Site, SiteKind};

/// Loads a graph where the part runs.
pub type Load<'a> = dyn FnMut(&Graph) -> Result<Box<dyn Engine>, LoadError> + 'a;

/// The part that faults are put into.
pub struct Part {
    pub graph: Graph,
    /// The graph as it is, loaded.
    pub engine: Box<dyn Engine>,
}

/// What one fault changes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strike {
    /// Flat indices into the sample's tensor; of a weight, into all of it.
    pub elements: Vec<usize>,
    pub change: Change,
}

/// How the faults of a site are run.
pub(super) enum SiteRunner {
    /// The part's input of this number is changed.
    Input(usize),
    /// What passes a cut is changed.
    Edge {
        cut: Box<Cut>,
        before: Box<dyn Engine>,
        after: Box<dyn Engine>,
    },
    /// The part's output of this number is changed.
    Output(usize),
    /// A weight, which is the last input of this graph, is changed.
    Weight {
        weight: ArrayD<f32>,
        engine: Box<dyn Engine>,
    },
}

/// What the part gives for a batch, `[batch, …]` for each output.
#[derive(Debug)]
pub(super) struct Both {
    pub(super) fault_free: Vec<ArrayD<f32>>,
    pub(super) corrupted: Vec<ArrayD<f32>>,
}

impl SiteRunner {
    /// Cuts the part at the site and loads its pieces; gives their bytes with it.
    pub(super) fn load(
        part: &Part,
        site: &Site,
        load: &mut Load<'_>,
    ) -> Result<(Self, usize), RunnerError> {
        let name = site.name.as_str();
        let position = |names: Vec<&str>| names.iter().position(|&own| own == name);
        let missing = || RunnerError::NoSite(site.to_string());
        match site.kind {
            SiteKind::Input => {
                let input = position(part.graph.input_names()).ok_or_else(missing)?;
                Ok((Self::Input(input), 0))
            }
            SiteKind::Output => {
                let output = position(part.graph.output_names()).ok_or_else(missing)?;
                Ok((Self::Output(output), 0))
            }
            SiteKind::Edge => {
                let cut = Box::new(Cut::new(&part.graph, name)?);
                let bytes = [&cut.before, &cut.after].map(|piece| piece.to_bytes().len());
                let runner = Self::Edge {
                    before: load(&cut.before)?,
                    after: load(&cut.after)?,
                    cut,
                };
                Ok((runner, bytes.iter().sum()))
            }
            SiteKind::Weight => {
                let values = part.graph.float32_elements(name)?;
                let weight = ArrayD::from_shape_vec(IxDyn(&site.shape), values);
                let mut graph = part.graph.clone();
                graph.initializer_to_input(name)?;
                let runner = Self::Weight {
                    weight: weight.map_err(|_| missing())?,
                    engine: load(&graph)?,
                };
                Ok((runner, graph.to_bytes().len()))
            }
        }
    }

    /// Runs a batch of samples, whose inputs are `[batch, …]` each, with a fault for each of them.
    pub(super) fn run(
        &mut self,
        part: &mut dyn Engine,
        inputs: &[ArrayViewD<'_, f32>],
        strikes: &[Strike],
    ) -> Result<Both, RunError> {
        match self {
            Self::Input(input) => {
                let fault_free = run(part, inputs)?;
                let mut changed = inputs[*input].to_owned();
                strike_each(&mut changed, strikes);
                let mut inputs = inputs.to_vec();
                inputs[*input] = changed.view();
                let corrupted = run(part, &inputs)?;
                Ok(Both {
                    fault_free,
                    corrupted,
                })
            }
            Self::Edge { cut, before, after } => {
                let taken = cut.before_takes.iter();
                let taken: Vec<_> = taken.map(|&number| inputs[number].clone()).collect();
                let mut crossing = run(&mut **before, &taken)?;
                let fault_free = run(&mut **after, &cut.inputs_after(inputs, &crossing))?;
                strike_each(&mut crossing[0], strikes);
                let corrupted = run(&mut **after, &cut.inputs_after(inputs, &crossing))?;
                Ok(Both {
                    fault_free,
                    corrupted,
                })
            }
            Self::Output(output) => {
                let fault_free = run(part, inputs)?;
                let mut corrupted = fault_free.clone();
                strike_each(&mut corrupted[*output], strikes);
                Ok(Both {
                    fault_free,
                    corrupted,
                })
            }
            Self::Weight { .. } => Err(RunError("a weight's fault is run alone".to_owned())),
        }
    }

    /// Runs samples with one fault of a weight for all of them; without a fault as they are.
    pub(super) fn run_weight(
        &mut self,
        inputs: &[ArrayViewD<'_, f32>],
        strike: Option<&Strike>,
    ) -> Result<Vec<ArrayD<f32>>, RunError> {
        let Self::Weight { weight, engine } = self else {
            return Err(RunError(
                "a fault of a sample is run with others".to_owned(),
            ));
        };
        let mut changed = weight.clone();
        if let Some(strike) = strike {
            let values = changed.as_slice_mut().expect("weights are in C order");
            apply(strike, values);
        }
        run(&mut **engine, &[inputs, &[changed.view()]].concat())
    }
}

/// A fault for each sample of a batch `[batch, …]`.
fn strike_each(tensor: &mut ArrayD<f32>, strikes: &[Strike]) {
    for (mut sample, strike) in tensor.axis_iter_mut(Axis(0)).zip(strikes) {
        apply(
            strike,
            sample.as_slice_mut().expect("samples are in C order"),
        );
    }
}

fn apply(strike: &Strike, values: &mut [f32]) {
    for &element in &strike.elements {
        values[element] = strike.change.apply(values[element]);
    }
}

/// Runs a batch and keeps what comes out, which must be `[batch, …]`.
pub(super) fn run(
    engine: &mut dyn Engine,
    inputs: &[ArrayViewD<'_, f32>],
) -> Result<Vec<ArrayD<f32>>, RunError> {
    let samples = inputs.first().map_or(0, |input| input.len_of(Axis(0)));
    let outputs = engine.run(&(0..samples), inputs);
    float_mode::restore();
    let outputs: Vec<ArrayD<f32>> = outputs?.iter().map(ArrayViewD::to_owned).collect();
    let is_batch = |output: &ArrayD<f32>| output.shape().first() == Some(&samples);
    if outputs.is_empty() || !outputs.iter().all(is_batch) {
        return Err(RunError(format!("expected outputs of {samples} samples")));
    }
    Ok(outputs)
}
