//! Turns trained weights into a bundle. Returns values and errors; printing is the binary's work.
//!
//! | module | owns |
//! |---|---|
//! | [`vit_graph`] | the network as ONNX graphs, whole and cut at a module |
//! | [`golden`] | recording the golden tensors from the loaded network |
//! | [`interop`] | what other tools want beside the models: test data and a README |
//! | [`bundle`] | writing all of it, whole or not at all |
//! | [`histogram`] | a bundle's samples by confidence, as a picture |

pub mod bundle;
pub mod golden;
pub mod histogram;
pub mod interop;
pub mod vit_graph;
