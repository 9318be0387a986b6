//! Whether files are CIFAR-10's, by the SHA-256 of each.

use std::path::Path;

use proto::digest::sha256_bytes;

use super::binary::read_file;
use super::error::DataError;

/// The files of the official binary archive. Both sources give these bytes.
const SHA256: [(&str, &str); 6] = [
    (
        "data_batch_1.bin",
        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    ),
    (
        "data_batch_2.bin",
        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    ),
    (
        "data_batch_3.bin",
        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    ),
    (
        "data_batch_4.bin",
        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    ),
    (
        "data_batch_5.bin",
        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    ),
    (
        "test_batch.bin",
        "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    ),
];

/// Refuses a folder whose files are absent, short or not CIFAR-10's.
pub fn check_files(folder: &Path) -> Result<(), DataError> {
    SHA256
        .iter()
        .try_for_each(|(name, _)| read_checked(&folder.join(name)).map(drop))
}

/// Reads one of the files; refuses one that is absent, short or not CIFAR-10's. What is given is
/// what was hashed: the file is not opened again.
pub(super) fn read_checked(path: &Path) -> Result<Vec<u8>, DataError> {
    let bytes = read_file(path)?;
    let found = sha256_bytes(&bytes);
    let is_of = |name: &str| path.file_name().is_some_and(|file| file == name);
    match SHA256.iter().find(|(name, _)| is_of(name)) {
        Some((_, expected)) if found == *expected => Ok(bytes),
        Some((_, expected)) => Err(DataError::NotCifar10 {
            path: path.to_owned(),
            found,
            expected,
        }),
        None => unreachable!("the names of the archive's files are constants"),
    }
}
