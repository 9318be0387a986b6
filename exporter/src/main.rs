//! `exporter`: parse, run one command, and turn its result into an exit status: 0 done, 2 not done.

mod cli;
mod commands;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use trainer::{failure, startup};

fn main() -> ExitCode {
    startup::settle();
    let command = cli::Cli::parse().command;
    let result = failure::catch(|| match &command {
        cli::Command::Bundle(arguments) => commands::bundle(arguments),
        cli::Command::Tiers(arguments) => commands::tiers(arguments),
        cli::Command::Subset(arguments) => commands::subset(arguments),
    });
    match result.map_err(Into::into).flatten() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A message that nobody can read changes no exit status.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}
