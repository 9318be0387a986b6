//! The tolerance of the submodel where nobody chose another: that of the Python repository's
//! example.

/// Absolute part.
pub const ATOL: f64 = 5e-6;

/// Part relative to the golden.
pub const RTOL: f64 = 1e-5;
