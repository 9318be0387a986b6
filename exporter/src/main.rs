//! `exporter`: parse, run one command, and turn its result into an exit status: 0 done, 2 not done.

mod cli;
mod commands;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let result = match cli::Cli::parse().command {
        cli::Command::Bundle(arguments) => commands::bundle(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
