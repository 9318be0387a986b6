//! What the trainer, the exporter and the verifier must agree on: data only, no ML runtime.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | the network's numbers, its presets and the list of its parameters |
//! | [`preprocessing`] | how a CIFAR-10 image becomes the network's input |
//! | [`module`] | the cut: which part of the network is the submodel |
//! | [`onnx`] | the ONNX messages, generated from the official schema |
//! | [`graph`] | a graph as data: built, written, read, cut and changed |
//! | [`npy`] | reading (mapped) and writing (streamed) NPY files |
//! | [`manifest`], [`bundle`] | the bundle's description, and opening one safely |
//! | [`tier`] | confidence ranges |
//! | [`digest`], [`staging`], [`regular_file`] | file hashes, files that are whole or absent, files that are no pipes |

#[cfg(target_endian = "big")]
compile_error!("bundles are little-endian and are mapped without conversion");

#[cfg(test)]
mod fixture;

pub mod bundle;
pub mod config;
pub mod digest;
pub mod graph;
pub mod manifest;
pub mod module;
pub mod npy;
pub mod onnx;
pub mod preprocessing;
pub mod regular_file;
pub mod staging;
pub mod tier;
