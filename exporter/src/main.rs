//! `exporter`: parse, run one command, and turn its result into an exit status: 0 done, 2 not done.

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
            if let Some(hint) = cli::hint(&error) {
                console::note!("hint: {hint}");
            }
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let result = failure::catch(|| {
        startup::check_threads()?;
        match &command {
            cli::Command::Bundle(arguments) => commands::bundle(arguments),
            cli::Command::Tiers(arguments) => commands::tiers(arguments),
            cli::Command::Subset(arguments) => commands::subset(arguments),
        }
    });
    let result = result.map_err(Into::into).flatten();
    console::exit_code(result.map_err(hints::with_hint))
}
