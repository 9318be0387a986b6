//! When an element is close to its golden: `torch.isclose(actual, golden, rtol, atol)` with
//! `equal_nan=False`.
//!
//! The arithmetic is PyTorch's (`isclose` in `aten/src/ATen/native/TensorCompare.cpp`): in float32,
//! an element is close when it equals the golden, or when `|actual − golden|` is finite and at most
//! `atol + |rtol·golden|`. So equal infinities match and NaN never does.

use proto::tolerance::{ATOL, RTOL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `|actual − golden| ≤ atol + rtol·|golden|`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tolerance {
    /// Absolute part.
    pub atol: f32,
    /// Part relative to the golden.
    pub rtol: f32,
}

/// How one element compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closeness {
    /// Within the tolerance, or the same infinity.
    Close,
    /// Both finite, and too far apart.
    Mismatch,
    /// At least one is infinite or not a number, and they are not the same infinity.
    NonFinite,
}

impl Tolerance {
    /// That of [`proto::tolerance`].
    pub const DEFAULT: Self = Self {
        atol: ATOL as f32,
        rtol: RTOL as f32,
    };

    /// Compares one element.
    pub fn closeness(self, actual: f32, golden: f32) -> Closeness {
        if self.is_close(actual, golden) {
            Closeness::Close
        } else if actual.is_finite() && golden.is_finite() {
            Closeness::Mismatch
        } else {
            Closeness::NonFinite
        }
    }

    /// Whether one element is within the tolerance.
    pub fn is_close(self, actual: f32, golden: f32) -> bool {
        let allowed = self.atol + (self.rtol * golden).abs();
        let error = (actual - golden).abs();
        // Without a branch, so that the compiler makes vector code of a loop over it.
        (actual == golden) | ((error <= allowed) & (error < f32::INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_values_compare_as_in_torch_isclose() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        // torch.isclose(torch.tensor(actual), torch.tensor(golden), rtol=1e-5, atol=5e-6)
        let cases = [
            (inf, inf, Closeness::Close),
            (-inf, -inf, Closeness::Close),
            (inf, -inf, Closeness::NonFinite),
            (0.0, inf, Closeness::NonFinite),
            (inf, 0.0, Closeness::NonFinite),
            (f32::MAX, inf, Closeness::NonFinite),
            (nan, nan, Closeness::NonFinite),
            (nan, 0.0, Closeness::NonFinite),
            (0.0, nan, Closeness::NonFinite),
            (0.0, -0.0, Closeness::Close),
            (f32::MAX, -f32::MAX, Closeness::Mismatch),
            (f32::from_bits(1), 0.0, Closeness::Close),
            (1.0, 1.0 + 2e-5, Closeness::Mismatch),
            (1.0, 1.0 + 1e-5, Closeness::Close),
            (5e-6, 0.0, Closeness::Close),
            (5.001e-6, 0.0, Closeness::Mismatch),
        ];
        for (actual, golden, expected) in cases {
            assert_eq!(
                Tolerance::DEFAULT.closeness(actual, golden),
                expected,
                "actual {actual:e}, golden {golden:e}"
            );
        }
    }
}
