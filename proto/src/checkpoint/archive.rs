//! The zip archive round a checkpoint: which entries are read, and what must hold before their
//! bytes are trusted.
//!
//! torch.save stores entries as they are, so nothing is decompressed here, and no read is larger
//! than the file.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom};

use zip::read::{ArchiveOffset, Config, ZipFile};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive, ZipReadOptions};

use super::error::ArchiveFault;
use super::format::NotCheckpoint;
use crate::printable::printable;

/// The largest pickle accepted. That of `base` with Adam's state has 62 KB; the numbers of NumPy
/// arrays stand in the pickle itself.
const PICKLE_BYTES: u64 = 1 << 30;

/// The archive is the whole file. Looking for its beginning would go wrong: torch.save writes the
/// end records of large archives without the marks that announce them, and with a folder's name of
/// 21 characters the second entry of the directory lies where the first one is then expected.
const WHOLE_FILE: Config = Config {
    archive_offset: ArchiveOffset::Known(0),
};

/// A checkpoint's archive.
pub struct Archive<R> {
    zip: ZipArchive<R>,
    /// The folder all entries stand in, after the file's first name.
    folder: String,
    length: u64,
}

impl<R: Read + Seek> Archive<R> {
    pub fn open(mut file: R) -> Result<Self, ArchiveFault> {
        let length = file.seek(SeekFrom::End(0))?;
        let mut zip = ZipArchive::with_config(WHOLE_FILE, file)?;
        if zip.has_duplicate_names() {
            return Err(ArchiveFault::SameName);
        }
        if zip.has_overlapping_files()? {
            return Err(ArchiveFault::Overlap);
        }
        let names = zip.file_names().collect::<Result<Vec<_>, ZipError>>()?;
        let folder = names.iter().find_map(|name| {
            name.strip_suffix("/data.pkl")
                .filter(|folder| !folder.contains('/'))
        });
        let folder = folder.ok_or_else(|| other_archive(&names))?.to_owned();
        if zip
            .index_for_name(&format!("{folder}/constants.pkl"))
            .is_some()
        {
            return Err(NotCheckpoint::TorchScript.into());
        }
        let mut archive = Self {
            zip,
            folder,
            length,
        };
        match archive.entry("byteorder", 16) {
            Ok(order) if order == b"little" => Ok(archive),
            Ok(order) => Err(ArchiveFault::ByteOrder(printable(
                &String::from_utf8_lossy(&order),
            ))),
            Err(ArchiveFault::NoEntry(_)) => Ok(archive),
            Err(fault) => Err(fault),
        }
    }

    /// The bytes of the pickle.
    pub fn pickle(&mut self) -> Result<Vec<u8>, ArchiveFault> {
        self.entry("data.pkl", PICKLE_BYTES)
    }

    /// The bytes of a storage that must have this many.
    pub fn storage(&mut self, key: &str, expected: u128) -> Result<Vec<u8>, ArchiveFault> {
        let name = format!("data/{key}");
        let bytes = self.entry(&name, u64::MAX)?;
        self.check_size(&name, bytes.len() as u64, expected)?;
        Ok(bytes)
    }

    /// Where a storage begins in the file. It must have this many bytes, which are compared with
    /// its checksum.
    pub fn storage_start(&mut self, key: &str, expected: u128) -> Result<u64, ArchiveFault> {
        let name = format!("data/{key}");
        let mut entry = self.open_entry(&name, u64::MAX)?;
        let (start, found) = (entry.data_start(), entry.size());
        if let Err(error) = io::copy(&mut entry, &mut io::sink()) {
            drop(entry);
            return Err(self.damaged(&name, error));
        }
        drop(entry);
        self.check_size(&name, found, expected)?;
        start.ok_or(ArchiveFault::NoEntry(name))
    }

    fn damaged(&self, name: &str, error: io::Error) -> ArchiveFault {
        ArchiveFault::Entry {
            name: printable(&format!("{}/{name}", self.folder)),
            error,
        }
    }

    fn check_size(&self, name: &str, found: u64, expected: u128) -> Result<(), ArchiveFault> {
        match u128::from(found) == expected {
            true => Ok(()),
            false => Err(ArchiveFault::EntrySize {
                name: printable(&format!("{}/{name}", self.folder)),
                expected,
                found,
            }),
        }
    }

    /// The bytes of an entry.
    fn entry(&mut self, name: &str, most: u64) -> Result<Vec<u8>, ArchiveFault> {
        let mut entry = self.open_entry(name, most)?;
        let mut bytes = Vec::with_capacity(entry.size() as usize);
        let read = entry.read_to_end(&mut bytes);
        drop(entry);
        match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.damaged(name, error)),
        }
    }

    /// An entry whose bytes stand in the file as they are; whoever reads it to its end has it
    /// compared with its checksum, if it has one.
    fn open_entry(&mut self, name: &str, most: u64) -> Result<ZipFile<'_, R>, ArchiveFault> {
        let path = format!("{}/{name}", self.folder);
        let name = printable(&path);
        let Some(index) = self.zip.index_for_name(&path) else {
            return Err(ArchiveFault::NoEntry(name));
        };
        let entry = self.zip.by_index_data(index)?;
        let found = entry.size();
        if entry.compression() != CompressionMethod::Stored
            || entry.encrypted()
            || entry.compressed_size() != found
        {
            return Err(ArchiveFault::Compressed(name));
        }
        let most = most.min(self.length);
        if found > most {
            return Err(ArchiveFault::TooLarge { name, found, most });
        }
        // torch.save writes 0 where it was told not to compute checksums (`set_crc32_options`).
        let options = ZipReadOptions::new().ignore_crc32(entry.crc32() == 0);
        Ok(self.zip.by_index_with_options(index, options)?)
    }
}

/// What a zip archive is that torch.save did not write.
fn other_archive(names: &[Cow<'_, str>]) -> ArchiveFault {
    let ends_in = |endings: &[&str]| {
        names
            .iter()
            .find(|name| endings.iter().any(|ending| name.ends_with(ending)))
    };
    if ends_in(&[".npy"]).is_some() {
        return NotCheckpoint::NumPy.into();
    }
    match ends_in(&[".pth", ".pt", ".bin", ".ckpt", ".safetensors"]) {
        Some(name) => ArchiveFault::Packed(printable(name)),
        None => ArchiveFault::NoEntry("NAME/data.pkl".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::write::ArchiveWriter;
    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ArchiveWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer.entry(name, bytes).expect("write");
        }
        writer.finish().expect("write").into_inner()
    }

    /// What is said of an archive whose pickle and storage are asked for.
    fn refusal(bytes: &[u8]) -> String {
        let read = || {
            let mut archive = Archive::open(Cursor::new(bytes))?;
            archive.pickle()?;
            archive.storage("0", 8)
        };
        read().expect_err("must be refused").to_string()
    }

    const VALID: [(&str, &[u8]); 3] = [
        ("data.pkl", b"pickle"),
        ("byteorder", b"little"),
        ("data/0", &[0; 8]),
    ];

    /// Changes a field of the central directory, at a position in the header of the third entry.
    fn forge(mut bytes: Vec<u8>, position: usize, field: &[u8]) -> Vec<u8> {
        let headers: Vec<usize> = (0..bytes.len() - 4)
            .filter(|&at| bytes[at..].starts_with(b"PK\x01\x02"))
            .collect();
        bytes[headers[2] + position..][..field.len()].copy_from_slice(field);
        bytes
    }

    fn forged(position: usize, field: &[u8]) -> Vec<u8> {
        forge(archive(&VALID), position, field)
    }

    #[test]
    fn entries_are_read_as_they_are() {
        let mut read = Archive::open(Cursor::new(archive(&VALID))).expect("open");
        assert_eq!(read.pickle().expect("pickle"), b"pickle");
        assert_eq!(read.storage("0", 8).expect("storage"), [0; 8]);
        // Before PyTorch 2.1 there was no note of the byte order.
        assert!(Archive::open(Cursor::new(archive(&[VALID[0], VALID[2]]))).is_ok());
    }

    /// An archive as torch.save writes it under a name: the end records of large archives stand in
    /// it, and the usual one does not announce them.
    fn with_large_end_records(name: &str) -> Vec<u8> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (entry, bytes) in VALID {
            writer
                .start_file(format!("{name}/{entry}"), options)
                .and_then(|()| Ok(writer.write_all(bytes)?))
                .expect("write");
        }
        let mut bytes = writer.finish().expect("write").into_inner();
        let end = bytes.split_off(bytes.len() - 22);
        let field = |at: usize| u32::from_le_bytes(end[at..at + 4].try_into().expect("4 bytes"));
        let (size, start) = (u64::from(field(12)), u64::from(field(16)));
        let record_start = bytes.len() as u64;
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44_u64.to_le_bytes()); // what follows of the record
        bytes.extend([30, 3, 45, 0]); // versions
        bytes.extend([0; 8]); // numbers of disks
        for number in [3, 3, size, start] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(record_start.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        [bytes, end].concat()
    }

    #[test]
    fn a_name_of_any_length_is_read() {
        for length in 1..=40 {
            let bytes = with_large_end_records(&"n".repeat(length));
            let read = Archive::open(Cursor::new(bytes)).and_then(|mut archive| archive.pickle());
            assert_eq!(
                read.expect("a sound archive"),
                b"pickle",
                "{length} characters"
            );
        }
    }

    #[test]
    fn archives_of_other_programs_say_so() {
        let arrays = refusal(&archive(&[("pos_embedding.npy", b"")]));
        assert!(
            arrays.starts_with("not a checkpoint: NumPy arrays"),
            "{arrays}"
        );
        let packed = refusal(&archive(&[("run/best.pth", b"")]));
        assert!(
            packed.starts_with("a zip archive with `archive/run/best.pth` in it"),
            "{packed}"
        );
        assert_eq!(
            refusal(&archive(&VALID[1..])),
            "no entry `NAME/data.pkl` in the archive"
        );
        assert_eq!(
            refusal(&archive(&VALID[..2])),
            "no entry `archive/data/0` in the archive"
        );
        let big = refusal(&archive(&[VALID[0], ("byteorder", b"big"), VALID[2]]));
        assert!(big.starts_with("byte order `big`, expected `little`\nhint:"));
    }

    #[test]
    fn an_archive_cut_anywhere_is_refused() {
        let valid = archive(&VALID);
        for length in 2..valid.len() {
            let message = refusal(&valid[..length]);
            assert!(
                message.contains("not a valid zip archive"),
                "{length} bytes: {message}"
            );
        }
    }

    #[test]
    fn sizes_that_lie_are_refused() {
        let size = refusal(&archive(&[VALID[0], ("data/0", &[0; 12])]));
        assert_eq!(size, "entry `archive/data/0`: 12 bytes, expected 8");
        let order = refusal(&archive(&[VALID[0], ("byteorder", &[b'l'; 17])]));
        assert_eq!(
            order,
            "entry `archive/byteorder`: 17 bytes, expected at most 16"
        );
        let huge = 0xffff_fff0_u32.to_le_bytes();
        // both sizes
        assert!(refusal(&forged(20, &[huge, huge].concat())).contains("entries overlap"));
        assert!(refusal(&forged(24, &huge)).contains("compressed")); // the uncompressed size alone
        // begins where the first one does
        assert!(refusal(&forged(42, &[0; 4])).contains("entries overlap"));
    }

    #[test]
    fn an_entry_does_not_stand_for_another_of_its_name() {
        let valid = archive(&[VALID[0], ("data/0", &[0; 8]), ("data/1", &[1; 8])]);
        assert_eq!(
            refusal(&forge(valid, 46, b"archive/data/0")),
            "not a valid zip archive: two entries of one name"
        );
    }

    #[test]
    fn what_is_compressed_or_damaged_is_refused() {
        let compressed = refusal(&forged(10, &[8]));
        assert!(
            compressed.starts_with(
                "entry `archive/data/0` is compressed, expected it stored as torch.save does\nhint:"
            ),
            "{compressed}"
        );
        let checksum = refusal(&forged(16, &[1, 2, 3, 4]));
        assert!(
            Archive::open(Cursor::new(forged(16, &[0; 4])))
                .expect("open")
                .storage("0", 8)
                .is_ok()
        );
        assert!(
            checksum.starts_with("entry `archive/data/0`: ")
                && checksum.contains("hint: the file is damaged")
        );
    }
}
