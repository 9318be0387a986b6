//! Why an archive cannot be used.

use std::io;

use zip::result::ZipError;

use super::format::NotCheckpoint;

/// The rule that an archive breaks.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Another format.
    #[error(transparent)]
    NotCheckpoint(#[from] NotCheckpoint),
    /// A zip archive with what may be a checkpoint in it.
    #[error("a zip archive with `{0}` in it\nhint: unpack it and import that file")]
    Packed(String),
    /// Zip, but not a valid one.
    #[error(
        "not a valid zip archive: {0}\nhint: it may have been cut short; copy or download it again"
    )]
    Zip(#[from] ZipError),
    /// One name stands for two entries, as a damaged name may.
    #[error("not a valid zip archive: two entries of one name")]
    SameName,
    /// Bytes of one entry are bytes of another.
    #[error("not a valid zip archive: its entries overlap")]
    Overlap,
    #[error("no entry `{0}` in the archive")]
    NoEntry(String),
    /// An entry is compressed or encrypted.
    #[error(
        "entry `{0}` is compressed, expected it stored as torch.save does\n\
         hint: pack it again without compression, in an empty folder: \
         `unzip FILE && zip -0 -r NEW.pth .`"
    )]
    Compressed(String),
    /// An entry's bytes are not those that were written.
    #[error("entry `{name}`: {error}\nhint: the file is damaged; copy or download it again")]
    Entry { name: String, error: io::Error },
    /// An entry has another size.
    #[error("entry `{name}`: {found} bytes, expected {expected}")]
    EntrySize {
        name: String,
        /// What the pickle says.
        expected: u128,
        /// What the archive holds.
        found: u64,
    },
    /// The pickle or a note beside it is larger than that of any state dict.
    #[error("entry `{name}`: {found} bytes, expected at most {most}")]
    TooLarge {
        name: String,
        found: u64,
        /// The largest size accepted.
        most: u64,
    },
    /// Another order of bytes.
    #[error("byte order `{0}`, expected `little`\nhint: save it again on a little-endian machine")]
    ByteOrder(String),
}
