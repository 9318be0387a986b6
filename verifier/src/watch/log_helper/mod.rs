//! The logs that the radiation community writes and reads: libLogHelper's text and its datagrams.
//!
//! A file is one worker's life, as it is one process's there: a worker that is lost leaves a file
//! without `#END`, which parsers count as a DUE. One iteration is one batch, and `AccTime` is our
//! exposure.

pub mod read;
#[cfg(test)]
mod tests;
pub mod write;

pub use read::{Row, read_file, read_folder};
pub use write::{Sender, TextLog};
