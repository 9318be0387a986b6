//! What is to run: every combination of what was asked for, each once.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use verifier::engine::Device;
use verifier::engine::command::EngineSpec;
use verifier::engine::onnxruntime::Optimization;
use verifier::engine::onnxruntime::locate::locate;

use crate::cli::{CompareArgs, find_engine, find_engines};

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) engine: Asked,
    pub(super) batch_size: Option<usize>,
    pub(super) threads: Option<usize>,
}

/// What is to compute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asked {
    OnnxRuntime {
        runtime: PathBuf,
        device: Device,
        optimization: Optimization,
    },
    Command {
        engine: EngineSpec,
        /// As it was asked for.
        argument: String,
    },
    Outputs {
        name: String,
        path: PathBuf,
    },
}

/// ONNX Runtime's configurations and the engines, each with every batch size and number of threads;
/// then what came in files.
pub(super) fn runs(arguments: &CompareArgs) -> Result<Vec<Run>> {
    let mut computing = onnxruntime(arguments)?;
    computing.extend(commands(arguments)?);
    let mut runs = Vec::new();
    for engine in computing {
        for batch_size in each_or_none(&arguments.batch_sizes) {
            for threads in each_or_none(&arguments.threads) {
                runs.push(Run {
                    engine: engine.clone(),
                    batch_size,
                    threads,
                });
            }
        }
    }
    for (index, outputs) in arguments.outputs.iter().enumerate() {
        let mut earlier = arguments.outputs[..index].iter();
        ensure!(
            !earlier.any(|earlier| earlier.name == outputs.name),
            "--outputs: two are called `{name}`\n\
             hint: --outputs NAME=PATH gives each a name of its own",
            name = outputs.name
        );
        runs.push(Run {
            engine: Asked::Outputs {
                name: outputs.name.clone(),
                path: outputs.path.clone(),
            },
            batch_size: None,
            threads: None,
        });
    }
    for (index, run) in runs.iter().enumerate() {
        ensure!(
            !runs[..index].contains(run),
            "{} is there twice",
            run.engine
        );
    }
    ensure!(
        !runs.is_empty(),
        "there is nothing to run: --device, --engine or --outputs names it"
    );
    Ok(runs)
}

/// Every runtime on every device, then the pairs, each at every level.
fn onnxruntime(arguments: &CompareArgs) -> Result<Vec<Asked>> {
    let runtimes = match arguments.runtimes.as_slice() {
        [] if arguments.devices.is_empty() => vec![],
        [] => vec![locate(None)?],
        given => all_located(given.iter())?,
    };
    let mut targets: Vec<(PathBuf, Device)> = Vec::new();
    for runtime in runtimes {
        let devices = arguments.devices.iter();
        targets.extend(devices.map(|device| (runtime.clone(), device.clone())));
    }
    let libraries = all_located(arguments.runs.iter().map(|(library, _)| library))?;
    let devices = arguments.runs.iter().map(|(_, device)| device.clone());
    targets.extend(libraries.into_iter().zip(devices));
    let mut asked = Vec::new();
    for (runtime, device) in targets {
        for &optimization in &arguments.optimizations {
            asked.push(Asked::OnnxRuntime {
                runtime: runtime.clone(),
                device: device.clone(),
                optimization,
            });
        }
    }
    Ok(asked)
}

/// The engines that are named, or all of the file.
fn commands(arguments: &CompareArgs) -> Result<Vec<Asked>> {
    let file = arguments.engines_file.as_deref();
    if let (true, Some(file)) = (arguments.engines.is_empty(), file) {
        let engines = find_engines(file)?.into_iter();
        return Ok(engines
            .map(|engine| Asked::Command {
                argument: engine.name.clone(),
                engine,
            })
            .collect());
    }
    let named = arguments.engines.iter().map(|argument| {
        Ok(Asked::Command {
            engine: find_engine(argument, file)?,
            argument: argument.clone(),
        })
    });
    named.collect()
}

fn all_located<'a>(libraries: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<PathBuf>> {
    let located = libraries.map(|path| locate(Some(path)));
    Ok(located.collect::<Result<_, _>>()?)
}

fn each_or_none(values: &[usize]) -> Vec<Option<usize>> {
    match values {
        [] => vec![None],
        values => values.iter().copied().map(Some).collect(),
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnnxRuntime {
                runtime, device, ..
            } => write!(f, "{} on {device}", runtime.display()),
            Self::Command { engine, .. } => write!(f, "engine `{}`", engine.name),
            Self::Outputs { path, .. } => write!(f, "outputs {}", path.display()),
        }
    }
}
