//! What gives the outputs of a check: sessions of a runtime, or files.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, bail, ensure};
use proto::bundle::PartModel;
use verifier::calibrate::file::Setting;
use verifier::check::Engines;
use verifier::engine::recorded::Recorded;
use verifier::inject::weights::with_weight_faults;
use verifier::inject::{Fault, Target};
use verifier::report::Record;
use verifier::report::check::Check;
use verifier::report::outputs::OutputsRecord;

use super::super::prepare::{Loaded, Opened, Prepared, PreparedFiles};
use crate::cli::CheckArgs;

/// What gives the outputs, ready to be run.
pub(super) enum Source {
    Sessions {
        prepared: Box<Prepared>,
        /// The model as it is.
        fault_free: Loaded,
        /// The model with weight faults, if there are any.
        corrupted: Option<Loaded>,
    },
    Files(Box<PreparedFiles>),
}

impl Source {
    /// Checks hashes, loads what is needed, and notes it in the record.
    pub(super) fn open(
        arguments: &CheckArgs,
        opened: Opened,
        record: &mut Record<Check>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let faults = &record.body.options.faults;
        let source = if arguments.outputs.outputs.is_some() {
            check_possible_with_files(arguments, faults)?;
            let files =
                PreparedFiles::new(opened, &arguments.outputs, arguments.batch_size, &stop)?;
            record.body.outputs = Some(OutputsRecord::new(&files.recorded));
            Self::Files(Box::new(files))
        } else {
            let (target, batch_size) = (&arguments.target, arguments.batch_size);
            let (prepared, model) = Prepared::new(opened, target, batch_size, stop)?;
            record.body.options.batch_size = Some(prepared.batch_size);
            let source = Self::load(prepared, model, faults)?;
            if let Self::Sessions { fault_free, .. } = &source {
                record.body.runtime = Some(fault_free.runtime.clone());
            }
            source
        };
        Ok(source)
    }

    fn load(prepared: Prepared, model: PartModel, faults: &[Fault]) -> Result<Self> {
        let changed = with_weight_faults(model.graph, faults)?;
        let fault_free = prepared.load(&model.files, prepared.batch_size)?;
        let corrupted = match &changed {
            Some(bytes) => Some(prepared.load_changed(bytes)?),
            None => None,
        };
        Ok(Self::Sessions {
            prepared: Box::new(prepared),
            fault_free,
            corrupted,
        })
    }

    pub(super) fn opened(&self) -> &Opened {
        match self {
            Self::Sessions { prepared, .. } => &prepared.opened,
            Self::Files(files) => &files.opened,
        }
    }

    /// Samples that are compared at a time.
    pub(super) fn batch_size(&self) -> usize {
        match self {
            Self::Sessions { prepared, .. } => prepared.batch_size,
            Self::Files(files) => files.window,
        }
    }

    /// What a calibration would have to be of; `None` for outputs of an engine without a name.
    pub(super) fn setting(&self) -> Option<Setting> {
        match self {
            Self::Sessions { prepared, .. } => Some(prepared.setting()),
            Self::Files(files) => files.setting(),
        }
    }

    /// The samples, and what gives outputs for them.
    pub(super) fn split(&mut self) -> (&Opened, Engines<'_>) {
        match self {
            Self::Sessions {
                prepared,
                fault_free,
                corrupted,
            } => {
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

    /// Refuses a result of what is another bundle, runtime or file by now; notes the hashes of the
    /// files that were read.
    pub(super) fn finish(&mut self, record: &mut Record<Check>) -> Result<()> {
        match self {
            Self::Sessions { prepared, .. } => prepared.check_unchanged(),
            Self::Files(files) => {
                files.opened.bundle.check_unchanged()?;
                let read = Recorded::finish(&mut files.recorded)?;
                if let Some(outputs) = &mut record.body.outputs {
                    outputs.files = read;
                }
                Ok(())
            }
        }
    }
}

/// Refuses what needs something to run.
fn check_possible_with_files(arguments: &CheckArgs, faults: &[Fault]) -> Result<()> {
    ensure!(
        arguments.repeat == 1,
        "--repeat {} with --outputs: nothing is run that could be repeated",
        arguments.repeat
    );
    let needs_a_run =
        |fault: &&Fault| !matches!(fault.target, Target::Golden { .. } | Target::Output { .. });
    if let Some(fault) = faults.iter().find(needs_a_run) {
        bail!(
            "--fault {fault} with --outputs: nothing is run that it could reach\n\
             hint: faults of golden and output are put in after the run"
        );
    }
    Ok(())
}
