//! The end of `main`: an error is printed and becomes an exit status, and nobody else ends the
//! process with success.

use std::ffi::c_int;
use std::process::{ExitCode, Termination};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lines::print_note;

/// Exit status of a program that could not run or could not finish.
pub const NOT_DONE: u8 = 2;

/// Exit status of a program that a second signal ends, as shells have it for SIGINT.
pub const INTERRUPTED: i32 = 130;

/// The exit status of what `main` did. An error goes to stderr with all its causes, on one line
/// unless a cause has a `hint:`, and gives [`NOT_DONE`].
pub fn exit_code(result: anyhow::Result<impl Termination>) -> ExitCode {
    IS_CONCLUDED.store(true, Ordering::SeqCst);
    match result {
        Ok(done) => done.report(),
        Err(error) => {
            print_note(format_args!("error: {error:#}"));
            ExitCode::from(NOT_DONE)
        }
    }
}

/// Whether `main` has come to its end.
static IS_CONCLUDED: AtomicBool = AtomicBool::new(false);

/// From now on a process that anything but [`exit_code`] ends, such as a library that calls `exit`,
/// has [`NOT_DONE`] as its exit status.
#[expect(unsafe_code, reason = "C's own list of what runs when a process ends")]
pub fn guard_status() {
    // SAFETY: the function takes nothing, gives nothing, and is there as long as the program is.
    let refused = unsafe { atexit(at_exit) };
    debug_assert_eq!(refused, 0, "32 places at least (C11, 7.22.4.2)");
}

#[expect(unsafe_code, reason = "two functions of C's standard library")]
unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> c_int;
    fn _exit(status: c_int) -> !;
}

#[expect(
    unsafe_code,
    reason = "the one way to change the status of a process that is ending"
)]
extern "C" fn at_exit() {
    if !IS_CONCLUDED.load(Ordering::SeqCst) {
        print_note(format_args!(
            "error: the process was ended from inside, without a result: a library called `exit`"
        ));
        // SAFETY: it ends the process and does not return.
        unsafe { _exit(c_int::from(NOT_DONE)) }
    }
}
