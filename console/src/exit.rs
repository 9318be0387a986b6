//! The end of `main`: an error is printed and becomes an exit status.

use std::process::{ExitCode, Termination};

use crate::lines::print_note;

/// Exit status of a program that could not run or could not finish.
pub const NOT_DONE: u8 = 2;

/// Exit status of a program that a second signal ends, as shells have it for SIGINT.
pub const INTERRUPTED: i32 = 130;

/// The exit status of what `main` did. An error goes to stderr with all its causes, on one line
/// unless a cause has a `hint:`, and gives [`NOT_DONE`].
pub fn exit_code(result: anyhow::Result<impl Termination>) -> ExitCode {
    match result {
        Ok(done) => done.report(),
        Err(error) => {
            print_note(format_args!("error: {error:#}"));
            ExitCode::from(NOT_DONE)
        }
    }
}
