//! Files of `torch.save`, read without PyTorch and without running anything of them.
//!
//! `torch.save` of PyTorch 1.6 and later writes a zip archive without compression:
//!
//! | entry | holds |
//! |---|---|
//! | `NAME/data.pkl` | a pickle of the saved object, in which each tensor is a view of a storage |
//! | `NAME/data/KEY` | a storage: the elements of one or more tensors |
//! | `NAME/byteorder` | `little` or `big`; absent before PyTorch 2.1 |
//! | `NAME/version` | `3` |

mod archive;
mod error;
mod format;
mod part;
mod tree;
mod write;

pub use archive::Archive;
pub use error::ArchiveFault;
pub use format::{Format, HEAD, LONGEST_HEADER, NotCheckpoint};
pub use part::Part;
pub use tree::{Entries, Inert, Tree, joined, listed};
pub use write::ArchiveWriter;
