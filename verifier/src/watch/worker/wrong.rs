//! A wrong batch: which samples, which elements, their pattern, and their tensors on the disk.

use std::ops::Range;
use std::path::PathBuf;

use ndarray::ArrayViewD;
use proto::digest::StreamHash;

use crate::check::dump::Dump;
use crate::check::{FaultyOutput, FaultyTensors};
use crate::compare::pattern::Extent;
use crate::compare::{ElementPair, OtherBits, Tolerance, largest, other_bits};
use crate::samples::{Recording, SampleInfo, elements};
use crate::watch::log::event::{Faulty, Sdc};

/// Samples that are described, and elements of each that are listed; the dump has all of them.
const DESCRIBED: usize = 8;
const LISTED: usize = 24;
/// Samples whose tensors are kept.
const DUMPED: usize = 16;
/// Wrong elements of each sample that its signature is of.
const SIGNED: usize = 1024;
/// Hexadecimal digits of a signature.
const SIGNATURE: usize = 16;

/// What was wrong in a batch, so far.
pub(super) struct Wrong {
    batch: Range<usize>,
    pub(super) seconds: f64,
    pub(super) elements_of_batch: usize,
    last_faulty: Option<usize>,
    faulty_samples: usize,
    faulty_elements: usize,
    non_finite_elements: usize,
    /// With another bit than the golden of the device.
    differing: Vec<usize>,
    described: Vec<Faulty>,
    /// Of wrong elements, their places and bits, in order.
    signature: StreamHash,
    /// Where tensors are kept, and those that are.
    folder: Option<PathBuf>,
    dump: Option<Dump>,
}

impl Wrong {
    /// Of nothing yet; tensors are kept in this new folder.
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            batch: 0..0,
            seconds: 0.0,
            elements_of_batch: 0,
            last_faulty: None,
            faulty_samples: 0,
            faulty_elements: 0,
            non_finite_elements: 0,
            differing: vec![],
            described: vec![],
            signature: StreamHash::default(),
            folder,
            dump: None,
        }
    }

    pub(super) fn is_any(&self) -> bool {
        self.faulty_samples > 0 || !self.differing.is_empty()
    }

    pub(super) fn batch(&self) -> Range<usize> {
        self.batch.clone()
    }

    /// Another batch, which was computed.
    pub(super) fn begin(&mut self, samples: &Range<usize>) {
        self.batch = samples.clone();
    }

    /// Compares outputs `[batch, …]` with what this device gave without a fault, bit for bit.
    pub(super) fn compare_bits(
        &mut self,
        samples: &Range<usize>,
        outputs: &[ArrayViewD<'_, f32>],
        goldens: &[Recording],
        info: &[SampleInfo],
    ) {
        self.elements_of_batch = outputs.iter().map(|output| output.len()).sum();
        let compared = other_bits(samples, outputs, goldens, &mut |other| {
            self.add_other_bits(other, info[other.sample]);
        });
        compared.expect("the golden of the device is in memory");
    }

    fn add_other_bits(&mut self, other: &OtherBits<'_>, info: SampleInfo) {
        if self.differing.last() != Some(&other.sample) {
            self.differing.push(other.sample);
        }
        let is_wrong = |y: f32, g: f32| y.to_bits() != g.to_bits();
        let pair = (&other.golden, &other.actual);
        let described = self.described(other.output, other.sample, info, pair, is_wrong);
        if self.described.len() < DESCRIBED {
            self.described.push(Faulty {
                pattern: None,
                ..described
            });
        }
    }

    /// Takes a sample with an element outside the tolerance.
    pub(super) fn add(
        &mut self,
        faulty: &FaultyOutput,
        tensors: &FaultyTensors<'_>,
        tolerance: Tolerance,
    ) {
        self.faulty_samples += usize::from(self.last_faulty != Some(faulty.sample));
        self.last_faulty = Some(faulty.sample);
        self.faulty_elements += faulty.mismatched_elements + faulty.non_finite_elements;
        self.non_finite_elements += faulty.non_finite_elements;
        // It is described by its elements outside, also where it differs in other bits.
        let is_same =
            |other: &Faulty| other.sample == faulty.sample && other.output == faulty.output;
        self.described.retain(|other| !is_same(other));
        let pair = (&tensors.golden, &tensors.actual);
        let is_wrong = |y: f32, g: f32| !tolerance.is_close(y, g);
        let described = self.described(&faulty.output, faulty.sample, faulty.info, pair, is_wrong);
        self.keep(described);
        if self.faulty_samples > DUMPED {
            return;
        }
        if let Some(folder) = self.folder.take() {
            self.dump = Dump::new(&folder, tolerance).ok();
        }
        // A disk that is full, say, takes nothing from the event itself.
        if let Some(dump) = &mut self.dump
            && dump.keep(faulty, tensors).is_err()
        {
            self.dump = None;
        }
    }

    /// Keeps the description of a sample with elements outside, before any that differs in bits
    /// alone.
    fn keep(&mut self, described: Faulty) {
        let is_outside = |other: &Faulty| other.pattern.is_some();
        let outside = self.described.iter().take_while(|own| is_outside(own));
        let place = outside.count();
        if place < DESCRIBED {
            self.described.insert(place, described);
            self.described.truncate(DESCRIBED);
        }
    }

    /// A sample by its wrong elements, which the signature takes in too.
    fn described(
        &mut self,
        output: &str,
        sample: usize,
        info: SampleInfo,
        (golden, actual): (&ArrayViewD<'_, f32>, &ArrayViewD<'_, f32>),
        is_wrong: impl Fn(f32, f32) -> bool,
    ) -> Faulty {
        let shape = golden.shape();
        let width = shape.last().copied().unwrap_or(1).max(1);
        let (mut extent, mut listed, mut count) = (Extent::new(), vec![], 0);
        let pairs = elements(actual).iter().zip(elements(golden)).enumerate();
        for (element, (&actual, &golden)) in pairs.filter(|(_, (y, g))| is_wrong(**y, **g)) {
            count += 1;
            extent.add(element / width, element % width);
            if listed.len() < LISTED {
                let index = largest::index_of(sample, element, shape);
                listed.push(ElementPair::new(index, golden, actual));
            }
            if count <= SIGNED {
                let place = [sample as u64, element as u64, u64::from(actual.to_bits())];
                self.signature.update(bytemuck::cast_slice(&place));
            }
        }
        Faulty {
            sdc: 0,
            sample,
            sample_index: info.sample_index,
            tier: info.tier,
            confidence: info.confidence,
            output: output.to_owned(),
            elements: count,
            pattern: extent.pattern(),
            listed,
        }
    }

    /// The event, its samples, and their tensors, which are still to be given their place.
    pub(super) fn told(
        self,
        number: u64,
        worker: u64,
        pass: u64,
    ) -> (Sdc, Vec<Faulty>, Option<Dump>) {
        let sdc = Sdc {
            number,
            worker,
            pass,
            batch: [self.batch.start, self.batch.end],
            faulty_samples: self.faulty_samples,
            faulty_elements: self.faulty_elements,
            non_finite_elements: self.non_finite_elements,
            differing_samples: self.differing.len(),
            signature: self.signature.finish()[..SIGNATURE].to_owned(),
            seconds: self.seconds,
            noted: None,
        };
        let mut described = self.described;
        for faulty in &mut described {
            faulty.sdc = number;
        }
        (sdc, described, self.dump)
    }
}
