//! `verifier watch`: the supervisor, the worker that it starts, and the report of a log.

mod account;
mod consequences;
mod machine;
mod nvidia;
mod report;
mod run;
mod show;
mod show_apart;
mod worker;

use anyhow::Result;
use verifier::report::Verdict;

use crate::cli::{WatchArgs, WatchCommand};

pub(crate) fn watch(arguments: &WatchArgs) -> Result<Verdict> {
    match arguments {
        WatchArgs::Then(WatchCommand::Report(arguments)) => report::report(arguments),
        WatchArgs::Then(WatchCommand::Consequences(arguments)) => {
            consequences::consequences(arguments)
        }
        WatchArgs::Run(run) => match run.worker {
            Some((number, next_sdc)) => worker::worker(run, number, next_sdc),
            None => run::run(run),
        },
    }
}
