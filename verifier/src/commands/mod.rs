//! The commands as a person sees them: results on stdout, progress on stderr.

/// Prints a line. A reader who has gone away must not end the work: the result is also in files and
/// the exit status.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

pub(crate) mod bench;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod devices;
pub(crate) mod inspect;
mod show;
mod steps;

use std::process::ExitCode;

pub(crate) use verifier::report::grouped;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Done, and everything compared was within tolerance.
    Pass,
    /// Compared, and something was outside.
    Fail,
    /// Could not run or could not finish.
    NoResult,
}

impl Status {
    /// As reports have it.
    pub(crate) fn verdict(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NoResult => "error",
        }
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::NoResult => 2,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}
