//! CIFAR-10: 60,000 colour images of 32×32 pixels in ten classes, from the official binary files.

mod archive;
mod binary;
mod check;
mod error;
mod fetch;
mod files;
mod npm;
mod split;

use std::path::Path;

pub use binary::{RECORD_BYTES, RECORDS_PER_FILE, load_file};
pub use check::check_files;
pub use error::DataError;
pub use fetch::{FetchError, Source, fetch};
pub use files::{FOLDER, TEST_FILE, TRAIN_FILES, folder};
pub use split::{IMAGE_BYTES, Image, Split};

/// Loads the 50,000 training images; refuses files that are not CIFAR-10's.
pub fn load_train(data: &Path) -> Result<Split, DataError> {
    let folder = files::folder(data);
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
    let folder = files::folder(data);
    check::check_file(&folder, TEST_FILE)?;
    load_file(&folder.join(TEST_FILE), &mut split)?;
    Ok(split)
}
