//! Turns trained weights into a bundle. Returns values and errors; printing is the binary's work.
//!
//! | module | owns |
//! |---|---|
//! | [`graph`] | building an ONNX graph node by node, every tensor with its shape |
//! | [`vit_graph`] | the network as such graphs, whole and cut at a module |
//! | [`onnx_file`] | a graph as a file, one tensor after the other |
//! | [`golden`] | recording the golden tensors from the loaded network |
//! | [`handoff`] | what other tools want beside the models: test data, raw arrays, a README |
//! | [`folder`] | the files of a bundle, hashed as they are written |
//! | [`bundle`] | writing all of it, whole or not at all |
//! | [`samples`], [`histogram`] | a bundle's samples by confidence, as numbers and as a picture |
//! | [`subset`] | a bundle of some of another bundle's samples |

pub mod bundle;
pub mod folder;
pub mod golden;
pub mod graph;
pub mod handoff;
pub mod histogram;
pub mod onnx_file;
pub mod samples;
pub mod subset;
pub mod vit_graph;
