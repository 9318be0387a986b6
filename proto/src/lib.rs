//! What the trainer, the exporter and the verifier must agree on: data only, no ML runtime.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | the network's numbers, its presets and the list of its parameters |
//! | [`module`] | the cut: which part of the network is the submodel |
//! | [`preprocessing`] | how a CIFAR-10 image becomes the network's input |
//! | [`tier`], [`tolerance`] | confidence ranges; the default tolerance |
//! | [`onnx`] | the ONNX messages, generated from the official schema |
//! | [`graph`] | a model's graph as data: built, written, read, cut and changed |
//! | [`npy`] | NPY files: windows of rows read and hashed, arrays streamed |
//! | [`manifest`] | the bundle's description |
//! | [`bundle`] | a bundle's folder: opened safely, written whole, cut down to some samples |
//! | [`checkpoint`], [`pickle`] | files of `torch.save`, read without running them |
//! | [`digest`] | hashes of files |
//! | [`staging`] | files and folders that are whole or absent |
//! | [`regular_file`] | files that a user names, opened only if they are no pipes |

#[cfg(target_endian = "big")]
compile_error!("bundles are little-endian and are read without conversion");

#[cfg(test)]
mod fixture;

pub mod bundle;
pub mod checkpoint;
pub mod config;
pub mod digest;
pub mod graph;
pub mod manifest;
pub mod module;
pub mod npy;
pub mod onnx;
pub mod pickle;
pub mod preprocessing;
pub mod printable;
pub mod regular_file;
pub mod staging;
pub mod tier;
pub mod tolerance;
