//! CIFAR-10: 60,000 colour images of 32×32 pixels in ten classes, from the official binary files.

mod archive;
mod binary;
mod check;
mod download;
mod error;
mod fetch;
mod files;
mod local;
mod npm;
mod python;
mod split;

use std::path::Path;

pub use binary::{RECORD_BYTES, RECORDS_PER_FILE};
pub use check::check_files;
pub use error::DataError;
pub use fetch::{FetchError, Source, Step, fetch};
pub use files::{FOLDER, TEST_FILE, TRAIN_FILES, folder};
pub use split::{IMAGE_BYTES, Image, Split};

/// Loads the 50,000 training images; refuses files that are not CIFAR-10's.
pub fn load_train(data: &Path) -> Result<Split, DataError> {
    load(data, &TRAIN_FILES)
}

/// Loads the 10,000 test images; refuses a file that is not CIFAR-10's.
pub fn load_test(data: &Path) -> Result<Split, DataError> {
    load(data, &[TEST_FILE])
}

fn load(data: &Path, files: &[&str]) -> Result<Split, DataError> {
    files::check_folder(data)?;
    let folder = files::folder(data);
    let mut split = Split::default();
    for file in files {
        let path = folder.join(file);
        let bytes = check::read_checked(&path)?;
        binary::append(&path, &bytes, &mut split)?;
    }
    Ok(split)
}
