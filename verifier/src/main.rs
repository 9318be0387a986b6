//! `verifier`: parse, run one command, and turn its result into an exit status: 0 pass, 1 fail, 2
//! no result; 75 where a campaign goes on later.

mod cli;
mod commands;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use verifier::report::Verdict;

fn main() -> ExitCode {
    console::survive_file_size_limit();
    if let Err(error) = console::check_arguments() {
        // An earlier run's verdict must not survive this one.
        commands::remove_reports(&cli::named_reports(std::env::args_os()));
        console::note!("error: {error}");
        return ExitCode::from(Verdict::Error.exit_status());
    }
    let command = match cli::Cli::try_parse() {
        Ok(parsed) => parsed.command,
        Err(error) => {
            if error.use_stderr() {
                // An earlier run's verdict must not survive this one.
                commands::remove_reports(&cli::named_reports(std::env::args_os()));
                console::print_usage_error(&error.render().to_string());
            } else {
                let _ = error.print();
            }
            if let Some(hint) = cli::hint(&error) {
                console::note!("hint: {hint}");
            }
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    console::exit::guard_status();
    let status = match run(&command) {
        Ok(status) => status,
        Err(error) => {
            console::note!("error: {error:#}");
            Verdict::Error.exit_status()
        }
    };
    console::exit::end(status)
}

fn run(command: &cli::Command) -> Result<u8> {
    verifier::engine::onnxruntime::prepare_environment(command.allows_reduced_precision());
    // Before a library is loaded: threads begin with the floating-point mode of the one that starts
    // them.
    rayon::ThreadPoolBuilder::new()
        .build_global()
        .context("no threads can be started\nhint: `ulimit -u` limits processes and threads")?;
    let verdict = match command {
        cli::Command::Campaign(arguments) => return commands::campaign::campaign(arguments),
        cli::Command::Bench(arguments) => commands::bench::bench(arguments),
        cli::Command::Calibrate(arguments) => commands::calibrate::calibrate(arguments),
        cli::Command::Check(arguments) => commands::check::check(arguments),
        cli::Command::Compare(arguments) => commands::compare::compare(arguments),
        cli::Command::Devices(arguments) => commands::devices::devices(arguments),
        cli::Command::Inspect(arguments) => commands::inspect::inspect(arguments),
    }?;
    Ok(verdict.exit_status())
}
