//! Runs a part of a bundle on the target and compares every element with the golden.
//!
//! | folder | owns |
//! |---|---|
//! | [`samples`] | recordings of a bundle, the one loop over them in batches, outputs as files |
//! | [`engine`] | what gives outputs: ONNX Runtime or a fake; the device, and its proof |
//! | [`compare`] | tolerance, one sample, sizes of errors, their pattern, two sets of outputs |
//! | [`inject`] | how a fault is written, where it goes, how it is put there |
//! | [`mod@check`] | run, compare, judge the faults |
//! | [`calibrate`] | what tolerance fits a device, and which bit flips it would catch |
//! | [`mod@bench`] | how long runs take |
//! | [`matrix`] | several configurations against each other, a process each |
//! | [`campaign`] | many faults drawn from a population of them, and their rates |
//! | [`report`] | one typed, versioned record, and what renders it |
//!
//! A folder uses those above it in this table, and no other.

pub mod bench;
pub mod calibrate;
pub mod campaign;
pub mod check;
pub mod compare;
pub mod engine;
pub mod inject;
pub mod matrix;
pub mod report;
pub mod samples;
