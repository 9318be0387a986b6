//! `trainer`: parse, run one command, and turn its result into an exit status: 0 done, 2 not done.

mod cli;
mod commands;
mod hints;

use std::process::ExitCode;

use clap::Parser as _;
use trainer::{failure, startup};

fn main() -> ExitCode {
    startup::restart_with_settings();
    console::survive_file_size_limit();
    let command = cli::Cli::parse().command;
    let result = failure::catch(|| match &command {
        cli::Command::Data(arguments) => commands::data(arguments),
        cli::Command::Train(arguments) => commands::train(arguments),
        cli::Command::Eval(arguments) => commands::eval(arguments),
        cli::Command::Import(arguments) => commands::import(arguments),
        cli::Command::Export(arguments) => commands::export(arguments),
    });
    let result = result.map_err(Into::into).flatten();
    console::exit_code(result.map_err(|error| hints::with_hint(error, &command)))
}
