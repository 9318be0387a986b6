//! Exit statuses of campaigns.

use verifier::report::Verdict;

/// Of what goes on when it is started again: EX_TEMPFAIL of `sysexits.h`.
pub(super) const RESUMABLE: u8 = 75;

/// Of what ended as it should.
pub(super) fn done() -> u8 {
    Verdict::Pass.exit_status()
}
