//! The tolerances that ONNX's own test runners and the README are told.

use proto::manifest::part;
use proto::tolerance::{ATOL, RTOL};

/// Absolute and relative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tolerance {
    pub(super) atol: f64,
    pub(super) rtol: f64,
}

/// The submodel's, which is the verifier's default. The preprocessing is exact where divisions are:
/// OpenVINO 2026.4.1 multiplies by reciprocals and is at most 7.2e-7 off, while one pixel rounded
/// otherwise is 0.019. The other parts are deep, and their rounding errors add up.
pub(super) fn tolerance(part_name: &str) -> Tolerance {
    let (atol, rtol) = match part_name {
        part::PREPROCESS => (1e-6, 1e-6),
        part::SUBMODEL => (ATOL, RTOL),
        _ => (1e-4, 1e-4),
    };
    Tolerance { atol, rtol }
}
