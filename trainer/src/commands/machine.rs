//! What the commands that run a network are told about the machine.

use anyhow::{Context as _, Result};
use console::note;

use crate::cli::MachineArgs;

/// Sets the number of threads, and gives the device.
pub(super) fn prepare(machine: &MachineArgs) -> Result<tch::Device> {
    if let Some(threads) = machine.threads {
        let cores = std::thread::available_parallelism().map_or(threads, usize::from);
        if threads > cores {
            note!("warning: {threads} threads on {cores} cores are slower than {cores}");
        }
        tch::set_num_threads(i32::try_from(threads).context("--threads")?);
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .context("--threads")?;
    }
    Ok(machine.device.resolve()?)
}
