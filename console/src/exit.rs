//! The end of `main`: an error is printed and becomes an exit status, and nobody else ends the
//! process with success.

use std::ffi::c_int;
use std::io::{self, Write as _};
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

/// From now on a process that anything but [`end`] ends, such as a library that calls `exit`, has
/// [`NOT_DONE`] as its exit status.
#[expect(unsafe_code, reason = "C's own lists of what runs when a process ends")]
pub fn guard_status() {
    // SAFETY: the function takes nothing, gives nothing, and is there as long as the program is.
    // Each list holds 32 at least (C11, 7.22.4.2 and 7.22.4.3), so nothing is refused.
    let _ = unsafe { (atexit(at_exit), at_quick_exit(at_exit)) };
}

/// Ends the process with this exit status; nothing that a library has put into the lists of what
/// runs at the end can change it.
#[expect(unsafe_code, reason = "the one end that runs nobody else's code")]
pub fn end(status: u8) -> ! {
    let _ = io::stdout().flush();
    // SAFETY: it ends the process and does not return.
    unsafe { _exit(c_int::from(status)) }
}

#[expect(unsafe_code, reason = "three functions of C's standard library")]
unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> c_int;
    fn at_quick_exit(function: extern "C" fn()) -> c_int;
    fn _exit(status: c_int) -> !;
}

extern "C" fn at_exit() {
    print_note(format_args!(
        "error: the process was ended from inside, without a result: a library called `exit`"
    ));
    end(NOT_DONE)
}
