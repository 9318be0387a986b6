//! `verifier campaign`: run the faults of a plan, go on with it, report it, replay one of it.

mod folder;
mod open;
mod replay;
mod report;
mod run;
mod status;
mod workers;

use anyhow::Result;

use super::hints::with_hint;
use crate::cli::{CampaignArgs, CampaignCommand};

pub(crate) fn campaign(arguments: &CampaignArgs) -> Result<u8> {
    let result = match &arguments.command {
        CampaignCommand::Run(run) => run::run(run),
        CampaignCommand::Report(report) => report::report(report),
        CampaignCommand::Replay(replay) => replay::replay(replay),
    };
    result.map_err(|error| with_hint(error, "campaign"))
}
