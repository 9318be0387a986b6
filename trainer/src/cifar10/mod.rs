//! CIFAR-10: 60,000 colour images of 32×32 pixels in ten classes, from the official binary files.

mod binary;
mod check;
mod fetch;

use std::path::{Path, PathBuf};

pub use binary::{RECORD_BYTES, RECORDS_PER_FILE, load_file};
pub use check::check_files;
pub use fetch::{FetchError, Source, fetch};

/// The folder of the official archive.
pub const FOLDER: &str = "cifar-10-batches-bin";
/// The files of the training split, in order.
pub const TRAIN_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
/// The file of the test split.
pub const TEST_FILE: &str = "test_batch.bin";

/// Bytes of one image: the planes R, G, B, each 32×32, row-major.
pub const IMAGE_BYTES: usize = 3 * 32 * 32;

/// One image's pixels, `[3, 32, 32]`.
pub type Image = [u8; IMAGE_BYTES];

/// Images and their labels, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

/// Why the data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file is absent.
    #[error(
        "{0}: no such file\nhint: `trainer data --data DIR` fetches CIFAR-10 into an empty DIR; --data names a folder that has it"
    )]
    Missing(PathBuf),
    /// A file cannot be read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is too short or too long.
    #[error(
        "{path}: {found} bytes, expected {expected} (10,000 records of 3,073 bytes)\n\
         hint: remove its folder and run `trainer data` again"
    )]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        found: u64,
        /// Bytes expected.
        expected: u64,
    },
    /// A label is no class.
    #[error("{path}: record {record} has label {label}, expected 0 to 9")]
    Label {
        /// The file.
        path: PathBuf,
        /// The record, from 0.
        record: usize,
        /// Its label.
        label: u8,
    },
    /// A file is not that of the official archive.
    #[error(
        "{path}: SHA-256 is {found}, expected {expected}: these are not CIFAR-10's images\n\
         hint: remove its folder and run `trainer data` again"
    )]
    NotCifar10 {
        /// The file.
        path: PathBuf,
        /// Its hash.
        found: String,
        /// The hash of the official file.
        expected: &'static str,
    },
}

impl Split {
    /// Images in the split.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image.
    pub fn image(&self, index: usize) -> &Image {
        let start = index * IMAGE_BYTES;
        self.pixels[start..start + IMAGE_BYTES]
            .try_into()
            .expect("a slice of an image's length")
    }

    /// The pixels of all images, `[images, 3, 32, 32]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The class of one image, 0 to 9.
    pub fn label(&self, index: usize) -> u8 {
        self.labels[index]
    }

    /// All labels.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Keeps the first `count` images.
    pub fn truncate(&mut self, count: usize) {
        self.labels.truncate(count);
        self.pixels.truncate(count * IMAGE_BYTES);
    }

    /// Adds an image.
    pub fn push(&mut self, image: &Image, label: u8) {
        self.pixels.extend_from_slice(image);
        self.labels.push(label);
    }
}

/// Where the files are: in `data` itself or in the folder of the official archive inside it.
pub fn folder(data: &Path) -> PathBuf {
    if data.join(TEST_FILE).is_file() {
        data.to_owned()
    } else {
        data.join(FOLDER)
    }
}

/// Loads the 50,000 training images; refuses files that are not CIFAR-10's.
pub fn load_train(data: &Path) -> Result<Split, DataError> {
    let folder = folder(data);
    let mut split = Split::default();
    for file in TRAIN_FILES {
        check::check_file(&folder, file)?;
        load_file(&folder.join(file), &mut split)?;
    }
    Ok(split)
}

/// Loads the 10,000 test images; refuses a file that is not CIFAR-10's.
pub fn load_test(data: &Path) -> Result<Split, DataError> {
    let mut split = Split::default();
    let folder = folder(data);
    check::check_file(&folder, TEST_FILE)?;
    load_file(&folder.join(TEST_FILE), &mut split)?;
    Ok(split)
}
