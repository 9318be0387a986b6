//! The files of the official archive, and where they are.

use std::path::{Path, PathBuf};

use super::error::DataError;

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

/// Refuses a file where a folder is expected; one that is absent is said to be so later.
pub(super) fn check_folder(data: &Path) -> Result<(), DataError> {
    if data.is_file() {
        return Err(DataError::NotFolder(data.to_owned()));
    }
    Ok(())
}

/// Where the files are: in `data` itself or in the folder of the official archive inside it.
pub fn folder(data: &Path) -> PathBuf {
    if data.join(TEST_FILE).is_file() {
        data.to_owned()
    } else {
        data.join(FOLDER)
    }
}
