//! `rten-run MODEL INPUTS OUTPUTS BATCH THREADS`: the adapter for rten. Without arguments it takes
//! the same five from `VIT_PART_MODEL`, `_INPUTS`, `_OUTPUTS`, `_BATCH` and `_THREADS`.

mod samples;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rten::{Dimension, Model, NodeId, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use samples::{Input, Output};

const WORDS: [&str; 5] = ["MODEL", "INPUTS", "OUTPUTS", "BATCH", "THREADS"];

struct Arguments {
    model: PathBuf,
    inputs: PathBuf,
    outputs: PathBuf,
    batch: usize,
    threads: usize,
}

fn main() -> ExitCode {
    match measured_run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measured_run() -> Result<()> {
    let arguments = arguments()?;
    let started = Instant::now();
    let model = Model::load_file(&arguments.model)
        .with_context(|| format!("rten: cannot load {}", arguments.model.display()))?;
    let mut inputs = open_inputs(&model, &arguments)?;
    let load = started.elapsed().as_secs_f64();
    let started = Instant::now();
    for output in run(&model, &mut inputs, &arguments)? {
        output.finish()?;
    }
    let run = started.elapsed().as_secs_f64();
    let (version, threads) = (rten_version(), arguments.threads);
    eprint!(r#"{{"engine": "rten", "version": "{version}", "precision": "float32", "#);
    eprintln!(r#""threads": {threads}, "load_s": {load:.3}, "run_s": {run:.3}}}"#);
    Ok(())
}

/// The one that `Cargo.toml` pins.
fn rten_version() -> &'static str {
    let pinned = include_str!("../Cargo.toml").split("\nrten = \"=").nth(1);
    let version = pinned.and_then(|rest| rest.split('"').next());
    version.expect("Cargo.toml pins rten")
}

/// The five words of the command line, or else the environment's variables.
fn arguments() -> Result<Arguments> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.is_empty() {
        let named = WORDS.map(|word| format!("VIT_PART_{word}"));
        words = named
            .iter()
            .map(|name| std::env::var(name).with_context(|| name.clone()))
            .collect::<Result<_>>()?;
    }
    let [model, inputs, outputs, batch, threads] = words.as_slice() else {
        bail!("expected {}, found {} words", WORDS.join(" "), words.len());
    };
    let number = |word: &str, what: &str| -> Result<usize> {
        match word.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => bail!("{what}: expected a whole number from 1, found `{word}`"),
        }
    };
    Ok(Arguments {
        model: model.into(),
        inputs: inputs.into(),
        outputs: outputs.into(),
        batch: number(batch, "BATCH")?,
        threads: number(threads, "THREADS")?,
    })
}

/// A file for each input of the model, all with the same number of samples.
fn open_inputs(model: &Model, arguments: &Arguments) -> Result<Vec<(NodeId, Input)>> {
    let mut inputs = Vec::new();
    for &id in model.input_ids() {
        let file = arguments.inputs.join(format!("{}.npy", name(model, id)?));
        inputs.push((id, Input::open(&file)?));
    }
    let (_, first) = inputs.first().context("the model has no inputs")?;
    let expected = first.samples();
    for (_, input) in &inputs {
        let found = input.samples();
        ensure!(
            found == expected,
            "{input}: expected {expected} samples, found {found}"
        );
    }
    Ok(inputs)
}

/// Runs all batches; the outputs are complete, but not yet under their names. The last batch of a
/// model that fixes it is filled up with zeros, and what comes of them is dropped.
fn run(
    model: &Model,
    inputs: &mut [(NodeId, Input)],
    arguments: &Arguments,
) -> Result<Vec<Output>> {
    let pool = Arc::new(ThreadPool::with_num_threads(arguments.threads));
    let samples = inputs[0].1.samples();
    let mut outputs: Vec<Output> = Vec::new();
    let fixed_batch = fixed_batch(model);
    let batch = fixed_batch.unwrap_or(arguments.batch);
    for first in (0..samples).step_by(batch) {
        let count = batch.min(samples - first);
        let given = fixed_batch.unwrap_or(count);
        let mut feed: Vec<(NodeId, ValueOrView)> = Vec::new();
        for (id, input) in inputs.iter_mut() {
            let (shape, values) = input.next(count, given)?;
            feed.push((*id, Value::from(Tensor::from_data(&shape, values)).into()));
        }
        let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
        let values = model.run(feed, model.output_ids(), Some(options))?;
        for (index, value) in values.into_iter().enumerate() {
            let name = name(model, model.output_ids()[index])?;
            let tensor: Tensor<f32> = value
                .try_into()
                .map_err(|error| anyhow!("output `{name}`: {error:?}"))?;
            let shape = tensor.shape().to_vec();
            ensure!(
                shape.first() == Some(&given),
                "output `{name}`: expected {given} samples, found shape {shape:?}"
            );
            if outputs.len() == index {
                outputs.push(Output::create(
                    &arguments.outputs,
                    name,
                    samples,
                    &shape[1..],
                )?);
            }
            let elements = count * shape[1..].iter().product::<usize>();
            outputs[index].extend(&shape[1..], &tensor.to_vec()[..elements])?;
        }
    }
    Ok(outputs)
}

/// Samples of every run, if the model fixes them.
fn fixed_batch(model: &Model) -> Option<usize> {
    let &input = model.input_ids().first()?;
    match *model.node_info(input)?.shape()?.first()? {
        Dimension::Fixed(samples) if samples > 0 => Some(samples),
        _ => None,
    }
}

fn name(model: &Model, id: NodeId) -> Result<&str> {
    let info = model.node_info(id).and_then(|info| info.name());
    info.context("the model has an input or output without a name")
}
