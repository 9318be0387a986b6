//! Turns trained weights into a bundle. Returns values and errors; printing is the binary's work.
//!
//! | module | owns |
//! |---|---|
//! | [`graph`] | building an ONNX graph node by node, every tensor with its shape |
//! | [`vit_graph`] | the network and the submodel as such graphs |
//! | [`golden`] | recording the golden tensors from the loaded network |
//! | [`bundle`] | writing all of it, whole or not at all |

pub mod bundle;
pub mod golden;
pub mod graph;
pub mod vit_graph;
