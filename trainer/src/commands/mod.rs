//! The commands as a person sees them: results on stdout, progress on stderr.

mod data;
mod eval;
mod progress;
mod pth;
mod run_folder;
mod train;

use anyhow::{Context as _, Result};

use crate::cli::MachineArgs;

pub(crate) use data::data;
pub(crate) use eval::eval;
pub(crate) use pth::{export, import};
pub(crate) use train::train;

/// Prints a line. A reader who has gone away must not end the work: the result is also in files and
/// the exit status.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}
use say;

/// As [`say`], on stderr: a log that cannot be written must not end the work either.
macro_rules! note {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}
pub(crate) use note;

fn prepare(machine: &MachineArgs) -> Result<tch::Device> {
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
