//! What libtorch has but `tch` has not, and the few operations that it has no fast form of on the
//! CPU, with their gradients: the C++ files beside this one. Kinds, shapes and devices are checked
//! there.
//!
//! Failures are panics that read like those of `tch`, so that [`crate::failure`] makes errors of
//! them.

mod ffi;
#[cfg(test)]
mod tests;

pub use ffi::{
    ADAM_EPSILON, AdamStep, Norm, adam, add_norm, allow_tf32, attention, dropout, dropout_add,
    gelu_dropout, linear,
};
