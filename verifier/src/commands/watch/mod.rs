//! `verifier watch`: the supervisor, the worker that it starts, and the report of a log.

mod account;
mod machine;
mod report;
mod run;
mod show;
mod worker;

use anyhow::{Context as _, Result};
use verifier::report::Verdict;

use crate::cli::{WatchArgs, WatchCommand};

pub(crate) fn watch(arguments: &WatchArgs) -> Result<Verdict> {
    if let Some(WatchCommand::Report(arguments)) = &arguments.command {
        return report::report(arguments);
    }
    let run = arguments.run.as_ref();
    let run = run.context("a bundle and --log DIR are needed: `verifier watch --help`")?;
    match run.worker {
        Some((number, next_sdc)) => worker::worker(run, number, next_sdc),
        None => run::run(run),
    }
}
