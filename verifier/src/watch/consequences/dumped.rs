//! Outputs of wrong samples in files: the dumps of a watch or of a check, and arrays of others.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use proto::npy::{Npy, NpyError};

/// What a dumped output's file is called behind the output's name.
const ACTUAL: &str = "_actual.npy";

/// An output of a wrong sample, in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dumped {
    /// Which wrong batch of a watch, if it is of one.
    pub sdc: Option<u64>,
    /// The sample's row in the bundle.
    pub sample: usize,
    pub path: PathBuf,
    /// Which row of the file; the file itself where it holds one sample.
    pub row: Option<usize>,
}

/// Dumped outputs that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DumpedError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Npy(#[from] NpyError),
    #[error("{path}: shape {found:?}, expected {expected:?}")]
    Shape {
        path: PathBuf,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("{path}: {found} sample numbers for {expected} outputs")]
    Numbers {
        path: PathBuf,
        found: usize,
        expected: usize,
    },
    #[error("{path}: {number} is no sample of the bundle, which has {samples}")]
    Sample {
        path: PathBuf,
        number: i64,
        samples: usize,
    },
}

/// The dumps of a watch's log, or below any folder of `check --dump-faulty`, of one output.
pub fn find(folder: &Path, output: &str) -> Result<Vec<Dumped>, DumpedError> {
    let mut found = Vec::new();
    walk(folder, &format!("{output}{ACTUAL}"), None, 4, &mut found)?;
    found.sort();
    Ok(found)
}

/// Folders so deep at most.
fn walk(
    folder: &Path,
    file: &str,
    sdc: Option<u64>,
    deep: usize,
    found: &mut Vec<Dumped>,
) -> Result<(), DumpedError> {
    let at = |error| DumpedError::Io {
        path: folder.to_owned(),
        error,
    };
    for entry in fs::read_dir(folder).map_err(at)? {
        let entry = entry.map_err(at)?;
        if !entry.file_type().map_err(at)?.is_dir() || deep == 0 {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name
            .strip_prefix("sdc-")
            .and_then(|number| number.parse().ok());
        let sample = name.strip_prefix("sample_");
        let sample = sample.and_then(|rest| rest.split('_').next()?.parse().ok());
        let path = entry.path().join(file);
        match sample {
            Some(sample) if path.is_file() => found.push(Dumped {
                sdc,
                sample,
                path,
                row: None,
            }),
            _ => walk(&entry.path(), file, number.or(sdc), deep - 1, found)?,
        }
    }
    Ok(())
}

/// Outputs `[n, …]` of others, and `[n]` numbers of their samples.
pub fn of_files(
    outputs: &Path,
    numbers: &Path,
    samples: usize,
) -> Result<Vec<Dumped>, DumpedError> {
    let rows = Npy::<f32>::open(outputs)?.rows_len();
    let read = Npy::<i64>::open(numbers)?.all()?;
    if read.len() != rows {
        return Err(DumpedError::Numbers {
            path: numbers.to_owned(),
            found: read.len(),
            expected: rows,
        });
    }
    let of_row = |(row, &number): (usize, &i64)| {
        let sample = usize::try_from(number)
            .ok()
            .filter(|&sample| sample < samples);
        Ok(Dumped {
            sdc: None,
            sample: sample.ok_or_else(|| DumpedError::Sample {
                path: numbers.to_owned(),
                number,
                samples,
            })?,
            path: outputs.to_owned(),
            row: Some(row),
        })
    };
    read.iter().enumerate().map(of_row).collect()
}

impl Dumped {
    /// The output, of the shape of a sample.
    pub fn read(&self, shape: &[usize]) -> Result<ArrayD<f32>, DumpedError> {
        let npy = Npy::<f32>::open(&self.path)?;
        let found = &npy.shape()[usize::from(self.row.is_some())..];
        if found != shape {
            return Err(DumpedError::Shape {
                path: self.path.clone(),
                found: found.to_vec(),
                expected: shape.to_vec(),
            });
        }
        let elements = match self.row {
            None => npy.all()?,
            Some(row) => npy.rows(row..row + 1)?.to_vec(),
        };
        Ok(ArrayD::from_shape_vec(shape, elements).expect("of that shape"))
    }
}

#[cfg(test)]
mod tests {
    use proto::npy::{Element, NpyWriter};

    use super::*;

    fn write<T: Element>(path: &Path, shape: &[usize], values: &[T]) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("make");
        let mut writer = NpyWriter::create(path, shape).expect("create");
        writer.write(values).expect("write");
        writer.finish().expect("finish");
    }

    #[test]
    fn dumps_of_a_watch_of_a_check_and_of_others_are_found() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        write(
            &at("dumps/sdc-000012/sample_000150/y_actual.npy"),
            &[2],
            &[1f32, 2.0],
        );
        write(
            &at("dumps/sdc-000012/sample_000150/z_actual.npy"),
            &[2],
            &[1f32, 2.0],
        );
        write(
            &at("dumps/sample_000007_run_2/y_actual.npy"),
            &[2],
            &[3f32, 4.0],
        );
        let found = find(folder.path(), "y").expect("found");
        let of: Vec<_> = found
            .iter()
            .map(|found| (found.sdc, found.sample))
            .collect();
        assert_eq!(of, [(None, 7), (Some(12), 150)]);
        let read = found[1].read(&[2]).expect("read");
        assert_eq!(read.as_slice(), Some(&[1.0, 2.0][..]));
        assert!(found[1].read(&[3]).is_err());

        write(&at("others.npy"), &[2, 2], &[1f32, 2.0, 3.0, 4.0]);
        write(&at("numbers.npy"), &[2], &[5i64, 3]);
        let found = of_files(&at("others.npy"), &at("numbers.npy"), 6).expect("found");
        assert_eq!((found[1].sample, found[1].row), (3, Some(1)));
        assert_eq!(
            found[1].read(&[2]).expect("read").as_slice(),
            Some(&[3.0, 4.0][..])
        );
        let error = of_files(&at("others.npy"), &at("numbers.npy"), 5).expect_err("5 samples");
        assert!(error.to_string().contains("5 is no sample"), "{error}");
    }
}
