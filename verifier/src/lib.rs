//! Runs a bundle's submodel on the target and compares every element with the golden.
//!
//! | module | owns |
//! |---|---|
//! | [`check`] | the loop: run, inject, compare, and the verdict |
//! | [`compare`] | one sample against its golden, as `torch.isclose` |
//! | [`fault`] | deliberate errors that prove that real ones would be noticed |
//! | [`runtime`] | what runs a submodel; [`onnxruntime`] is the real one and alone names `ort` |
//! | [`device`], [`placement`] | what to run on, and the proof that it ran there |
//! | [`locate`] | which runtime library is loaded |
//! | [`report`] | the verdict for machines |

pub mod check;
pub mod compare;
pub mod device;
pub mod fault;
pub mod locate;
pub mod onnxruntime;
pub mod placement;
pub mod report;
pub mod runtime;
