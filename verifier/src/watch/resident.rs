//! Inputs and goldens in memory, with the hashes that they had when they were read: whether the
//! instrument itself was hit.

use std::ops::Range;

use ndarray::{ArrayD, Axis, IxDyn, Slice};
use proto::digest::blake3_bytes;

use crate::samples::batches::check_finite;
use crate::samples::{Recording, Recordings, SamplesError, elements};

/// Bytes that are read at a time.
const WINDOW_BYTES: usize = 64 << 20;

/// Tensors of some samples, in memory.
#[derive(Debug)]
pub struct Resident {
    pub recordings: Recordings,
    /// What this device gives without a fault, one for each golden, or none.
    pub device_golden: Vec<Recording>,
    samples: Range<usize>,
    /// BLAKE3 of the samples of every tensor, when it was read.
    hashes: Vec<String>,
}

impl Resident {
    /// Reads samples, whose files must have the hashes of the bundle; of others there are zeros.
    pub fn read(
        recordings: Recordings,
        device_golden: Vec<Recording>,
        samples: Range<usize>,
    ) -> Result<Self, SamplesError> {
        let read = |recordings: &[Recording]| -> Result<Vec<Recording>, SamplesError> {
            let read = recordings.iter().map(|one| in_memory(one, &samples));
            read.collect()
        };
        let recordings = Recordings {
            inputs: read(&recordings.inputs)?,
            goldens: read(&recordings.goldens)?,
            ..recordings
        };
        let mut resident = Self {
            recordings,
            device_golden,
            samples,
            hashes: vec![],
        };
        resident.hashes = resident.hashed();
        Ok(resident)
    }

    /// The names of the tensors that no longer have their hash.
    pub fn damaged(&self) -> Vec<String> {
        let pairs = self.hashed().into_iter().zip(&self.hashes);
        let tensors = self.tensors().zip(pairs);
        tensors
            .filter(|(_, (found, expected))| found != *expected)
            .map(|(tensor, _)| tensor.name().to_owned())
            .collect()
    }

    /// How many bytes of samples there are.
    pub fn bytes(&self) -> usize {
        let bytes = |tensor: &Recording| 4 * tensor.sample_elements() * self.samples.len();
        self.tensors().map(bytes).sum()
    }

    /// Flips a bit of the first golden's first element of a sample, as a particle would.
    pub fn hit_golden(&mut self, sample: usize, bit: u32) {
        let golden = &self.recordings.goldens[0];
        let mut values = golden.reader().window(0..golden.samples());
        if let Ok(window) = &mut values {
            let mut values = window.view().to_owned();
            let place = sample * golden.sample_elements();
            if let Some(value) = values.iter_mut().nth(place) {
                *value = f32::from_bits(value.to_bits() ^ (1 << bit));
            }
            let changed = Recording::in_memory(golden.name(), values);
            self.recordings.goldens[0] = changed.expect("of the golden's shape");
        }
    }

    fn tensors(&self) -> impl Iterator<Item = &Recording> {
        let Recordings {
            inputs, goldens, ..
        } = &self.recordings;
        inputs.iter().chain(goldens).chain(&self.device_golden)
    }

    fn hashed(&self) -> Vec<String> {
        let hash = |tensor: &Recording| {
            let window = tensor.reader().window(self.samples.clone());
            window.map_or_else(
                |error| error.to_string(),
                |window| blake3_bytes(bytemuck::cast_slice(elements(&window.view()))),
            )
        };
        self.tensors().map(hash).collect()
    }
}

/// A recording's samples in memory, at their places, all finite; its file is read to its end and
/// hashed.
pub fn in_memory(recording: &Recording, samples: &Range<usize>) -> Result<Recording, SamplesError> {
    let mut values: ArrayD<f32> = ArrayD::zeros(IxDyn(recording.shape()));
    let mut reader = recording.reader();
    let at_a_time = (WINDOW_BYTES / (4 * recording.sample_elements()).max(1)).max(1);
    for start in samples.clone().step_by(at_a_time) {
        let part = start..samples.end.min(start + at_a_time);
        let window = reader.window(part.clone())?;
        let mut place = values.slice_axis_mut(Axis(0), Slice::from(part.clone()));
        check_finite(recording.name(), &window.view(), part.start)?;
        place.assign(&window.view());
    }
    reader.finish(|_| true)?;
    Ok(Recording::in_memory(recording.name(), values).expect("an axis of samples"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::of_part::fixtures::echo_recordings;

    #[test]
    fn a_flipped_bit_is_damage_and_reading_again_heals_it() {
        let read = || {
            let recordings = echo_recordings(&[5, 2, 3], |element| element as f32);
            Resident::read(recordings, vec![], 1..4).expect("in memory")
        };
        let mut resident = read();
        assert_eq!((resident.damaged(), resident.bytes()), (vec![], 2 * 3 * 24));
        let window = |resident: &Resident| {
            let window = resident.recordings.goldens[0].reader().window(3..4);
            elements(&window.expect("in memory").view())[0]
        };
        assert_eq!(window(&resident), 18.0);
        resident.hit_golden(3, 31);
        assert_eq!(window(&resident), -18.0);
        assert_eq!(resident.damaged(), ["x"]);
        assert_eq!(read().damaged(), [""; 0]);
    }
}
