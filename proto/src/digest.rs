//! Hashes of files, read once in blocks so that memory stays flat.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::regular_file;

/// Large enough for BLAKE3 to use every core, small enough to stay in cache.
const BLOCK: usize = 1 << 20;

/// What a core reads at once, to hash it while it is in its cache.
const PIECE: usize = BLOCK / 8;

/// Size and hashes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDigest {
    /// Bytes in the file.
    pub size: u64,
    /// BLAKE3, hexadecimal: what the verifier checks.
    pub blake3: String,
    /// SHA-256, hexadecimal: what `sha256sum -c` checks.
    pub sha256: String,
}

/// Hashes a file both ways in one pass.
pub fn digest_file(path: &Path) -> io::Result<FileDigest> {
    let mut writer = DigestWriter::new(io::sink());
    for_each_block(path, |block| writer.update(block))?;
    Ok(writer.finish())
}

/// Hashes what passes through it, so that a file need not be read again.
#[derive(Debug)]
pub struct DigestWriter<W> {
    inner: W,
    size: u64,
    blake3: blake3::Hasher,
    sha256: Sha256,
}

impl<W> DigestWriter<W> {
    /// Around a writer; best fed in large blocks.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            size: 0,
            blake3: blake3::Hasher::new(),
            sha256: Sha256::new(),
        }
    }

    /// Size and hashes of what was written.
    pub fn finish(self) -> FileDigest {
        FileDigest {
            size: self.size,
            blake3: self.blake3.finalize().to_string(),
            sha256: hexadecimal(&self.sha256.finalize()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        for block in bytes.chunks(BLOCK) {
            // SHA-256 cannot be split, so BLAKE3 runs beside it.
            rayon::join(
                || self.sha256.update(block),
                || self.blake3.update_rayon(block),
            );
        }
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes what is read through it.
#[derive(Debug)]
pub struct DigestReader<R> {
    inner: R,
    sha256: Sha256,
}

impl<R> DigestReader<R> {
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            sha256: Sha256::new(),
        }
    }

    /// SHA-256 of what was read, hexadecimal.
    pub fn sha256(self) -> String {
        hexadecimal(&self.sha256.finalize())
    }
}

impl<R: Read> Read for DigestReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.sha256.update(&buffer[..length]);
        Ok(length)
    }
}

/// BLAKE3 of bytes as they come.
#[derive(Debug, Default)]
pub struct StreamHash(blake3::Hasher);

impl StreamHash {
    /// Bytes of a block that is read, then hashed while it is in cache, by every core.
    pub const BLOCK: usize = BLOCK;

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update_rayon(bytes);
    }

    /// BLAKE3 of all bytes taken, hexadecimal.
    pub fn finish(&self) -> String {
        self.0.finalize().to_string()
    }
}

/// Fills `bytes` from a file, beginning at byte `start`, and hashes them on the way if asked.
///
/// On one core: between two runs of a model the others are busy waiting for the next. It is not
/// mapped, so that a medium which fails, or a file cut short, is an error and not the end of the
/// process.
pub fn read_at(
    file: &File,
    start: u64,
    bytes: &mut [u8],
    mut hash: Option<&mut StreamHash>,
) -> io::Result<()> {
    for (number, piece) in bytes.chunks_mut(PIECE).enumerate() {
        file.read_exact_at(piece, start + (number * PIECE) as u64)?;
        if let Some(hash) = &mut hash {
            hash.0.update(piece);
        }
    }
    Ok(())
}

/// As [`read_at`], on all cores: copying a cached file takes one longer than hashing it.
pub fn read_at_on_all_cores(
    file: &File,
    start: u64,
    bytes: &mut [u8],
    hash: &mut StreamHash,
) -> io::Result<()> {
    for (number, block) in bytes.chunks_mut(BLOCK).enumerate() {
        let start = start + (number * BLOCK) as u64;
        let read = |(number, piece): (usize, &mut [u8])| {
            file.read_exact_at(piece, start + (number * PIECE) as u64)
        };
        block.par_chunks_mut(PIECE).enumerate().try_for_each(read)?;
        hash.update(block);
    }
    Ok(())
}

/// BLAKE3 of a file, hexadecimal; `go_on` is told the bytes as they are read and may end it, then
/// there is none.
pub fn blake3_file(path: &Path, mut go_on: impl FnMut(u64) -> bool) -> io::Result<Option<String>> {
    let file = regular_file::open(path)?;
    let size = file.metadata()?.len();
    let mut hash = StreamHash::default();
    let mut block = vec![0; BLOCK.min(size as usize)];
    for start in (0..size).step_by(BLOCK) {
        let block = &mut block[..BLOCK.min((size - start) as usize)];
        read_at_on_all_cores(&file, start, block, &mut hash)?;
        if !go_on(block.len() as u64) {
            return Ok(None);
        }
    }
    Ok(Some(hash.finish()))
}

/// BLAKE3 of bytes in memory, hexadecimal.
pub fn blake3_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_string()
}

/// SHA-256 of bytes in memory, hexadecimal.
pub fn sha256_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of a file, hexadecimal.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    sha256_reader(regular_file::open(path)?)
}

/// SHA-256 of all that can be read, hexadecimal.
pub fn sha256_reader(reader: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    blocks_of(reader, |block| hasher.update(block))?;
    Ok(hexadecimal(&hasher.finalize()))
}

fn for_each_block(path: &Path, consume: impl FnMut(&[u8])) -> io::Result<()> {
    blocks_of(regular_file::open(path)?, consume)
}

fn blocks_of(mut reader: impl Read, mut consume: impl FnMut(&[u8])) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match reader.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(length) => consume(&block[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_equal_the_published_ones() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "abc").expect("write");
        let digest = digest_file(file.path()).expect("digest");
        assert_eq!(digest.size, 3);
        // FIPS 180-2, appendix B.1
        assert_eq!(
            digest.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest.sha256, sha256_bytes(b"abc"));
        // `printf abc | b3sum`
        assert_eq!(
            digest.blake3,
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
        );
        assert_eq!(
            Some(digest.blake3),
            blake3_file(file.path(), |_| true).expect("digest")
        );
    }
    #[test]
    fn a_file_of_any_size_has_the_digest_of_its_bytes() {
        for size in [
            0,
            1,
            PIECE - 1,
            PIECE,
            PIECE + 1,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            2 * BLOCK + 3 * PIECE + 5,
        ] {
            let bytes: Vec<u8> = (0..size).map(|index| (index * index % 251) as u8).collect();
            let file = tempfile::NamedTempFile::new().expect("temporary file");
            std::fs::write(file.path(), &bytes).expect("write");
            let mut told = 0;
            let digest = blake3_file(file.path(), |bytes| {
                told += bytes;
                true
            })
            .expect("digest");
            assert_eq!(
                (digest, told),
                (Some(blake3_bytes(&bytes)), size as u64),
                "{size} bytes"
            );
        }
    }
}
