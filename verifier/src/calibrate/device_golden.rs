//! What one device computes without a fault, kept to be compared with bit for bit: a flip that a
//! tolerance lets pass is seen by it.
//!
//! `<folder>/<output>.npy` `[samples, …]` float32, and `golden.json`, which says of what setting
//! they are, with their hashes and its own. It holds for exactly that setting: another batch size,
//! library or machine may round differently.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice};
use proto::digest::{FileDigest, blake3_bytes};
use proto::npy::{Npy, NpyError};
use proto::regular_file;
use serde::{Deserialize, Serialize};

use super::setting::Setting;
use crate::samples::outputs::{OutputsError, OutputsFolder, file_name};
use crate::samples::{Recording, SamplesError, elements, sample_of};

/// The file that describes the others.
const DESCRIPTION: &str = "golden.json";
/// `major.minor` of its layout; another major one is refused.
const VERSION: &str = "1.0";

/// The golden of a device, as its file describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceGolden {
    pub setting: Setting,
    /// BLAKE3 of the manifest of the bundle whose samples it is of.
    pub bundle_blake3: String,
    /// First sample and the one after the last.
    pub samples: [usize; 2],
    /// Passes that were run; the first one is kept.
    pub passes: usize,
    /// Samples of later passes with another bit than in the first: 0 in what can be compared with.
    pub differing_samples: usize,
    pub recorded_unix_seconds: u64,
    pub verifier: String,
    /// BLAKE3 of each file.
    pub files: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Description {
    device_golden_version: String,
    /// BLAKE3 of `golden` as JSON without white space.
    blake3: String,
    golden: DeviceGolden,
}

/// Keeps the first pass, and compares later ones with it.
pub struct Recorder {
    folder: Option<OutputsFolder>,
    /// Of every sample of the first pass, all outputs together.
    hashes: Vec<String>,
    first: usize,
    is_first_pass: bool,
    differing: usize,
    error: Option<OutputsError>,
}

/// A golden of a device that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceGoldenError {
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: not the golden of a device: {reason}")]
    Malformed { path: PathBuf, reason: String },
    #[error(
        "{path}: recorded with another setting: {differences}\n\
         hint: `verifier record` with the same flags on this device"
    )]
    Setting { path: PathBuf, differences: String },
    #[error("{path}: recorded of samples {found:?}, but {asked:?} are asked for")]
    Samples {
        path: PathBuf,
        found: Range<usize>,
        asked: Range<usize>,
    },
    #[error(
        "{path}: {samples} samples of later passes had other bits than in the first: nothing can \
         be compared with it bit for bit\n\
         hint: `verifier calibrate` finds the tolerance that such a device needs"
    )]
    DoesNotRepeat { path: PathBuf, samples: usize },
    #[error(transparent)]
    Npy(#[from] NpyError),
    #[error(transparent)]
    Read(#[from] SamplesError),
    #[error("output `{output}`: shape {found:?}, expected {expected:?}")]
    Shape {
        output: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
}

impl Recorder {
    /// Begins the new folder, for some samples.
    pub fn create(
        folder: &Path,
        goldens: &[Recording],
        samples: &Range<usize>,
    ) -> Result<Self, OutputsError> {
        Ok(Self {
            folder: Some(OutputsFolder::create(folder, goldens, samples.len())?),
            hashes: Vec::with_capacity(samples.len()),
            first: samples.start,
            is_first_pass: true,
            differing: 0,
            error: None,
        })
    }

    /// Takes the outputs of a batch, `[batch, …]` each; the samples come in order, pass after pass.
    pub fn take(&mut self, samples: &Range<usize>, outputs: &[ArrayViewD<'_, f32>]) {
        if samples.start == self.first {
            self.is_first_pass = self.hashes.is_empty();
        }
        for (position, sample) in samples.clone().enumerate() {
            let hash = hash_of(outputs, position);
            match self.hashes.get(sample - self.first) {
                Some(first) => self.differing += usize::from(*first != hash),
                None => self.hashes.push(hash),
            }
        }
        if let Some(folder) = self.folder.as_mut().filter(|_| self.is_first_pass)
            && let Err(error) = folder.write(outputs)
        {
            self.folder = None;
            self.error = Some(error);
        }
    }

    /// Samples of later passes with another bit than in the first.
    pub fn differing_samples(&self) -> usize {
        self.differing
    }

    /// Gives the folder its name, with a description that lacks the files alone.
    pub fn finish(self, mut golden: DeviceGolden) -> Result<(), OutputsError> {
        let folder = match (self.folder, self.error) {
            (Some(folder), _) => folder,
            (None, Some(error)) => return Err(error),
            (None, None) => return Ok(()),
        };
        golden.differing_samples = self.differing;
        folder.finish_with(|files| {
            let named = |(name, digest): (String, FileDigest)| (name, digest.blake3);
            golden.files = files.into_iter().map(named).collect();
            let description = Description {
                device_golden_version: VERSION.to_owned(),
                blake3: golden.blake3(),
                golden,
            };
            let json = serde_json::to_vec_pretty(&description).expect("numbers and texts");
            Some((DESCRIPTION, json))
        })
    }
}

impl DeviceGolden {
    /// Reads what a folder says of itself.
    pub fn describe(folder: &Path) -> Result<Self, DeviceGoldenError> {
        let path = folder.join(DESCRIPTION);
        let malformed = |reason: String| DeviceGoldenError::Malformed {
            path: path.clone(),
            reason,
        };
        let bytes = regular_file::read(&path).map_err(|error| DeviceGoldenError::Io {
            path: path.clone(),
            error,
        })?;
        let description: Description =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        let version = &description.device_golden_version;
        if version.split('.').next() != VERSION.split('.').next() {
            return Err(malformed(format!(
                "version {version:?}, expected {VERSION:?}"
            )));
        }
        let golden = description.golden;
        if golden.blake3() != description.blake3 {
            let reason = "its BLAKE3 is not that of its contents: it was changed or damaged";
            return Err(malformed(reason.to_owned()));
        }
        Ok(golden)
    }

    /// Reads the golden of some samples into memory, a recording for each of the bundle's, at the
    /// same places; refuses one of another setting, or of a device that does not repeat.
    pub fn read(
        folder: &Path,
        setting: &Setting,
        goldens: &[Recording],
        samples: &Range<usize>,
    ) -> Result<Vec<Recording>, DeviceGoldenError> {
        let golden = Self::describe(folder)?;
        let path = folder.to_owned();
        let differences = setting.differences(&golden.setting);
        if !differences.is_empty() {
            let differences = differences.join(", ");
            return Err(DeviceGoldenError::Setting { path, differences });
        }
        if golden.differing_samples > 0 {
            let samples = golden.differing_samples;
            return Err(DeviceGoldenError::DoesNotRepeat { path, samples });
        }
        let found = golden.samples[0]..golden.samples[1];
        if samples.start < found.start || samples.end > found.end {
            let asked = samples.clone();
            return Err(DeviceGoldenError::Samples { path, found, asked });
        }
        let read = goldens
            .iter()
            .map(|of_bundle| golden.read_output(folder, of_bundle));
        read.collect()
    }

    fn read_output(
        &self,
        folder: &Path,
        of_bundle: &Recording,
    ) -> Result<Recording, DeviceGoldenError> {
        let name = file_name(of_bundle.name());
        let blake3 = self.files.get(&name);
        let blake3 = blake3.ok_or_else(|| DeviceGoldenError::Malformed {
            path: folder.join(DESCRIPTION),
            reason: format!("it has no {name}"),
        })?;
        let npy: Npy<f32> = Npy::open(&folder.join(&name))?.expecting(blake3);
        let [first, end] = self.samples;
        let expected = [&[end.saturating_sub(first)], of_bundle.sample_shape()].concat();
        if npy.shape() != expected || end > of_bundle.samples() {
            return Err(DeviceGoldenError::Shape {
                output: of_bundle.name().to_owned(),
                found: npy.shape().to_vec(),
                expected,
            });
        }
        let kept = ArrayD::from_shape_vec(IxDyn(&expected), npy.all()?).expect("of that shape");
        let mut values: ArrayD<f32> = ArrayD::zeros(IxDyn(of_bundle.shape()));
        let mut place = values.slice_axis_mut(Axis(0), Slice::from(first..end));
        place.assign(&kept);
        Ok(Recording::in_memory(of_bundle.name(), values).expect("an axis of samples"))
    }

    fn blake3(&self) -> String {
        blake3_bytes(&serde_json::to_vec(self).expect("numbers and texts"))
    }
}

fn hash_of(outputs: &[ArrayViewD<'_, f32>], position: usize) -> String {
    let hash = |output: &ArrayViewD<'_, f32>| {
        blake3_bytes(bytemuck::cast_slice(elements(&sample_of(output, position))))
    };
    outputs.iter().map(hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::of_part::fixtures::recording;

    const NAME: &str = "an engine";

    fn setting(name: &str) -> Setting {
        Setting::of_files("model".to_owned(), "submodel", name)
    }

    /// Two passes over samples 1 to 3; `change` is added to an element of the second.
    fn record(folder: &Path, change: f32) {
        let golden = recording("y", &[5, 2], |element| element as f32);
        let goldens = std::slice::from_ref(&golden);
        let mut recorder = Recorder::create(folder, goldens, &(1..4)).expect("create");
        for pass in 0..2 {
            for batch in [1..3, 3..4] {
                let window = golden.reader().window(batch.clone()).expect("in memory");
                let mut outputs = window.view().to_owned();
                outputs[[0, 0]] += if pass == 1 { change } else { 0.0 };
                recorder.take(&batch, &[outputs.view()]);
            }
        }
        let golden = DeviceGolden {
            setting: setting(NAME),
            bundle_blake3: String::new(),
            samples: [1, 4],
            passes: 2,
            differing_samples: 0,
            recorded_unix_seconds: 0,
            verifier: String::new(),
            files: BTreeMap::new(),
        };
        recorder.finish(golden).expect("finish");
    }

    fn read(folder: &Path, name: &str, samples: Range<usize>) -> Result<Vec<f32>, String> {
        let golden = recording("y", &[5, 2], |_| 0.0);
        let read = DeviceGolden::read(folder, &setting(name), &[golden], &samples);
        let read = read.map_err(|error| error.to_string())?;
        let window = read[0].reader().window(samples).expect("in memory");
        Ok(elements(&window.view()).to_vec())
    }

    #[test]
    fn what_was_recorded_is_read_at_its_place() {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path().join("golden");
        record(&folder, 0.0);
        assert_eq!(read(&folder, NAME, 2..4), Ok(vec![4.0, 5.0, 6.0, 7.0]));
        for (name, samples, told) in [
            ("another engine", 2..4, "another setting: engine_name"),
            (NAME, 0..4, "recorded of samples 1..4"),
        ] {
            let error = read(&folder, name, samples).expect_err("refused");
            assert!(error.contains(told), "{error}");
        }
        let path = folder.join("golden.json");
        let text = std::fs::read_to_string(&path).expect("read");
        std::fs::write(&path, text.replace("\"passes\": 2", "\"passes\": 9")).expect("write");
        let error = read(&folder, NAME, 2..4).expect_err("changed");
        assert!(error.contains("changed or damaged"), "{error}");
    }

    #[test]
    fn a_device_that_does_not_repeat_is_recorded_and_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path().join("golden");
        record(&folder, 1e-3);
        let error = read(&folder, NAME, 2..4).expect_err("other bits");
        assert!(error.starts_with(&folder.display().to_string()), "{error}");
        assert!(error.contains("2 samples of later passes"), "{error}");
    }

    #[test]
    fn a_flipped_byte_of_an_output_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let folder = folder.path().join("golden");
        record(&folder, 0.0);
        let path = folder.join("y.npy");
        let mut bytes = std::fs::read(&path).expect("read");
        *bytes.last_mut().expect("not empty") ^= 1;
        std::fs::write(&path, bytes).expect("write");
        assert!(read(&folder, NAME, 2..4).is_err());
    }
}
