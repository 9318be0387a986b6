//! What real errors did to the class: dumped outputs of wrong samples, and their table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use proto::npy::{Npy, NpyError};

use super::rates::CONFIDENCE;
use crate::campaign::statistics::{Confidence, Interval, wilson};
use crate::compare::{ClassCounts, ClassOutcome};

/// What a dumped output's file is called behind the output's name.
const ACTUAL: &str = "_actual.npy";
/// The table in the folder of a log.
pub const TABLE: &str = "consequences.csv";

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

/// Outputs by what became of the class, in each tier of confidence.
#[derive(Debug, Default)]
pub struct Consequences {
    pub tiers: BTreeMap<i64, ClassCounts>,
    /// Of each sample: wrong batch, sample, tier, outcome.
    pub rows: Vec<(Option<u64>, usize, i64, ClassOutcome)>,
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

impl Consequences {
    pub fn add(&mut self, dumped: &Dumped, tier: i64, outcome: ClassOutcome) {
        self.tiers.entry(tier).or_default().add(outcome);
        self.rows.push((dumped.sdc, dumped.sample, tier, outcome));
    }

    /// A row for each tier: samples, and tolerable, critical and non-finite ones with their shares.
    pub fn table(&self) -> Vec<Vec<String>> {
        let confidence = Confidence::new(CONFIDENCE).expect("a usual one");
        // A tier is here because it has a sample.
        let share = |part: usize, all: usize| {
            let estimate = part as f64 / all as f64;
            let Interval { low, high } = wilson(estimate, all as f64, confidence);
            let percent = |share: f64| format!("{:.1}", 100.0 * share);
            let [estimate, low, high] = [estimate, low, high].map(percent);
            format!("{part} = {estimate} % ({low} to {high})")
        };
        let row = |(tier, counts): (&i64, &ClassCounts)| {
            let ClassCounts {
                tolerable,
                critical,
                non_finite,
            } = *counts;
            let all = tolerable + critical + non_finite;
            let shares = [tolerable, critical, non_finite].map(|part| share(part, all));
            let mut cells = vec![tier.to_string(), all.to_string()];
            cells.extend(shares);
            cells
        };
        self.tiers.iter().map(row).collect()
    }

    /// A line for each sample.
    pub fn csv(&self) -> String {
        let line = |(sdc, sample, tier, outcome): &(Option<u64>, usize, i64, ClassOutcome)| {
            let sdc = sdc.map(|sdc| sdc.to_string()).unwrap_or_default();
            format!("{sdc},{sample},{tier},{}\n", outcome.name())
        };
        let lines: String = self.rows.iter().map(line).collect();
        format!("sdc,sample,tier,outcome\n{lines}")
    }
}

/// The wrong batches in which a class changed, as a log's table has them; `None` without a table.
pub fn critical(log: &Path) -> Option<BTreeSet<u64>> {
    let text = fs::read_to_string(log.join(TABLE)).ok()?;
    let critical = text.lines().filter_map(|line| {
        let (sdc, rest) = line.split_once(',')?;
        let is_critical = rest.ends_with(ClassOutcome::Critical.name());
        sdc.parse().ok().filter(|_| is_critical)
    });
    Some(critical.collect())
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

    #[test]
    fn a_table_has_shares_with_limits_and_is_read_back() {
        let folder = tempfile::tempdir().expect("folder");
        let mut consequences = Consequences::default();
        let mut dumped = Dumped {
            sdc: Some(3),
            sample: 1,
            path: PathBuf::new(),
            row: None,
        };
        consequences.add(&dumped, 0, ClassOutcome::Tolerable);
        consequences.add(&dumped, 0, ClassOutcome::Critical);
        dumped.sdc = Some(4);
        consequences.add(&dumped, 2, ClassOutcome::NonFinite);
        let table = consequences.table();
        assert_eq!(table[0][..2], ["0", "2"]);
        assert_eq!(table[0][3], "1 = 50.0 % (9.5 to 90.5)");
        assert_eq!(critical(folder.path()), None);
        fs::write(folder.path().join(TABLE), consequences.csv()).expect("write");
        assert_eq!(critical(folder.path()), Some(BTreeSet::from([3])));
    }
}
