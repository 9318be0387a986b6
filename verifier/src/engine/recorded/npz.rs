//! Archives of NPY files, as `numpy.savez` and tract write them.

use std::io::{Cursor, Read};

use proto::npy::AnyHeader;
use zip::ZipArchive;
use zip::result::ZipError;

use super::array::{Array, Named, unnamed};
use super::element_type::FloatType;
use super::error::FileFault;
use super::npy::{LONGEST_HEADER, npy_array, npy_layout};

/// The record at the end of an archive: its signature, and where it has the number of members.
const END: &[u8] = b"PK\x05\x06";
const MEMBERS: usize = 10;

/// The members of an archive; `turn_0/NAME` is tract's first run.
pub(super) fn npz(bytes: Vec<u8>, dtype: Option<FloatType>) -> Result<Vec<Named>, FileFault> {
    let broken = |error: ZipError| FileFault::Zip(error.to_string());
    let written = members_written(&bytes);
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    if let Some(written) = written.filter(|&written| written != archive.len()) {
        return Err(FileFault::Zip(format!(
            "{written} members, expected as many names, found {}",
            archive.len()
        )));
    }
    let mut named = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(broken)?;
        let name = member.name().map_err(broken)?.to_string();
        let size = member.size();
        let array = member_array(&mut member, size, dtype)?;
        let name = name.strip_suffix(".npy").unwrap_or(&name);
        let name = name.strip_prefix("turn_0/").unwrap_or(name);
        named.push(Named {
            name: Some(name.to_owned()),
            ..unnamed(array)
        });
    }
    Ok(named)
}

/// How many members an archive says that it has: of those with one name, a reader gives the last.
/// `None` where the number does not fit into the 16 bits there.
fn members_written(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(END.len()).rposition(|window| window == END)? + MEMBERS;
    let number = bytes.get(at..at + 2)?.try_into().ok()?;
    let number = u16::from_le_bytes(number);
    (number < u16::MAX).then_some(usize::from(number))
}

/// An NPY file of `size` bytes; no more is unpacked than its own header promises.
fn member_array(
    member: &mut impl Read,
    size: u64,
    dtype: Option<FloatType>,
) -> Result<Array, FileFault> {
    let mut bytes = Vec::new();
    member
        .by_ref()
        .take(LONGEST_HEADER as u64)
        .read_to_end(&mut bytes)?;
    let header = AnyHeader::parse(&bytes)?;
    let data = size.saturating_sub(header.data_start as u64);
    npy_layout(&header, data, dtype)?;
    // The layout has as many bytes as the archive says; a member that has more is cut, and refused.
    let left = size.saturating_sub(bytes.len() as u64);
    member.by_ref().take(left + 1).read_to_end(&mut bytes)?;
    npy_array(&bytes, dtype)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use proto::npy::{Dtype, Header};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(names: &[&str], shape: &[usize], data: &[u8]) -> Vec<u8> {
        let header = Header {
            dtype: Dtype::Float32,
            shape: shape.to_vec(),
        };
        let mut writer = ZipWriter::new(Cursor::new(vec![]));
        for name in names {
            let options = SimpleFileOptions::default();
            writer.start_file(*name, options).expect("member");
            writer.write_all(&header.to_bytes()).expect("header");
            writer.write_all(data).expect("data");
        }
        writer.finish().expect("archive").into_inner()
    }

    #[test]
    fn two_members_of_one_name_are_refused() {
        let mut bytes = archive(&["x.npy", "y.npy"], &[2], &[0; 8]);
        let named = npz(bytes.clone(), None).expect("two names");
        assert_eq!(named.len(), 2);
        for at in 0..bytes.len() {
            if bytes[at..].starts_with(b"y.npy") {
                bytes[at] = b'x';
            }
        }
        let refused = npz(bytes, None).expect_err("one name").to_string();
        assert!(
            refused.contains("2 members, expected as many names, found 1"),
            "{refused}"
        );
    }

    #[test]
    fn no_more_is_unpacked_than_the_header_promises() {
        struct Endless<'a>(&'a [u8], usize);
        impl Read for Endless<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let read = self.0.read(buffer)?;
                self.1 += if read == 0 { buffer.len() } else { read };
                Ok(if read == 0 { buffer.len() } else { read })
            }
        }
        let header = Header {
            dtype: Dtype::Float32,
            shape: vec![2],
        };
        let header = header.to_bytes();
        for size in [u64::MAX, header.len() as u64 + 9, header.len() as u64 + 8] {
            let mut member = Endless(&header, 0);
            member_array(&mut member, size, None).expect_err("more than eight bytes");
            assert!(member.1 < 2 * LONGEST_HEADER, "{}", member.1);
        }
    }
}
