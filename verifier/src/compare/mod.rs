//! Outputs against goldens: the tolerance, one sample, the sizes of errors, the shape they make,
//! what they do to the class, and two sets of outputs against each other.

pub mod bits;
pub mod class;
pub mod element;
pub mod error_map;
pub mod histogram;
pub mod largest;
pub mod pair;
pub mod pattern;
pub mod sample;
pub mod tolerance;

pub use bits::{OtherBits, other_bits};
pub use class::{Class, ClassChange, ClassCounts, ClassOutcome, Top1};
pub use element::ElementPair;
pub use histogram::Histogram;
pub use largest::Largest;
pub use pair::{Difference, difference_of_outputs, differences_of_outputs};
pub use pattern::Pattern;
pub use sample::{SampleComparison, compare_sample, is_close, ulp_distance};
pub use tolerance::{Closeness, Tolerance};
