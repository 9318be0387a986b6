//! What an engine's process has left in its folder of outputs.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::engine::recorded::{Recorded, RecordedError};
use crate::samples::Recording;
use crate::samples::outputs::file_name;

/// Outputs that are not what an engine has to leave.
#[derive(Debug, thiserror::Error)]
pub enum LeftError {
    #[error(
        "it ended with exit status 0 and left no {expected}; it left {found}\n\
         hint: it has to write NAME.npy for every output of the part"
    )]
    Missing { expected: String, found: String },
    #[error("it left {found}, expected {expected} and nothing beside")]
    Extra { found: String, expected: String },
    #[error("it left {file} as {found}, expected a regular file")]
    Kind { file: String, found: &'static str },
    #[error("it left its folder of outputs as {found}, expected the folder that it was given")]
    Folder { found: &'static str },
    #[error("it left {0}")]
    Array(#[from] RecordedError),
    #[error("its folder of outputs: {0}")]
    Io(#[from] io::Error),
}

/// Opens what an engine left: a regular file `NAME.npy` for each golden, float32 `[samples, …]`.
/// `further` are outputs of the model that are not compared and may be there too; names that
/// begin with a dot are the engine's own.
pub fn left(
    folder: &Path,
    goldens: &[Recording],
    further: &[String],
    samples: Range<usize>,
) -> Result<Recorded, LeftError> {
    let kind = fs::symlink_metadata(folder)?.file_type();
    if !kind.is_dir() {
        let found = described(kind);
        return Err(LeftError::Folder { found });
    }
    let found = entries(folder)?;
    let names = goldens.iter().map(|golden| file_name(golden.name()));
    let expected: Vec<String> = names.collect();
    let further: Vec<String> = further.iter().map(|name| file_name(name)).collect();
    for file in &expected {
        match found.iter().find(|(name, _)| *name == **file) {
            None => {
                return Err(LeftError::Missing {
                    expected: file.clone(),
                    found: list(&found),
                });
            }
            Some((_, kind)) if !kind.is_file() => {
                return Err(LeftError::Kind {
                    file: file.clone(),
                    found: described(*kind),
                });
            }
            Some(_) => {}
        }
    }
    let is_known = |name: &OsString| {
        let mut known = expected.iter().chain(&further);
        known.any(|file| *name == **file)
    };
    if let Some((name, _)) = found.iter().find(|(name, _)| !is_known(name)) {
        return Err(LeftError::Extra {
            found: name.to_string_lossy().into_owned(),
            expected: expected.join(", "),
        });
    }
    Ok(Recorded::exact(folder, goldens, samples)?)
}

/// By name; links are not followed.
fn entries(folder: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push((entry.file_name(), entry.file_type()?));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

fn list(found: &[(OsString, FileType)]) -> String {
    let names = found.iter().map(|(name, _)| name.to_string_lossy());
    let names: Vec<_> = names.collect();
    match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.join(", "),
    }
}

fn described(kind: FileType) -> &'static str {
    match (kind.is_symlink(), kind.is_dir(), kind.is_file()) {
        (true, ..) => "a symbolic link",
        (_, true, _) => "a folder",
        (.., true) => "a file",
        _ => "a pipe or a device",
    }
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;
    use proto::npy::NpyWriter;

    use super::*;

    fn golden() -> Vec<Recording> {
        let values = ArrayD::zeros(vec![3, 2]);
        vec![Recording::in_memory("y", values).expect("two axes")]
    }

    fn write(folder: &Path, name: &str, shape: &[usize]) {
        let mut writer = NpyWriter::<f32>::create(&folder.join(name), shape).expect("create");
        let values = vec![0.5; shape.iter().product()];
        writer.write(&values).expect("write");
        writer.finish().expect("finish");
    }

    /// What is said of a folder that is made so.
    fn refused(make: impl FnOnce(&Path)) -> String {
        let folder = tempfile::tempdir().expect("folder");
        make(folder.path());
        let refused = left(folder.path(), &golden(), &[], 0..3).expect_err("not as it must be");
        refused.to_string()
    }

    #[test]
    fn a_whole_array_under_the_outputs_name_is_taken() {
        let folder = tempfile::tempdir().expect("folder");
        write(folder.path(), "y.npy", &[3, 2]);
        write(folder.path(), ".y.partial", &[1, 2]);
        left(folder.path(), &golden(), &[], 0..3).expect("as it must be");
        write(folder.path(), "z.npy", &[1]);
        let further = ["z".to_owned()];
        left(folder.path(), &golden(), &further, 0..3).expect("the model has it");
        let extra = left(folder.path(), &golden(), &[], 0..3).expect_err("one too many");
        assert_eq!(
            extra.to_string(),
            "it left z.npy, expected y.npy and nothing beside"
        );
    }

    #[test]
    fn anything_else_is_refused_with_what_was_expected_and_found() {
        let missing = refused(|folder| write(folder, "x.npy", &[3, 2]));
        assert!(
            missing.contains("left no y.npy; it left x.npy"),
            "{missing}"
        );
        assert!(refused(|_| {}).contains("left no y.npy; it left nothing"));
        let shape = refused(|folder| write(folder, "y.npy", &[2, 3]));
        let expected = "it left y.npy: expected float32 [3, 2], found float32 [2, 3]";
        assert_eq!(shape, expected);
        let samples = refused(|folder| write(folder, "y.npy", &[4, 2]));
        assert!(samples.contains("found float32 [4, 2]"), "{samples}");
        let folder = refused(|folder| fs::create_dir(folder.join("y.npy")).expect("make"));
        assert_eq!(folder, "it left y.npy as a folder, expected a regular file");
        let cut = refused(|folder| {
            write(folder, "y.npy", &[3, 2]);
            let whole = fs::read(folder.join("y.npy")).expect("read");
            fs::write(folder.join("y.npy"), &whole[..whole.len() - 1]).expect("write");
        });
        assert!(
            cut.contains("y.npy: 23 bytes of data, but 24 bytes"),
            "{cut}"
        );
        let double = refused(|folder| {
            let mut writer = NpyWriter::<f64>::create(&folder.join("y.npy"), &[3, 2]);
            let writer = writer.as_mut().expect("create");
            writer.write(&[0.0; 6]).expect("write");
        });
        assert!(double.contains("found float64 [3, 2]"), "{double}");
        let text = refused(|folder| fs::write(folder.join("y.npy"), "0.5").expect("write"));
        assert!(text.contains("y.npy: not an NPY file"), "{text}");
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_not_followed() {
        let link = refused(|folder| {
            write(folder, ".other", &[3, 2]);
            std::os::unix::fs::symlink(".other", folder.join("y.npy")).expect("link");
        });
        assert!(link.contains("y.npy as a symbolic link"), "{link}");

        let folder = tempfile::tempdir().expect("folder");
        write(folder.path(), "y.npy", &[3, 2]);
        let link = folder.path().join(".outputs");
        std::os::unix::fs::symlink(folder.path(), &link).expect("link");
        let refused = left(&link, &golden(), &[], 0..3).expect_err("another folder");
        let expected = "its folder of outputs as a symbolic link";
        assert!(refused.to_string().contains(expected), "{refused}");
    }
}
