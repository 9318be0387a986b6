//! The log of a watch: a folder of files to which records are only ever appended.

pub mod disk;
pub mod entry;
pub mod event;
pub mod reader;
#[cfg(test)]
mod tests;
pub mod writer;

pub use entry::Entry;
pub use event::Event;
pub use reader::{Integrity, LogReader};
pub use writer::{LogWriter, Settings};
