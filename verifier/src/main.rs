//! `verifier`: parse, run one command, and turn its result into an exit status: 0 pass, 1 fail, 2
//! no result.

mod cli;
mod commands;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let command = cli::Cli::parse().command;
    verifier::engine::onnxruntime::prepare_environment(command.allows_reduced_precision());
    let result = match command {
        cli::Command::Bench(arguments) => commands::bench::bench(&arguments),
        cli::Command::Calibrate(arguments) => commands::calibrate::calibrate(&arguments),
        cli::Command::Check(arguments) => commands::check::check(&arguments),
        cli::Command::Compare(arguments) => commands::compare::compare(&arguments),
        cli::Command::Devices(arguments) => commands::devices::devices(&arguments),
        cli::Command::Inspect(arguments) => commands::inspect::inspect(&arguments),
    };
    console::exit_code(result.map(commands::Status))
}
