//! `verifier campaign`: run the faults of a plan, go on with it, report it, replay one of it.

mod folder;
mod open;
mod replay;
mod report;
mod run;

use anyhow::Result;
use verifier::report::Verdict;

use super::hints::with_hint;
use crate::cli::{CampaignArgs, CampaignCommand};

/// Exit status of what goes on when it is started again: EX_TEMPFAIL of `sysexits.h`.
const RESUMABLE: u8 = 75;

pub(crate) fn campaign(arguments: &CampaignArgs) -> Result<u8> {
    let result = match &arguments.command {
        CampaignCommand::Run(run) => run::run(run),
        CampaignCommand::Report(report) => report::report(report),
        CampaignCommand::Replay(replay) => replay::replay(replay),
    };
    result.map_err(|error| with_hint(error, "campaign"))
}

/// Exit status of what ended as it should.
fn done() -> u8 {
    Verdict::Pass.exit_status()
}
