//! CIFAR-10 as torchvision keeps it: six pickles that Python 2 wrote, each a dict with `labels`, a
//! list of 10,000 numbers, and `data`, a NumPy array uint8 `[10000, 3072]`.
//!
//! The pickles are not run. What is made of them is the official binary files, and is checked as
//! those are: by their SHA-256.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use proto::pickle::{Object, Pickle, Value};
use proto::preprocessing::CIFAR10_CLASSES;
use proto::regular_file;

use super::archive::for_each_file;
use super::binary::{RECORDS_PER_FILE, write_file};
use super::files::{TEST_FILE, TRAIN_FILES};
use super::split::{IMAGE_BYTES, Image};

/// The folder that torchvision unpacks.
pub(super) const PICKLES_FOLDER: &str = "cifar-10-batches-py";
/// The archive that torchvision fetches.
pub(super) const PICKLES_ARCHIVE: &str = "cifar-10-python.tar.gz";

/// Each pickle has 31 MB.
const LARGEST: u64 = 40 << 20;
const PIXELS: usize = RECORDS_PER_FILE * IMAGE_BYTES;

/// The instructions of pickle that a long string of bytes follows, after its length in four bytes.
const LONG_STRINGS: [u8; 2] = [b'T', b'B'];

/// Names of the pickles, and the binary file that has the same images.
fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    let files = TRAIN_FILES.into_iter().chain([TEST_FILE]);
    files.map(|file| (file.trim_end_matches(".bin"), file))
}

/// Whether one of the pickles is in a folder.
pub(super) fn is_one_in(folder: &Path) -> bool {
    files().any(|(pickle, _)| folder.join(pickle).is_file())
}

/// Writes the binary files into a folder, from the pickles that there are in another.
pub(super) fn from_folder(pickles: &Path, folder: &Path) -> io::Result<()> {
    for (pickle, file) in files() {
        let path = pickles.join(pickle);
        if !path.is_file() {
            continue;
        }
        convert(pickle, regular_file::open(&path)?, &folder.join(file))?;
    }
    write_classes(folder)
}

/// Writes the binary files into a folder, from the pickles in an archive.
pub(super) fn from_archive(archive: File, folder: &Path) -> io::Result<()> {
    for_each_file(archive, |name, pickle| {
        match files().find(|(file, _)| *file == name) {
            Some((_, file)) => convert(name, pickle, &folder.join(file)),
            None => Ok(()),
        }
    })?;
    write_classes(folder)
}

fn write_classes(folder: &Path) -> io::Result<()> {
    let text = CIFAR10_CLASSES.join("\n") + "\n";
    std::fs::write(folder.join("batches.meta.txt"), text)
}

fn convert(name: &str, pickle: impl Read, target: &Path) -> io::Result<()> {
    let mut bytes = Vec::new();
    pickle.take(LARGEST).read_to_end(&mut bytes)?;
    let (labels, pixels) =
        images(&bytes).map_err(|message| io::Error::other(format!("`{name}`: {message}")))?;
    let images = pixels.chunks_exact(IMAGE_BYTES);
    let images = images.map(|image| Image::try_from(image).expect("a chunk of an image's length"));
    write_file(target, labels.into_iter().zip(images))
}

/// The labels, and the pixels of all images.
fn images(bytes: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let pickle = Pickle::parse(bytes).map_err(|fault| fault.to_string())?;
    let entries = pickle.dict(pickle.root).unwrap_or_default();
    let mut entries = entries.iter();
    let labels = entries.find_map(|&(key, value)| match key {
        Value::Text("labels") => pickle.object(value),
        _ => None,
    });
    let Some(Object::List(labels)) = labels else {
        return Err("expected a list under `labels`".to_owned());
    };
    let label = |&value: &Value<'_>| match value {
        Value::Int(label @ 0..=9) => Some(label as u8),
        _ => None,
    };
    let labels: Option<Vec<u8>> = labels.iter().map(label).collect();
    let labels = labels
        .filter(|labels| labels.len() == RECORDS_PER_FILE)
        .ok_or("expected 10,000 labels from 0 to 9")?;
    let pixels = string_of(PIXELS, bytes).ok_or("expected an array of 10,000 images")?;
    Ok((labels, pixels))
}

/// The first string of so many bytes. The reader of pickles keeps no contents of arrays, and this
/// one has no other string of that length.
fn string_of(length: usize, pickle: &[u8]) -> Option<&[u8]> {
    let length_bytes = u32::try_from(length).ok()?.to_le_bytes();
    let mut heads = pickle.windows(1 + length_bytes.len());
    let at = heads.position(|head| LONG_STRINGS.contains(&head[0]) && head[1..] == length_bytes)?;
    pickle[at + 1 + length_bytes.len()..].get(..length)
}
