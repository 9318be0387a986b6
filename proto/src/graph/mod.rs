//! An ONNX graph as data: built node by node, or read from a file and then cut or changed.
//!
//! | file | holds |
//! |---|---|
//! | `builder`, `operators` | building a graph in which every tensor has its shape |
//! | `deployment` | ONNX's version, and whether the first axis is free |
//! | `elements`, `write` | large constants, in memory one after the other as they are written |
//! | `read`, `external` | [`Graph`]: a whole model in memory, its external data checked |
//! | `initializer` | reading and changing one element of a float32 weight |
//! | `cut` | the part of a graph between given tensors |
//! | `rewrite` | inserting and replacing nodes |
//! | `links` | which node writes a tensor and which nodes read it |
//! | `rules` | what a bundle's model may be made of |
//! | `shape`, `size` | shapes of tensors, and what an operator reads and writes |

mod builder;
mod cut;
mod deployment;
mod elements;
mod external;
mod initializer;
mod links;
pub mod node;
mod operators;
mod read;
mod rewrite;
mod rules;
mod shape;
mod size;
pub mod write;

#[cfg(test)]
mod tests;

pub use builder::{GraphBuilder, Model, Value};
pub use cut::{CutError, Halves};
pub use deployment::{BATCH, Deployment, LARGEST_FIXED_BATCH, OPSET_VERSIONS};
pub use elements::{Constant, Elements};
pub use external::ExternalDataError;
pub use initializer::InitializerError;
pub use read::{Graph, ReadError};
pub use rewrite::{Readers, RewriteError};
pub use shape::{Axis, data_type, value_info};
