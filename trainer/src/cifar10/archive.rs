//! CIFAR-10 from the official archive of binary files, fetched or lying there.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;

use flate2::read::GzDecoder;
use md5::{Digest as _, Md5};

use super::binary::FILE_BYTES;
use super::download::{Download, DownloadError, Limits};
use super::files::{TEST_FILE, TRAIN_FILES};

pub(super) const ARCHIVE: &str = "cifar-10-binary.tar.gz";

/// Names of the classes, a few bytes.
const CLASSES_FILE: &str = "batches.meta.txt";

/// Where the archive is fetched from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Host<'h> {
    pub(super) url: &'h str,
    /// Of the whole archive.
    pub(super) md5: &'h str,
    pub(super) limits: Limits,
}

/// Why the archive could not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error("MD5 of the download is {found}, expected {expected}")]
    Md5 { found: String, expected: String },
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ArchiveError {
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Self::Download(DownloadError::Slow { .. }))
    }
}

/// Fetches the archive into a file, checks it, and unpacks the files of the data into a folder.
///
/// The file stays if the transfer breaks off, and the next one goes on with it.
pub(super) fn fetch_archive(
    host: Host<'_>,
    partial: &Path,
    folder: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), ArchiveError> {
    if partial.is_symlink() {
        let message = format!(
            "{}: a link, which is not written through",
            partial.display()
        );
        return Err(io::Error::other(message).into());
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(partial)?;
    let had = file.metadata()?.len();
    let mut found = download(host, &mut file, progress);
    if had > 0 && found.as_ref().is_ok_and(|found| found != host.md5) {
        // The beginning may have been of another file.
        file.set_len(0)?;
        found = download(host, &mut file, progress);
    }
    if found.is_ok() || file.metadata()?.len() == 0 {
        fs::remove_file(partial)?; // open as long as it is read
    }
    let found = found?;
    if found != host.md5 {
        let expected = host.md5.to_owned();
        return Err(ArchiveError::Md5 { found, expected });
    }
    Ok(unpack(&file, folder)?)
}

/// Fetches what the file lacks; gives the MD5 of all of it, and the file at its beginning.
fn download(
    host: Host<'_>,
    file: &mut File,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<String, ArchiveError> {
    let download = Download {
        url: host.url,
        file,
        limits: host.limits,
        progress,
    };
    download.run()?;
    file.rewind()?;
    let mut md5 = Md5::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut block)?;
        if length == 0 {
            break;
        }
        md5.update(&block[..length]);
    }
    file.rewind()?;
    let digest = md5.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Unpacks the files of the data, wherever they stand in the archive, into a folder.
pub(super) fn unpack(archive: impl Read, folder: &Path) -> io::Result<()> {
    for_each_file(archive, |name, file| {
        let is_data = TRAIN_FILES.contains(&name) || [TEST_FILE, CLASSES_FILE].contains(&name);
        if is_data {
            let mut whole = file.take(FILE_BYTES as u64 + 1);
            io::copy(&mut whole, &mut File::create(folder.join(name))?)?;
        }
        Ok(())
    })
}

/// Shows the files of a `.tar.gz` one after the other, each by the last part of its name; links
/// are none.
pub(super) fn for_each_file(
    archive: impl Read,
    mut file: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(archive)));
    for entry in tar.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path()?.into_owned();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            file(name, &mut entry)?;
        }
    }
    Ok(())
}
