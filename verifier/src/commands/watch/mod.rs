//! `verifier watch`: the supervisor, the worker that it starts, and the report of a log.

mod account;
mod consequences;
mod machine;
mod nvidia;
mod report;
mod run;
mod show;
mod worker;

use anyhow::{Context as _, Result};
use verifier::report::Verdict;

use crate::cli::{WatchArgs, WatchCommand};

pub(crate) fn watch(arguments: &WatchArgs) -> Result<Verdict> {
    match &arguments.command {
        Some(WatchCommand::Report(arguments)) => return report::report(arguments),
        Some(WatchCommand::Consequences(arguments)) => {
            return consequences::consequences(arguments);
        }
        None => {}
    }
    let run = arguments.run.as_ref();
    let run = run.context("a bundle and --log DIR are needed: `verifier watch --help`")?;
    match run.worker {
        Some((number, next_sdc)) => worker::worker(run, number, next_sdc),
        None => run::run(run),
    }
}
