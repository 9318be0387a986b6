//! NPY files, version 1.0: read a window at a time, streamed when written, header byte for byte as
//! `numpy.save` writes it.

mod dtype;
mod error;
mod hashed;
mod header;
mod read;
mod write;

pub use dtype::{Dtype, Element};
pub use error::{NpyError, NpyFault};
pub use hashed::{HashedRows, VerifiedRows};
pub use header::{AnyHeader, Header};
pub use read::{Npy, Rows, read_header};
pub use write::NpyWriter;
