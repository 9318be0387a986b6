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
    if let Err(error) = console::check_arguments() {
        console::note!("error: {error}");
        return ExitCode::from(2);
    }
    let command = match cli::Cli::try_parse() {
        Ok(parsed) => parsed.command,
        Err(error) => {
            match error.use_stderr() {
                true => console::print_usage_error(&error.render().to_string()),
                false => drop(error.print()),
            }
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let result = failure::catch(|| {
        startup::check_threads()?;
        match &command {
            cli::Command::Data(arguments) => commands::data(arguments),
            cli::Command::Train(arguments) => commands::train(arguments),
            cli::Command::Eval(arguments) => commands::eval(arguments),
            cli::Command::Import(arguments) => commands::import(arguments),
            cli::Command::Export(arguments) => commands::export(arguments),
        }
    });
    let result = result.map_err(Into::into).flatten();
    console::exit_code(result.map_err(|error| hints::with_hint(error, &command)))
}
