//! Files and folders that are whole or absent: written under a temporary sibling name, renamed when
//! complete.

mod file;
mod folder;
mod room;

pub use file::{remove_leftovers, write_by_path, write_file};
pub use folder::{StagedFolder, StagingError};
pub use room::free_bytes;
