//! Runs a part of a bundle on the target and compares every element with the golden.
//!
//! | module | owns |
//! |---|---|
//! | [`check`] | the loop: run, compare; `injection` puts the faults in and judges what they changed |
//! | [`verdict`] | what a check came to |
//! | [`calibration`] | what tolerance fits a device, and which bit flips it would catch |
//! | [`bench`] | how long runs take, right answers alone being worth it |
//! | [`compare`] | one sample against its golden, as `torch.isclose` |
//! | [`geometry`], [`gallery`] | the shape that errors make in a sample; the worst samples with a map of each |
//! | [`histogram`] | how large the errors are |
//! | [`fault`] | deliberate errors that prove that real ones would be noticed |
//! | [`recording`] | what a part was given and gave back when it was recorded |
//! | [`model`] | the ONNX model in memory: where its data lie, weight faults |
//! | [`runtime`] | what runs a model; [`onnxruntime`] is the real one and alone names `ort` |
//! | [`device`], [`placement`] | what to run on, and the proof that it ran there |
//! | [`probe`] | a tiny model, to see whether a device works |
//! | [`locate`] | which runtime library is loaded |
//! | [`outputs`] | what a run computed, kept as NPY files |
//! | [`contest`] | several runtimes and devices against each other, a child process each |
//! | [`host`] | the machine a run is on |
//! | [`specimens`] | faulty samples kept as NPY files |
//! | [`report`] | the verdict in files |

pub mod bench;
pub mod calibration;
pub mod check;
pub mod compare;
pub mod contest;
pub mod device;
pub mod fault;
pub mod gallery;
pub mod geometry;
pub mod histogram;
pub mod host;
mod injection;
pub mod locate;
pub mod model;
pub mod onnxruntime;
pub mod outputs;
pub mod placement;
pub mod probe;
pub mod recording;
pub mod report;
pub mod runtime;
pub mod specimens;
pub mod verdict;
