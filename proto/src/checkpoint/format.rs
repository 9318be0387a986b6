//! What a file is, by its first bytes: one that may hold weights, or which other one.

use super::part::join;

/// The longest header of a safetensors file, as the safetensors library has it.
pub const LONGEST_HEADER: u64 = 100_000_000;

/// How many first bytes tell formats apart: the mark of a tar archive stands after 257.
pub const HEAD: usize = 512;

/// The number that torch.save before PyTorch 1.6 begins with, as an instruction of a pickle
/// (`MAGIC_NUMBER` in `torch/serialization.py`).
const LEGACY_MAGIC: [u8; 12] = *b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// A format that weights come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The zip archive of torch.save.
    Zip,
    Safetensors,
}

/// What is no checkpoint, and what it is instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCheckpoint {
    #[error("not a checkpoint: an empty file\nhint: copy or download it again")]
    Empty,
    #[error(
        "not a checkpoint: a pointer of Git LFS to the file, not the file itself\n\
         hint: `git lfs pull` in its repository fetches it"
    )]
    GitLfs,
    #[error(
        "not a checkpoint: a web page (HTML)\n\
         hint: download the file itself, not the page that shows it"
    )]
    Html,
    #[error(
        "not a checkpoint: the index of one in several files, which stand beside it\nhint: {}",
        join("NAME", *is_safetensors)
    )]
    Index { is_safetensors: bool },
    #[error("not a checkpoint: a text in {0}\nhint: read it; the download may have failed")]
    Text(&'static str),
    #[error("not a checkpoint: compressed by {by}\nhint: `{unpack}` gives what is in it")]
    Compressed {
        by: &'static str,
        unpack: &'static str,
    },
    #[error("not a checkpoint: a tar archive\nhint: `tar xf FILE` unpacks it")]
    Tar,
    #[error(
        "in the format of PyTorch before 1.6, expected a zip archive\n\
         hint: PyTorch 1.6 or later rewrites it: torch.save(torch.load(FILE), NEW)"
    )]
    Legacy,
    #[error(
        "not a checkpoint: a pickle that torch.save did not write\n\
         hint: if you trust its source, torch.save(pickle.load(open(FILE, \"rb\")), NEW) does"
    )]
    Pickle,
    #[error(
        "not a checkpoint: NumPy arrays, expected tensors\n\
         hint: torch.save({{name: torch.from_numpy(array) for name, array in \
         numpy.load(FILE).items()}}, NEW)"
    )]
    NumPy,
    #[error(
        "not a checkpoint: a TorchScript program, expected a state dict\n\
         hint: torch.save(torch.jit.load(FILE).state_dict(), NEW)"
    )]
    TorchScript,
    #[error("not a checkpoint: {0}")]
    Other(&'static str),
    #[error("not a checkpoint: nothing but zeros\nhint: copy or download it again")]
    Zeros,
    #[error(
        "not a checkpoint: expected the zip archive that torch.save writes, or a safetensors file"
    )]
    Unknown,
}

impl NotCheckpoint {
    /// What it is, and a hint.
    pub fn what(&self) -> String {
        let text = self.to_string();
        let what = text.strip_prefix("not a checkpoint: ");
        what.unwrap_or(&text).to_owned()
    }
}

impl Format {
    /// Of a file with these first bytes, [`HEAD`] of them or all.
    pub fn of(head: &[u8]) -> Result<Self, NotCheckpoint> {
        if head.starts_with(b"PK") {
            return Ok(Self::Zip);
        }
        let length = head.first_chunk().map(|&length| u64::from_le_bytes(length));
        if head.get(8) == Some(&b'{') && length.is_some_and(|length| length <= LONGEST_HEADER) {
            return Ok(Self::Safetensors);
        }
        Err(binary(head)
            .or_else(|| pickle(head))
            .or_else(|| text(head))
            .unwrap_or(NotCheckpoint::Unknown))
    }
}

/// Formats with a mark of their own.
fn binary(head: &[u8]) -> Option<NotCheckpoint> {
    use NotCheckpoint::{Compressed, Empty, NumPy, Other, Tar, Zeros};
    const MARKS: [(&[u8], NotCheckpoint); 12] = [
        (b"\x1f\x8b", compressed("gzip", "gunzip FILE")),
        (b"BZh", compressed("bzip2", "bunzip2 FILE")),
        (b"\xfd7zXZ\0", compressed("xz", "unxz FILE")),
        (b"\x28\xb5\x2f\xfd", compressed("zstd", "unzstd FILE")),
        (b"\x04\x22\x4d\x18", compressed("lz4", "unlz4 FILE")),
        (b"7z\xbc\xaf\x27\x1c", compressed("7-Zip", "7z x FILE")),
        (b"Rar!", compressed("RAR", "unrar x FILE")),
        (b"\x93NUMPY", NumPy),
        (b"\x89HDF\r\n", Other("an HDF5 file, as Keras writes it")),
        (b"\x89PNG", Other("a picture (PNG)")),
        (b"%PDF", Other("a PDF document")),
        (b"\x7fELF", Other("a program")),
    ];
    const fn compressed(by: &'static str, unpack: &'static str) -> NotCheckpoint {
        Compressed { by, unpack }
    }
    if head.is_empty() {
        return Some(Empty);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(Tar);
    }
    if head.iter().all(|&byte| byte == 0) {
        return Some(Zeros);
    }
    let mut marks = MARKS.into_iter();
    let (_, found) = marks.find(|(mark, _)| head.starts_with(mark))?;
    Some(found)
}

/// Pickles begin with their protocol from 2 on; what torch.save wrote before PyTorch 1.6 is the
/// same with a number first.
fn pickle(head: &[u8]) -> Option<NotCheckpoint> {
    let &[0x80, 2..=5, ..] = head else {
        return None;
    };
    let start = &head[..head.len().min(32)];
    let mut windows = start.windows(LEGACY_MAGIC.len());
    match windows.any(|window| window == LEGACY_MAGIC) {
        true => Some(NotCheckpoint::Legacy),
        false => Some(NotCheckpoint::Pickle),
    }
}

/// Files of text, a page or a message of a server for one.
fn text(head: &[u8]) -> Option<NotCheckpoint> {
    let text = match str::from_utf8(head) {
        Ok(text) => text,
        // Cut within a character.
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("version https://git-lfs") {
        return Some(NotCheckpoint::GitLfs);
    }
    if ["<!doctype html", "<html", "<head", "<body", "<!--"]
        .iter()
        .any(|start| lower.starts_with(start))
        || (lower.starts_with('<') && lower.contains("<html"))
    {
        return Some(NotCheckpoint::Html);
    }
    if text
        .chars()
        .any(|character| character.is_control() && !character.is_whitespace())
    {
        return None;
    }
    Some(match text.chars().next() {
        Some('<') => NotCheckpoint::Text("XML"),
        Some('{') if text.contains("\"weight_map\"") => NotCheckpoint::Index {
            is_safetensors: text.contains(".safetensors\""),
        },
        Some('{' | '[') => NotCheckpoint::Text("JSON"),
        _ => NotCheckpoint::Text("plain characters"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_is(head: &[u8], text: &str) {
        let found = Format::of(head).expect_err("no weights").to_string();
        assert!(found.contains(text), "{found}\nexpected {text}");
    }

    #[test]
    fn what_is_no_checkpoint_is_called_what_it_is() {
        assert_is(b"", "an empty file\nhint:");
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 343\n";
        assert_is(pointer, "a pointer of Git LFS");
        assert_is(b"\n<!DOCTYPE html>\n<html lang=en>", "a web page (HTML)");
        assert_is(b"\xef\xbb\xbf<HTML><HEAD>", "a web page (HTML)");
        assert_is(b"<?xml version='1.0'?><html xmlns=''>", "a web page (HTML)");
        assert_is(b"<?xml version='1.0'?><Error><Code>", "a text in XML");
        assert_is(br#"{"error": "not found"}"#, "a text in JSON");
        // As save_pretrained writes it.
        let index =
            b"{\n  \"metadata\": {\n    \"total_size\": 84\n  },\n  \"weight_map\": {\n    \
                      \"cls_token\": \"model-00001-of-00002.safetensors\",";
        assert_is(index, "the index of one in several files");
        assert_is(index, "safetensors.torch.load_file(part)");
        assert_is(
            "Entr\u{e9}e absente".as_bytes(),
            "a text in plain characters",
        );
        assert_is(b"\x1f\x8b\x08\0", "compressed by gzip\nhint: `gunzip FILE`");
        assert_is(b"BZh91AY", "compressed by bzip2");
        assert_is(
            &[&[b'a'; 257][..], b"ustar\x0000"].concat(),
            "a tar archive",
        );
        assert_is(b"\x93NUMPY\x01\0", "NumPy arrays, expected tensors");
        assert_is(&[0; 512], "nothing but zeros");
        assert_is(
            b"\x80\x04\x95\x1d\0\0\0",
            "a pickle that torch.save did not write",
        );
        assert_is(
            b"\xfe\xed\xfa\xce",
            "expected the zip archive that torch.save writes",
        );
    }

    #[test]
    fn files_of_pytorch_before_1_6_are_told_by_their_number() {
        // The first bytes that torch.save(…, _use_new_zipfile_serialization=False) writes.
        let two = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
        assert_is(two, "in the format of PyTorch before 1.6");
        // The same with pickle_protocol=4.
        let four = b"\x80\x04\x95\x0d\0\0\0\0\0\0\0\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";
        assert_is(four, "in the format of PyTorch before 1.6");
    }

    #[test]
    fn formats_that_hold_weights_are_told_apart() {
        assert_eq!(Format::of(b"PK\x03\x04"), Ok(Format::Zip));
        let header = [&16_u64.to_le_bytes()[..], b"{\"a\":{}}"].concat();
        assert_eq!(Format::of(&header), Ok(Format::Safetensors));
    }

    #[test]
    fn a_text_cut_within_a_character_is_a_text() {
        let mut head = vec![b'a'; HEAD - 1];
        head.push("\u{e9}".as_bytes()[0]);
        assert_is(&head, "a text in plain characters");
    }
}
