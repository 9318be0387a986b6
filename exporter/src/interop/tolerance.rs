//! The tolerances that ONNX's own test runners and the README are told.

use proto::manifest::part;
use proto::tolerance::{ATOL, RTOL};

/// Absolute and relative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tolerance {
    pub(super) atol: f64,
    pub(super) rtol: f64,
}

/// The submodel's, which is the verifier's default; the other parts are deep, and their rounding
/// errors add up.
pub(super) fn tolerance(part_name: &str) -> Tolerance {
    if part_name == part::SUBMODEL {
        Tolerance {
            atol: ATOL,
            rtol: RTOL,
        }
    } else {
        Tolerance {
            atol: 1e-4,
            rtol: 1e-4,
        }
    }
}
