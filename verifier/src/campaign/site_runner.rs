//! Faults at one site, many samples at a time: each beside the same run without it.

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use proto::graph::Graph;

use super::alone::{FaultFree, RunsAlone};
use super::error::RunnerError;
use crate::engine::onnxruntime::LoadError;
use crate::engine::{Engine, RunError, float_mode};
use crate::inject::cut::Cut;
use crate::inject::{Change, Site, SiteKind};
use crate::samples::Recording;

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

/// The samples of a run at a site.
pub(super) struct BatchOf<'a> {
    pub(super) site: usize,
    /// What messages call the site.
    pub(super) site_name: &'a Site,
    pub(super) samples: &'a [usize],
    /// The part's inputs, in its order.
    pub(super) recordings: &'a [Recording],
    pub(super) alone: &'a RunsAlone,
}

impl BatchOf<'_> {
    /// The part's inputs, `[batch, …]` each.
    pub(super) fn inputs(&self) -> Result<Vec<ArrayD<f32>>, RunnerError> {
        gathered(self.recordings, self.samples)
    }

    /// A result, with the site in its message.
    pub(super) fn named<T>(&self, result: Result<T, RunError>) -> Result<T, RunnerError> {
        result.map_err(|error| RunnerError::Run {
            site: self.site_name.to_string(),
            error,
        })
    }
}

/// Some samples of each input.
pub(super) fn gathered(
    inputs: &[Recording],
    samples: &[usize],
) -> Result<Vec<ArrayD<f32>>, RunnerError> {
    let gathered = inputs.iter().map(|input| input.reader().gathered(samples));
    Ok(gathered.collect::<Result<_, _>>()?)
}

pub(super) fn views(tensors: &[ArrayD<f32>]) -> Vec<ArrayViewD<'_, f32>> {
    tensors.iter().map(|tensor| tensor.view()).collect()
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

    /// Runs a batch of samples with a fault for each of them. A sample that is run alone has the
    /// same position each time: what comes of it without a fault is kept.
    pub(super) fn run(
        &mut self,
        part: &mut dyn Engine,
        batch: &BatchOf<'_>,
        strikes: &[Strike],
    ) -> Result<Both, RunnerError> {
        let ([sample], [strike]) = (batch.samples, strikes) else {
            let inputs = batch.inputs()?;
            return batch.named(self.run_all(part, &views(&inputs), strikes));
        };
        let known = match batch.alone.get(batch.site, *sample) {
            Some(known) => known,
            None => {
                let inputs = batch.inputs()?;
                let own = batch.named(self.run_fault_free(part, inputs))?;
                batch.alone.keep(batch.site, *sample, own)
            }
        };
        batch.named(self.run_alone(part, &known, strike))
    }

    /// Runs a sample without a fault.
    fn run_fault_free(
        &mut self,
        part: &mut dyn Engine,
        mut inputs: Vec<ArrayD<f32>>,
    ) -> Result<FaultFree, RunError> {
        let mut crossing = vec![];
        let outputs = match self {
            Self::Edge { cut, before, after } => {
                let own = views(&inputs);
                let taken = cut.before_takes.iter();
                let taken: Vec<_> = taken.map(|&number| own[number].clone()).collect();
                crossing = run(&mut **before, &taken)?;
                let outputs = run(&mut **after, &cut.inputs_after(&own, &views(&crossing)))?;
                if !cut.after_takes_inputs() {
                    inputs.clear();
                }
                outputs
            }
            _ => run(part, &views(&inputs))?,
        };
        if let Self::Output(_) = self {
            inputs.clear();
        }
        Ok(FaultFree {
            inputs,
            crossing,
            outputs,
        })
    }

    /// Runs a sample with a fault.
    fn run_alone(
        &mut self,
        part: &mut dyn Engine,
        known: &FaultFree,
        strike: &Strike,
    ) -> Result<Both, RunError> {
        let strikes = std::slice::from_ref(strike);
        let corrupted = match self {
            Self::Input(input) => {
                let mut changed = known.inputs[*input].clone();
                strike_each(&mut changed, strikes);
                let mut inputs = views(&known.inputs);
                inputs[*input] = changed.view();
                run(part, &inputs)?
            }
            Self::Edge { cut, after, .. } => {
                let mut changed = known.crossing[0].clone();
                strike_each(&mut changed, strikes);
                let mut crossing = views(&known.crossing);
                crossing[0] = changed.view();
                let inputs = views(&known.inputs);
                run(&mut **after, &cut.inputs_after(&inputs, &crossing))?
            }
            Self::Output(output) => {
                let mut outputs = known.outputs.clone();
                strike_each(&mut outputs[*output], strikes);
                outputs
            }
            Self::Weight { .. } => return Err(run_for_weights()),
        };
        Ok(Both {
            fault_free: known.outputs.clone(),
            corrupted,
        })
    }

    /// Runs samples, whose inputs are `[batch, …]` each.
    fn run_all(
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
                let fault_free = run(&mut **after, &cut.inputs_after(inputs, &views(&crossing)))?;
                strike_each(&mut crossing[0], strikes);
                let corrupted = run(&mut **after, &cut.inputs_after(inputs, &views(&crossing)))?;
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
            Self::Weight { .. } => Err(run_for_weights()),
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

fn run_for_weights() -> RunError {
    RunError("faults of a weight are run by themselves".to_owned())
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
