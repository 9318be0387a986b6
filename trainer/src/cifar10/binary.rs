//! The official binary format: records of one label byte and an image's 3,072 bytes, 10,000 in a
//! file.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;

use proto::regular_file;

use super::error::DataError;
use super::split::{IMAGE_BYTES, Image, Split};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 1 + IMAGE_BYTES;
/// Records in a file.
pub const RECORDS_PER_FILE: usize = 10_000;
pub(super) const FILE_BYTES: usize = RECORD_BYTES * RECORDS_PER_FILE;

/// Reads a file whole; refuses one that is absent or does not hold 10,000 records.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = read_at_most(path, FILE_BYTES + 1).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DataError::Missing(path.to_owned()),
        _ => DataError::Io {
            path: path.to_owned(),
            error,
        },
    })?;
    if bytes.len() == FILE_BYTES {
        return Ok(bytes);
    }
    let found = path
        .metadata()
        .map_or(bytes.len() as u64, |metadata| metadata.len());
    Err(DataError::Size {
        path: path.to_owned(),
        found,
        expected: FILE_BYTES as u64,
    })
}

fn read_at_most(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(most);
    let file = regular_file::open(path)?;
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Appends the images of a file to a split; the path is for messages.
pub(super) fn append(path: &Path, bytes: &[u8], split: &mut Split) -> Result<(), DataError> {
    for (record, bytes) in bytes.chunks_exact(RECORD_BYTES).enumerate() {
        let (label, image) = (bytes[0], &bytes[1..]);
        if label > 9 {
            return Err(DataError::Label {
                path: path.to_owned(),
                record,
                label,
            });
        }
        let image: &Image = image
            .try_into()
            .expect("a record less its label is an image");
        split.push(image, label);
    }
    Ok(())
}

/// Writes 10,000 records.
pub(super) fn write_file(
    path: &Path,
    records: impl Iterator<Item = (u8, Image)>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for (label, image) in records {
        writer.write_all(&[label])?;
        writer.write_all(&image)?;
    }
    writer.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_in_order() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("test_batch.bin");
        let record = |i: usize| ((i % 10) as u8, std::array::from_fn(|byte| (i + byte) as u8));
        write_file(&path, (0..RECORDS_PER_FILE).map(record)).expect("write");
        let mut split = Split::default();
        let bytes = read_file(&path).expect("read");
        append(&path, &bytes, &mut split).expect("images");
        assert_eq!(split.len(), RECORDS_PER_FILE);
        assert_eq!(
            (split.label(9_999), split.image(9_999)),
            (record(9_999).0, &record(9_999).1)
        );

        write_file(&path, (0..RECORDS_PER_FILE - 1).map(record)).expect("write");
        let error = read_file(&path).expect_err("short").to_string();
        assert!(
            error.contains("30726927 bytes, expected 30730000"),
            "{error}"
        );

        write_file(&path, (0..RECORDS_PER_FILE).map(|i| (i as u8, record(i).1))).expect("write");
        let bytes = read_file(&path).expect("read");
        let error = append(&path, &bytes, &mut split)
            .expect_err("label")
            .to_string();
        assert!(error.contains("record 10 has label 10"), "{error}");
        assert!(matches!(
            read_file(&folder.path().join("none")),
            Err(DataError::Missing(_))
        ));
    }
}
