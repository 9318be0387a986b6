//! A model ready to run on the device that was asked for.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session as OrtSession, SessionInputValue};
use proto::graph::{Axis as GraphAxis, Graph};
use proto::staging::ScratchFolder;

use super::error::{LoadError, one_line};
use super::guarded::guarded;
use super::library::{LOG_LEVEL, Library};
use super::options::{Optimization, Options};
use super::ports::{self, Expected, Interface, Output, failed};
use super::provider::register;
use crate::engine::interface::{Engine, RunError};
use crate::engine::placement::{self, Placement, PlacementError};

/// Where the model is.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// In a file.
    File(&'a Path),
    /// In memory, such as with weight faults.
    Memory(&'a [u8]),
}

/// A model ready to run on the device that was asked for.
#[derive(Debug)]
pub struct Session {
    session: OrtSession,
    placement: Placement,
    /// In the part's order.
    interface: Interface,
    /// What the last run gave.
    outputs: Vec<Output>,
    load_seconds: f64,
}

impl Session {
    /// Loads a model whose inputs and outputs fit the part's, runs `first_inputs`, a batch
    /// `[batch, …]` each, and proves where every node ran. `path` is the model's name in messages.
    pub fn load(
        library: &Library,
        model: Source<'_>,
        path: &Path,
        expected: &Expected<'_>,
        options: &Options,
        first_inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Self, LoadError> {
        let started = Instant::now();
        let profile = ScratchFolder::create(None).map_err(LoadError::Profile)?;
        let session = create(library, model, path, options, &profile)?;
        let interface = Interface::new(path, expected, session.inputs(), session.outputs())?;
        Self::proven(session, interface, started, options, first_inputs)
    }

    /// Loads a graph as it is, all of whose inputs and outputs are float32, such as a piece of a
    /// part, and proves where every node runs with a batch of zeros.
    pub fn of_graph(
        library: &Library,
        graph: &Graph,
        options: &Options,
        batch_size: usize,
    ) -> Result<Self, LoadError> {
        let started = Instant::now();
        let profile = ScratchFolder::create(None).map_err(LoadError::Profile)?;
        let path = Path::new("a piece of the model");
        let unusable = |reason: String| LoadError::Model {
            path: path.to_owned(),
            device: options.device.clone(),
            reason,
        };
        if graph.has_external_data() {
            let reason = "weights in a second file, which a piece in memory cannot have";
            return Err(unusable(reason.to_owned()));
        }
        let source = Source::Memory(&graph.to_bytes());
        let session = create(library, source, path, options, &profile)?;
        let interface = Interface::of_graph(session.inputs(), session.outputs());
        let interface = interface
            .ok_or_else(|| unusable("a tensor that passes a cut is not float32".to_owned()))?;
        let zeros = interface
            .inputs
            .iter()
            .map(|port| zeros(graph, &port.name, batch_size));
        let zeros: Option<Vec<ArrayD<f32>>> = zeros.collect();
        let zeros = zeros.ok_or_else(|| unusable("an input has no shape".to_owned()))?;
        let views: Vec<ArrayViewD<'_, f32>> = zeros.iter().map(|input| input.view()).collect();
        Self::proven(session, interface, started, options, &views)
    }

    fn proven(
        session: OrtSession,
        interface: Interface,
        started: Instant,
        options: &Options,
        first_inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Self, LoadError> {
        let mut session = Self {
            session,
            placement: Placement::new(),
            interface,
            outputs: vec![],
            load_seconds: started.elapsed().as_secs_f64(),
        };
        session.prove_placement(options, first_inputs)?;
        Ok(session)
    }

    /// Where the nodes of the first run ran.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Samples of every run, if the model fixes them.
    pub fn fixed_batch(&self) -> Option<usize> {
        self.interface.batch
    }

    /// Seconds that creating the session took.
    pub fn load_seconds(&self) -> f64 {
        self.load_seconds
    }

    /// Runs once with the profile on, and reads in it where every node ran.
    fn prove_placement(
        &mut self,
        options: &Options,
        first_inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<(), LoadError> {
        let first = 0..first_inputs
            .first()
            .map_or(0, |input| input.len_of(Axis(0)));
        if let Err(error) = self.run(&first, first_inputs) {
            let device = options.device.clone();
            return Err(LoadError::FirstRun { device, error });
        }
        let proof = self.placement_of_first_run(options);
        self.placement = proof.map_err(|error| LoadError::Placement {
            device: options.device.clone(),
            error,
        })?;
        Ok(())
    }

    fn placement_of_first_run(&mut self, options: &Options) -> Result<Placement, PlacementError> {
        let unreadable = PlacementError::Unreadable;
        let file = self.session.end_profiling();
        let file = file.map_err(|error| unreadable(error.to_string()))?;
        let profile = fs::read_to_string(&file);
        let profile = profile.map_err(|error| unreadable(format!("{file}: {error}")))?;
        let found = placement::parse(&profile)?;
        placement::prove(&found, &options.device)?;
        Ok(found)
    }
}

impl Engine for Session {
    fn run(
        &mut self,
        _: &Range<usize>,
        inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Vec<ArrayViewD<'_, f32>>, RunError> {
        self.outputs.clear();
        let Interface {
            inputs: ports,
            outputs: given,
            batch,
        } = &self.interface;
        let mut tensors: Vec<SessionInputValue<'_>> = Vec::with_capacity(inputs.len());
        for (port, input) in ports.iter().zip(inputs) {
            tensors.push(ports::value(port, input, *batch)?);
        }
        // By name where a model has its inputs in another order.
        let named: Vec<_> = ports
            .iter()
            .map(|port| port.name.as_str())
            .zip(tensors)
            .collect();
        let session = &mut self.session;
        let results = guarded(|| session.run(named)).map_err(RunError)?;
        let mut results = results.map_err(failed)?;
        let samples = inputs.first().map_or(0, |input| input.len_of(Axis(0)));
        for port in given {
            let name = &port.name;
            let output = results.remove(name);
            let output = output.ok_or_else(|| RunError(format!("no output `{name}`")))?;
            let output = guarded(|| ports::output(port, output, samples, *batch));
            self.outputs.push(output.map_err(RunError)??);
        }
        let outputs = &self.outputs;
        guarded(|| outputs.iter().map(Output::view).collect()).map_err(RunError)?
    }
}

/// An input of zeros; `None` where the graph does not say its shape.
fn zeros(graph: &Graph, name: &str, batch_size: usize) -> Option<ArrayD<f32>> {
    let axes = graph.shape(name)?;
    let lengths = axes.iter().map(|axis| match axis {
        GraphAxis::Fixed(length) => *length,
        GraphAxis::Named(_) => batch_size,
    });
    Some(ArrayD::zeros(IxDyn(&lengths.collect::<Vec<_>>())))
}

/// A session on the device, with the profile of its first run in a folder.
fn create(
    library: &Library,
    model: Source<'_>,
    path: &Path,
    options: &Options,
    profile: &ScratchFolder,
) -> Result<OrtSession, LoadError> {
    let unusable = |reason: String| LoadError::Model {
        path: path.to_owned(),
        device: options.device.clone(),
        reason,
    };
    let builder = OrtSession::builder(library.environment());
    let builder = builder.map_err(|error| unusable(error.to_string()))?;
    let builder = configure(builder, options, profile.path()).map_err(unusable)?;
    let mut builder = register(builder, options, &library.info().path)?;
    let session = guarded(|| match model {
        Source::File(file) => builder.commit_from_file(file),
        Source::Memory(bytes) => builder.commit_from_memory(bytes),
    });
    session
        .map_err(unusable)?
        .map_err(|error| unusable(one_line(&error.to_string())))
}

/// Everything that could change results is set on purpose.
fn configure(
    builder: SessionBuilder,
    options: &Options,
    profile: &Path,
) -> Result<SessionBuilder, String> {
    let level = match options.optimization {
        Optimization::None => GraphOptimizationLevel::Disable,
        Optimization::Basic => GraphOptimizationLevel::Level1,
        Optimization::Extended => GraphOptimizationLevel::Level2,
        Optimization::All => GraphOptimizationLevel::All,
    };
    let builder = builder
        .with_no_environment_execution_providers()
        .map_err(text)?;
    let builder = builder.with_optimization_level(level).map_err(text)?;
    let builder = builder.with_deterministic_compute(true).map_err(text)?;
    let profile = profile.join("profile");
    let builder = builder.with_profiling(profile).map_err(text)?;
    let builder = builder.with_log_level(LOG_LEVEL).map_err(text)?;
    // A plan of where tensors lie would keep those of all operators apart.
    let builder = builder.with_memory_pattern(false).map_err(text)?;
    match options.threads {
        Some(threads) => builder.with_intra_threads(threads).map_err(text),
        None => Ok(builder),
    }
}

fn text(error: ort::Error<SessionBuilder>) -> String {
    error.to_string()
}
