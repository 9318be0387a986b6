//! The commands as a person sees them: results on stdout, progress on stderr.

pub(crate) mod bench;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod devices;
mod hints;
pub(crate) mod inspect;
mod prepare;
mod recorded;

use std::process::{ExitCode, Termination};

use verifier::report::Verdict;

pub(crate) use recorded::remove_reports;

/// How a command ended, as an exit status.
pub(crate) struct Status(pub(crate) Verdict);

impl Termination for Status {
    fn report(self) -> ExitCode {
        ExitCode::from(self.0.exit_status())
    }
}
