//! Files outside of a bundle: the bytes that are used are the bytes that are hashed.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use proto::digest::{StreamHash, blake3_bytes, read_at_on_all_cores};
use proto::regular_file;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRecord {
    #[serde(serialize_with = "proto::regular_file::path_as_text")]
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of these bytes, hexadecimal.
    pub blake3: String,
}

/// A file that is read in order and hashed on the way.
#[derive(Debug)]
pub(crate) struct HashedFile {
    path: PathBuf,
    file: File,
    /// Its size when it was opened.
    pub(crate) size: u64,
    read: u64,
    hash: StreamHash,
    /// Read and hashed already, and not given yet.
    pending: Vec<u8>,
}

impl HashedFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = regular_file::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            size: file.metadata()?.len(),
            file,
            read: 0,
            hash: StreamHash::default(),
            pending: vec![],
        })
    }

    /// The first bytes, at most `most`; they are still to be read. Called before anything is read.
    pub(crate) fn beginning(&mut self, most: usize) -> io::Result<&[u8]> {
        let mut bytes = Vec::new();
        self.by_ref().take(most as u64).read_to_end(&mut bytes)?;
        self.pending = bytes;
        Ok(&self.pending)
    }

    /// Leaves out the next bytes, which [`HashedFile::beginning`] has given.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.pending.drain(..bytes);
    }

    /// Reads what is left, and gives the record.
    pub(crate) fn finish(mut self) -> io::Result<FileRecord> {
        let mut block = vec![0; StreamHash::BLOCK];
        while self.read(&mut block)? > 0 {}
        Ok(FileRecord {
            path: self.path,
            bytes: self.read,
            blake3: self.hash.finish(),
        })
    }
}

impl Read for HashedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.pending.is_empty() {
            let read = self.pending.as_slice().read(buffer)?;
            self.pending.drain(..read);
            return Ok(read);
        }
        // What was added since it was opened is no part of it.
        let left = usize::try_from(self.size - self.read).unwrap_or(usize::MAX);
        let length = buffer.len().min(left);
        let buffer = &mut buffer[..length];
        read_at_on_all_cores(&self.file, self.read, buffer, &mut self.hash)?;
        self.read += length as u64;
        Ok(length)
    }
}

/// A whole file, and its record.
pub(crate) fn read_whole(path: &Path) -> io::Result<(Vec<u8>, FileRecord)> {
    let bytes = regular_file::read(path)?;
    let record = FileRecord {
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        blake3: blake3_bytes(&bytes),
    };
    Ok((bytes, record))
}
