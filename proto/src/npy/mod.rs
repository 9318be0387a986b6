//! NPY files, version 1.0: read a window at a time, streamed when written, header byte for byte as
//! `numpy.save` writes it. Of files of other versions and dtypes, [`AnyArray`] says what they are.

mod any;
mod any_element;
mod dtype;
mod error;
mod hashed;
mod header;
mod literal;
mod read;
mod time;
mod write;

pub use any::AnyArray;
pub use any_element::AnyElement;
pub use dtype::{Dtype, Element};
pub use error::{NpyError, NpyFault};
pub use hashed::{HashedRows, VerifiedRows};
pub use header::{AnyHeader, Header};
pub use read::{Npy, Rows, read_header};
pub use write::NpyWriter;
