//! Files and folders that are whole or absent: written under a temporary sibling name, synced, and
//! renamed when complete.
//!
//! Whoever writes holds a lock on what is not finished. A process that is killed lets go of it, and
//! what it left is removed: by the next one that writes the same, or by [`remove_leftovers`].

mod file;
mod folder;
mod free;
mod leftovers;
mod lock;
mod name;
mod scratch;
mod sync;

pub use file::write_file;
pub use folder::{Replace, StagedFolder, StagingError};
pub use free::free_bytes;
pub use leftovers::{Leftover, remove_leftovers, remove_leftovers_beside};
pub use scratch::ScratchFolder;
