//! The zip archive round a checkpoint, written as torch.save does.

use std::io::{self, Seek, Write};

use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The folder of all entries. torch.save takes the file's name; a constant gives the same bytes
/// under any name.
const FOLDER: &str = "archive";

/// Where an entry's bytes begin, so that a mapped file's tensors are aligned (`kFieldAlignment` in
/// `caffe2/serialize/inline_container.h`).
const ALIGNMENT: u16 = 64;

/// Writes entries uncompressed, aligned and dated 1980, so that the same contents give the same
/// bytes.
pub struct ArchiveWriter<W: Write + Seek>(ZipWriter<W>);

impl<W: Write + Seek> ArchiveWriter<W> {
    pub fn new(writer: W) -> Self {
        Self(ZipWriter::new(writer))
    }

    pub fn entry(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(u32::try_from(bytes.len()).is_err())
            .with_alignment(ALIGNMENT);
        self.0.start_file(format!("{FOLDER}/{name}"), options)?;
        self.0.write_all(bytes)
    }

    pub fn finish(self) -> ZipResult<W> {
        self.0.finish()
    }

    /// Dropping what cannot be finished would try to finish it, and print that it cannot.
    pub fn abandon(self) {
        std::mem::forget(self);
    }
}
