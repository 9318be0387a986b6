//! What gives the outputs that a command compares: sessions of a runtime, or files.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail};
use proto::bundle::PartModel;
use verifier::calibrate::file::Setting;
use verifier::check::Engines;
use verifier::engine::Device;
use verifier::inject::weights::with_weight_faults;
use verifier::inject::{Fault, Target};
use verifier::report::outputs::OutputsRecord;
use verifier::report::record::RuntimeRecord;

use super::prepare::{Loaded, Opened, Prepared, PreparedFiles};
use crate::cli::{OutputsArgs, TargetArgs};

/// What gives the outputs, ready to be run.
pub(super) enum Source {
    Sessions(Box<Sessions>),
    Files(Box<PreparedFiles>),
}

/// A part on a device.
pub(super) struct Sessions {
    prepared: Prepared,
    /// The model as it is.
    fault_free: Loaded,
    /// The model with weight faults, if there are any.
    corrupted: Option<Loaded>,
}

impl Source {
    /// Checks hashes and loads what is needed: the files, if outputs come from files, else the
    /// runtime with the model.
    pub(super) fn open(
        opened: Opened,
        outputs: &OutputsArgs,
        target: &TargetArgs,
        batch_size: Option<usize>,
        faults: &[Fault],
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        if outputs.outputs.is_some() {
            check_reachable(faults)?;
            let files = PreparedFiles::new(opened, outputs, batch_size, &stop)?;
            return Ok(Self::Files(Box::new(files)));
        }
        let (prepared, model) = Prepared::new(opened, target, batch_size, stop)?;
        Self::load(prepared, model, faults)
    }

    fn load(prepared: Prepared, model: PartModel, faults: &[Fault]) -> Result<Self> {
        let changed = with_weight_faults(model.graph, faults)?;
        let fault_free = prepared.load(&model.files, prepared.batch_size)?;
        let corrupted = match &changed {
            Some(bytes) => Some(prepared.load_changed(bytes)?),
            None => None,
        };
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
        }
    }

    /// Samples that are compared at a time.
    pub(super) fn batch_size(&self) -> usize {
        match self {
            Self::Sessions(sessions) => sessions.prepared.batch_size,
            Self::Files(files) => files.window,
        }
    }

    /// What a calibration would have to be of; `None` for outputs of an engine without a name.
    pub(super) fn setting(&self) -> Option<Setting> {
        match self {
            Self::Sessions(sessions) => Some(sessions.prepared.setting()),
            Self::Files(files) => files.setting(),
        }
    }

    /// The samples, and what gives outputs for them.
    pub(super) fn split(&mut self) -> (&Opened, Engines<'_>) {
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
                        Some(loaded) => Some(&mut *loaded.engine),
                        None => None,
                    },
                };
                (&prepared.opened, engines)
            }
            Self::Files(files) => {
                let engines = Engines {
                    fault_free: &mut files.recorded,
                    corrupted: None,
                };
                (&files.opened, engines)
            }
        }
    }

    /// The runtime and where it ran; `None` of files.
    pub(super) fn runtime(&self) -> Option<&RuntimeRecord> {
        match self {
            Self::Sessions(sessions) => Some(&sessions.fault_free.runtime),
            Self::Files(_) => None,
        }
    }

    /// The device that was asked for; `None` of files.
    pub(super) fn device(&self) -> Option<&Device> {
        match self {
            Self::Sessions(sessions) => Some(&sessions.prepared.options.device),
            Self::Files(_) => None,
        }
    }

    /// What is in the files, with their hashes once they were read to their end; `None` of
    /// sessions.
    pub(super) fn outputs(&self) -> Option<OutputsRecord> {
        match self {
            Self::Sessions(_) => None,
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
        }
    }
}

/// Refuses faults that would need something to run.
fn check_reachable(faults: &[Fault]) -> Result<()> {
    let needs_a_run =
        |fault: &&Fault| !matches!(fault.target, Target::Golden(_) | Target::Output(_));
    if let Some(fault) = faults.iter().find(needs_a_run) {
        bail!(
            "--fault {fault} with --outputs: nothing is run that it could reach\n\
             hint: faults of golden and output are put in after the run"
        );
    }
    Ok(())
}
