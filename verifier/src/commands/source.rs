//! What gives the outputs that a command compares: sessions of a runtime, or files.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use verifier::calibrate::setting::Setting;
use verifier::check::Engines;
use verifier::engine::onnxruntime::Library;
use verifier::engine::recorded::OutputsRecord;
use verifier::engine::{Device, Engine};
use verifier::inject::Fault;
use verifier::report::command::CommandRecord;
use verifier::report::record::{FromPixelsRecord, RuntimeRecord};

use super::command_engine::PreparedCommand;
use super::opened::Opened;
use super::pieces::load_cut;
use super::prepare::{Loaded, Prepared, PreparedFiles};
use crate::cli::{EngineArgs, OutputsArgs, TargetArgs};

/// What gives the outputs, ready to be run.
pub(super) enum Source {
    Sessions(Box<Sessions>),
    Files(Box<PreparedFiles>),
    Command(Box<PreparedCommand>),
}

/// What gives outputs, as flags say.
pub(super) struct Asked<'a> {
    pub(super) target: &'a TargetArgs,
    pub(super) outputs: &'a OutputsArgs,
    pub(super) engine: &'a EngineArgs,
    pub(super) batch_size: Option<usize>,
}

/// A part on a device.
pub(super) struct Sessions {
    prepared: Prepared,
    /// The model as it is.
    fault_free: Loaded,
    /// The model with faults inside, if there are any.
    corrupted: Option<Box<dyn Engine>>,
}

impl Source {
    /// Checks hashes and loads what is needed: files, another engine, or the runtime with the
    /// model.
    pub(super) fn open(
        opened: Opened,
        asked: &Asked<'_>,
        faults: &[Fault],
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let Asked {
            target,
            outputs,
            engine,
            batch_size,
        } = *asked;
        if outputs.outputs.is_some() {
            check_reachable(faults)?;
            let files = PreparedFiles::new(opened, outputs, batch_size, &stop)?;
            return Ok(Self::Files(Box::new(files)));
        }
        if let Some(spec) = engine.spec()? {
            let flags = (engine, target);
            let command = PreparedCommand::new(opened, spec, flags, batch_size, faults, &stop)?;
            return Ok(Self::Command(Box::new(command)));
        }
        let prepared = Prepared::new(opened, target, batch_size, stop)?;
        Self::load(prepared, faults)
    }

    fn load(mut prepared: Prepared, faults: &[Fault]) -> Result<Self> {
        let changed = prepared.model.with_weight_faults(faults)?;
        let mut fault_free = prepared.load(prepared.batch_size)?;
        let mut corrupted = None;
        if let Some(graph) = changed {
            corrupted = match load_cut(&prepared, &graph, faults)? {
                // A fault in an edge is compared with the same cut.
                Some([without, with]) => {
                    fault_free.engine = without;
                    Some(with)
                }
                None => Some(prepared.load_changed(&graph.to_bytes())?.engine),
            };
        }
        prepared.model.release();
        Ok(Self::Sessions(Box::new(Sessions {
            prepared,
            fault_free,
            corrupted,
        })))
    }

    pub(super) fn opened(&self) -> &Opened {
        match self {
            Self::Sessions(sessions) => &sessions.prepared.opened,
            Self::Files(files) => &files.opened,
            Self::Command(command) => &command.opened,
        }
    }

    /// Samples that are compared at a time.
    pub(super) fn batch_size(&self) -> usize {
        match self {
            Self::Sessions(sessions) => sessions.prepared.batch_size,
            Self::Files(files) => files.window,
            Self::Command(command) => command.window,
        }
    }

    /// Samples in one run of what computes them; `None` of files.
    pub(super) fn run_size(&self) -> Option<usize> {
        match self {
            Self::Sessions(sessions) => Some(sessions.prepared.batch_size),
            Self::Files(_) => None,
            Self::Command(command) => Some(command.batch_size),
        }
    }

    /// What a calibration would have to be of; `None` for outputs of an engine without a name.
    pub(super) fn setting(&self) -> Option<Setting> {
        match self {
            Self::Sessions(sessions) => Some(sessions.prepared.setting()),
            Self::Files(files) => files.setting(),
            Self::Command(command) => Some(command.setting()),
        }
    }

    /// The samples, the runtime's library if it is loaded, and what gives outputs.
    pub(super) fn split(&mut self) -> (&Opened, Option<&Library>, Engines<'_>) {
        match self {
            Self::Sessions(sessions) => {
                let Sessions {
                    prepared,
                    fault_free,
                    corrupted,
                } = &mut **sessions;
                let engines = Engines {
                    fault_free: &mut *fault_free.engine,
                    corrupted: match corrupted {
                        Some(engine) => Some(&mut **engine),
                        None => None,
                    },
                };
                (&prepared.opened, Some(&prepared.library), engines)
            }
            Self::Files(files) => {
                let engines = Engines {
                    fault_free: &mut files.recorded,
                    corrupted: None,
                };
                (&files.opened, None, engines)
            }
            Self::Command(command) => {
                let engines = Engines {
                    fault_free: &mut command.fault_free,
                    corrupted: match &mut command.corrupted {
                        Some(corrupted) => Some(corrupted),
                        None => None,
                    },
                };
                (&command.opened, command.library.as_ref(), engines)
            }
        }
    }

    /// The input that was computed from pixels, and where.
    pub(super) fn computed_input(&self) -> Option<&FromPixelsRecord> {
        match self {
            Self::Sessions(sessions) => sessions.prepared.from_pixels.as_ref(),
            Self::Command(command) => command.from_pixels.as_ref(),
            Self::Files(_) => None,
        }
    }

    /// The runtime and where it ran; `None` of files.
    pub(super) fn runtime(&self) -> Option<&RuntimeRecord> {
        match self {
            Self::Sessions(sessions) => Some(&sessions.fault_free.runtime),
            Self::Files(_) | Self::Command(_) => None,
        }
    }

    /// The device that was asked for; `None` of files.
    pub(super) fn device(&self) -> Option<&Device> {
        match self {
            Self::Sessions(sessions) => Some(&sessions.prepared.options.device),
            Self::Files(_) | Self::Command(_) => None,
        }
    }

    /// The engine that ran as a process, if one did.
    pub(super) fn command(&self) -> Option<&CommandRecord> {
        match self {
            Self::Command(command) => Some(&command.record),
            Self::Sessions(_) | Self::Files(_) => None,
        }
    }

    /// What is in the files, with their hashes once they were read to their end; `None` of
    /// sessions.
    pub(super) fn outputs(&self) -> Option<OutputsRecord> {
        match self {
            Self::Sessions(_) | Self::Command(_) => None,
            Self::Files(files) => Some(OutputsRecord::new(&files.recorded)),
        }
    }

    /// Reads files to their end; refuses a result of what is another bundle, runtime or file by
    /// now.
    pub(super) fn finish(&mut self) -> Result<()> {
        match self {
            Self::Sessions(sessions) => sessions.prepared.check_unchanged(),
            Self::Files(files) => {
                files.opened.bundle.check_unchanged()?;
                Ok(files.recorded.finish()?)
            }
            Self::Command(command) => Ok(command.opened.bundle.check_unchanged()?),
        }
    }
}

/// Refuses faults that would need something to run.
fn check_reachable(faults: &[Fault]) -> Result<()> {
    if let Some(fault) = faults.iter().find(|fault| fault.needs_a_run()) {
        bail!(
            "--fault {fault} with --outputs: nothing is run that it could reach\n\
             hint: faults of golden and output are put in after the run"
        );
    }
    Ok(())
}
