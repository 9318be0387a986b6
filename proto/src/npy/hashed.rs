//! Rows whose bytes are hashed as they are read: what is used is what was hashed.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::dtype::Element;
use super::error::{NpyError, NpyFault};
use super::read::{Npy, Rows};
use crate::digest::{StreamHash, read_at, read_at_on_all_cores};

/// Reads an array's rows in ascending order and hashes every byte of its file on the way, so that
/// nothing is read twice.
#[derive(Debug)]
pub struct HashedRows<'a, T> {
    npy: &'a Npy<T>,
    hash: StreamHash,
    /// The first row that is not hashed yet.
    next: usize,
    on_all_cores: bool,
}

/// Reads an array's rows in any order: each one has the bytes that it had when the whole file was
/// hashed.
#[derive(Debug)]
pub struct VerifiedRows<T> {
    npy: Arc<Npy<T>>,
    /// Of each row.
    hashes: Vec<blake3::Hash>,
}

impl<T: Element> Npy<T> {
    /// Begins to read rows in order.
    pub fn hashed(&self) -> HashedRows<'_, T> {
        let mut hash = StreamHash::default();
        hash.update(&self.header);
        HashedRows {
            npy: self,
            hash,
            next: 0,
            on_all_cores: false,
        }
    }

    /// Reads all elements, in C order; an error unless the file has the hash that is expected.
    /// Without [`Npy::expecting`] none is compared.
    pub fn all(&self) -> Result<Vec<T>, NpyError> {
        let mut hashed = self.hashed();
        let rows = hashed.rows(0..self.rows_len())?;
        hashed.finish(|_| true)?;
        Ok(rows.elements)
    }

    /// Hashes the file, compares the hash as [`Npy::all`] does, and notes the hash of every row;
    /// `go_on` is told the bytes as they are read and may end it.
    pub fn verified(
        self: Arc<Self>,
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<VerifiedRows<T>, NpyError> {
        let mut hashes = Vec::with_capacity(self.rows_len());
        let mut hashed = self.hashed();
        let row_bytes = row_bytes(&self);
        let window = (StreamHash::BLOCK / row_bytes).max(1);
        for start in (0..self.rows_len()).step_by(window) {
            let rows = hashed.rows(start..self.rows_len().min(start + window))?;
            let bytes: &[u8] = bytemuck::cast_slice(&rows);
            hashes.par_extend(bytes.par_chunks(row_bytes).map(blake3::hash));
            if !go_on(bytes.len() as u64) {
                return Err(self.at(NpyFault::Interrupted));
            }
        }
        hashed.finish(|_| true)?;
        Ok(VerifiedRows { npy: self, hashes })
    }
}

impl<T: Element> HashedRows<'_, T> {
    /// Uses every core, where nothing runs between two windows that would need them.
    pub fn on_all_cores(mut self) -> Self {
        self.on_all_cores = true;
        self
    }

    /// Reads a window of rows; those between the last window and this one are hashed too.
    ///
    /// # Panics
    /// If the window begins before the end of the last one.
    pub fn rows(&mut self, range: Range<usize>) -> Result<Rows<T>, NpyError> {
        self.skip_to(range.start, |_| true)?;
        let (hash, on_all_cores) = (&mut self.hash, self.on_all_cores);
        let rows = self.npy.read(range.clone(), |file, at, bytes| {
            if on_all_cores {
                read_at_on_all_cores(file, at, bytes, hash)
            } else {
                read_at(file, at, bytes, Some(hash))
            }
        })?;
        self.next = range.end;
        Ok(rows)
    }

    /// Hashes the rows up to one; `go_on` is told the bytes as they are read and may end it.
    fn skip_to(&mut self, row: usize, mut go_on: impl FnMut(u64) -> bool) -> Result<(), NpyError> {
        assert!(self.next <= row, "rows are hashed in order");
        let npy = self.npy;
        let (mut at, end) = (npy.offset(self.next), npy.offset(row.min(npy.rows_len())));
        let mut block = vec![0; StreamHash::BLOCK.min((end - at) as usize)];
        while at < end {
            let block = &mut block[..StreamHash::BLOCK.min((end - at) as usize)];
            read_at_on_all_cores(&npy.file, at, block, &mut self.hash)
                .map_err(|error| npy.at(error.into()))?;
            at += block.len() as u64;
            if !go_on(block.len() as u64) {
                return Err(npy.at(NpyFault::Interrupted));
            }
        }
        self.next = row;
        Ok(())
    }

    /// Hashes the rows that are left, and compares the hash with the expected one, if any;
    /// `go_on` is told the bytes as they are read and may end it.
    pub fn finish(mut self, go_on: impl FnMut(u64) -> bool) -> Result<(), NpyError> {
        let npy = self.npy;
        self.skip_to(npy.rows_len(), go_on)?;
        let found = self.hash.finish();
        match &npy.expected {
            Some(expected) if *expected != found => Err(npy.at(NpyFault::Hash {
                found,
                expected: expected.clone(),
            })),
            _ => Ok(()),
        }
    }
}

impl<T: Element> VerifiedRows<T> {
    /// The array.
    pub fn npy(&self) -> &Npy<T> {
        &self.npy
    }

    /// Reads a window of rows.
    pub fn rows(&self, range: Range<usize>) -> Result<Rows<T>, NpyError> {
        let rows = self.npy.rows(range.clone())?;
        let bytes = bytemuck::cast_slice(&rows);
        let found = bytes.chunks(row_bytes(&self.npy)).map(blake3::hash);
        if found
            .zip(&self.hashes[range])
            .all(|(found, expected)| found == *expected)
        {
            Ok(rows)
        } else {
            Err(self.npy.at(NpyFault::Changed))
        }
    }
}

/// At least 1, so that rows without an element can be walked through.
fn row_bytes<T: Element>(npy: &Npy<T>) -> usize {
    (npy.row_elements() * T::DTYPE.size()).max(1)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::digest::blake3_file;
    use crate::npy::NpyWriter;

    /// 7 rows of 3 numbers.
    fn array() -> (tempfile::TempDir, PathBuf, String) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.npy");
        let mut writer = NpyWriter::<i64>::create(&path, &[7, 3]).expect("create");
        let numbers: Vec<i64> = (0..21).collect();
        writer.write(&numbers).expect("write");
        writer.finish().expect("finish");
        let hash = blake3_file(&path, |_| true).expect("hash");
        let hash = hash.expect("to the end");
        (folder, path, hash)
    }

    fn flip_last_bit(path: &PathBuf) {
        let mut bytes = fs::read(path).expect("read");
        *bytes.last_mut().expect("not empty") ^= 1;
        fs::write(path, bytes).expect("write");
    }

    #[test]
    fn rows_that_are_skipped_are_hashed_too() {
        let (_folder, path, hash) = array();
        let npy = Npy::<i64>::open(&path).expect("open").expecting(&hash);
        for windows in [&[(0, 7)][..], &[], &[(2, 3), (3, 3), (5, 7)], &[(6, 7)]] {
            let mut hashed = npy.hashed();
            for &(start, end) in windows {
                let first = 3 * start as i64;
                let rows = hashed.rows(start..end).expect("rows");
                assert!(rows.first().is_none_or(|&element| element == first));
            }
            hashed.finish(|_| true).expect("the expected hash");
        }
        assert_eq!(npy.all().expect("all")[20], 20);
    }

    #[test]
    fn a_change_while_it_is_read_is_seen() {
        let (_folder, path, hash) = array();
        let npy = Npy::<i64>::open(&path).expect("open").expecting(&hash);
        let mut hashed = npy.hashed();
        hashed.rows(0..2).expect("rows");
        flip_last_bit(&path);
        let error = hashed.finish(|_| true).expect_err("changed").to_string();
        assert!(error.contains(&format!("expected {hash}")), "{error}");
        assert!(npy.all().is_err());
    }

    #[test]
    fn a_file_cut_short_while_it_is_read_is_an_error() {
        let (_folder, path, hash) = array();
        let npy = Npy::<i64>::open(&path).expect("open").expecting(&hash);
        let mut hashed = npy.hashed();
        fs::write(&path, "short").expect("write");
        assert!(hashed.rows(3..7).is_err());
    }

    #[test]
    fn a_row_that_changed_after_the_file_was_hashed_is_refused() {
        let (_folder, path, hash) = array();
        let npy = Npy::<i64>::open(&path).expect("open").expecting(&hash);
        let verified = Arc::new(npy).verified(|_| true).expect("the expected hash");
        assert_eq!(*verified.rows(6..7).expect("row"), [18, 19, 20]);
        flip_last_bit(&path);
        assert_eq!(*verified.rows(5..6).expect("row"), [15, 16, 17]);
        let error = verified.rows(6..7).expect_err("changed").to_string();
        assert!(error.contains("changed while it was used"), "{error}");
    }
}
