//! Lines of result on stdout, lines of log on stderr.

use std::fmt;
use std::io::{self, Write as _};

/// Prints a line on stdout. A reader who has gone away must not end the work: the result is also in
/// files and in the exit status.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => { $crate::lines::print_line(format_args!($($argument)*)) };
}

/// Prints a line on stderr. A log that cannot be written must not end the work either.
#[macro_export]
macro_rules! note {
    ($($argument:tt)*) => { $crate::lines::print_note(format_args!($($argument)*)) };
}

/// What [`say!`](crate::say) calls.
pub fn print_line(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// What [`note!`](crate::note) calls.
pub fn print_note(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints a result that stands nowhere else, JSON for another program for example. A reader may go
/// away, but a full disk is an error.
pub fn print_result(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(io::Error::new(
            error.kind(),
            format!("standard output: {error}"),
        )),
        _ => Ok(()),
    }
}
