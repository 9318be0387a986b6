//! `verifier`: parse, run one command, and turn its result into an exit status: 0 pass, 1 fail, 2 no result.

mod cli;
mod commands;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    verifier::onnxruntime::disable_telemetry();
    let result = match cli::Cli::parse().command {
        cli::Command::Check(arguments) => commands::check::check(&arguments),
        cli::Command::Inspect(arguments) => commands::inspect::inspect(&arguments),
    };
    match result {
        Ok(status) => status.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            commands::Status::NoResult.into()
        }
    }
}
