//! A model ready to run on the device that was asked for.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use ndarray::{ArrayViewD, Axis, IxDyn};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::{DynValue, Outlet, TensorRef, ValueType};
use proto::manifest::{Part, Tensor};
use proto::staging::ScratchFolder;

use super::error::{LoadError, one_line};
use super::guarded::guarded;
use super::library::{LOG_LEVEL, Library};
use super::options::{Optimization, Options};
use super::provider::register;
use crate::engine::interface::{Engine, RunError};
use crate::engine::placement::{self, Placement, PlacementError};
use crate::samples::elements;

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
    /// Names of the outputs, in the part's order.
    names: Vec<String>,
    /// What the last run gave.
    outputs: Vec<DynValue>,
    load_seconds: f64,
}

impl Session {
    /// Loads a model, runs `first_inputs`, a batch `[batch, …]` each, and proves where every node
    /// ran. `path` is the model's name in messages.
    pub fn load(
        library: &Library,
        model: Source<'_>,
        path: &Path,
        part: &Part,
        options: &Options,
        first_inputs: &[ArrayViewD<'_, f32>],
    ) -> Result<Self, LoadError> {
        let started = Instant::now();
        let profile = ScratchFolder::create(None).map_err(LoadError::Profile)?;
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
        let session = session
            .map_err(unusable)?
            .map_err(|error| unusable(one_line(&error.to_string())))?;
        check_interface(path, "inputs", &part.inputs, session.inputs())?;
        check_interface(path, "outputs", &part.outputs, session.outputs())?;
        let mut session = Self {
            session,
            placement: Placement::new(),
            names: part
                .outputs
                .iter()
                .map(|tensor| tensor.name.clone())
                .collect(),
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
        let mut tensors: Vec<SessionInputValue<'_>> = Vec::with_capacity(inputs.len());
        for input in inputs {
            let tensor = TensorRef::from_array_view((input.shape(), elements(input)));
            tensors.push(tensor.map_err(failed)?.into());
        }
        let session = &mut self.session;
        let results = guarded(|| session.run(tensors.as_slice())).map_err(RunError)?;
        let mut results = results.map_err(failed)?;
        for name in &self.names {
            let output = results.remove(name);
            let output = output.ok_or_else(|| RunError(format!("no output `{name}`")))?;
            self.outputs.push(output);
        }
        let outputs = &self.outputs;
        guarded(|| outputs.iter().map(view).collect()).map_err(RunError)?
    }
}

fn view(output: &DynValue) -> Result<ArrayViewD<'_, f32>, RunError> {
    let (shape, elements) = output.try_extract_tensor::<f32>().map_err(failed)?;
    let axes: Vec<usize> = shape
        .iter()
        .map(|&axis| usize::try_from(axis).unwrap_or_default())
        .collect();
    ArrayViewD::from_shape(IxDyn(&axes), elements)
        .map_err(|error| RunError(format!("an output of shape {shape:?}: {error}")))
}

fn failed(error: ort::Error) -> RunError {
    RunError(one_line(&error.to_string()))
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

/// The model must have the inputs and outputs of the manifest.
fn check_interface(
    model: &Path,
    what: &'static str,
    expected: &[Tensor],
    found: &[Outlet],
) -> Result<(), LoadError> {
    let has_shapes = expected
        .iter()
        .all(|tensor| tensor.sample_shape().is_some());
    let expected: Vec<String> = expected.iter().map(describe).collect();
    let found: Vec<String> = found.iter().map(describe_outlet).collect();
    if has_shapes && !expected.is_empty() && expected == found {
        return Ok(());
    }
    Err(LoadError::Interface {
        path: model.to_owned(),
        what,
        expected: expected.join(", "),
        found: found.join(", "),
    })
}

fn describe(tensor: &Tensor) -> String {
    let axes = tensor.sample_shape().unwrap_or_default();
    let (name, dtype) = (&tensor.name, tensor.dtype.name());
    format!("{name} {dtype} [batch, {}]", join(&axes))
}

fn describe_outlet(outlet: &Outlet) -> String {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            let axes: Vec<i64> = shape.iter().skip(1).copied().collect();
            let dtype = ty.to_string().replace("f32", "float32");
            format!("{} {dtype} [batch, {}]", outlet.name(), join(&axes))
        }
        other => format!("{} {other:?}", outlet.name()),
    }
}

fn join(axes: &[impl ToString]) -> String {
    let axes: Vec<String> = axes.iter().map(ToString::to_string).collect();
    axes.join(", ")
}
