//! What a check came to, as its record has it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::device_golden::DeviceGoldenResult;
use super::outcome::{FaultOutcome, FaultResult};
use crate::compare::{
    ClassChange, ClassCounts, ElementPair, Histogram, Largest, Pattern, SampleComparison, Top1,
};
use crate::inject::Parameters;
use crate::samples::{Origin, Recordings, SampleInfo};

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CheckResult")]
pub struct CheckResult {
    /// Why not all samples were compared; absent when all were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    /// Where the recorded tensors come from.
    pub recorded_in: Origin,
    /// Outputs of the part that were not compared, since the bundle has no golden of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_golden: Vec<String>,
    /// Samples compared.
    pub samples: usize,
    /// Samples with an element that is not equal to the golden, in the first run; absent where no
    /// bits are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differing_samples: Option<usize>,
    /// Samples with an element outside.
    pub faulty_samples: usize,
    /// All outputs together.
    #[serde(flatten)]
    pub total: OutputResult,
    /// Each output of the model, over all samples and runs.
    pub outputs: Vec<OutputResult>,
    /// Whether runs repeat bit for bit, if several of each batch were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeats>,
    /// How they compare bit for bit with the golden of the device, if one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_golden: Option<DeviceGoldenResult>,
    /// The faults and what became of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultResult>,
    /// Samples with an element outside and no fault in them; with a weight fault, there is one in
    /// every sample.
    pub flagged_without_fault: usize,
    /// Every output of a sample with an element outside, in order; one that later runs do not
    /// repeat may come again.
    pub faulty: Vec<FaultyOutput>,
    /// What faulty outputs did to the class, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<ClassCounts>,
    /// Why it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes_unknown: Option<String>,
    /// How many classes are right, of the part's own logits, or of those that `tail` gives for its
    /// outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top1: Option<Top1>,
    /// Where the time went.
    pub seconds: Seconds,
}

/// How one output of the model compares, or all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputResult {
    /// Its name; absent for all of them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Elements compared.
    pub elements: usize,
    /// What bits show; absent where the numbers came as decimal text.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<BitsResult>,
    /// Elements outside the tolerance, both sides finite.
    pub mismatched_elements: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite_elements: usize,
    /// Largest absolute error over pairs of finite numbers.
    pub max_abs_error: Largest<f64>,
    /// Sizes of all errors, where a report wants them; absent for all outputs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
}

/// How the bits of an output compare, or of all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BitsResult {
    /// Elements not equal to the golden.
    pub differing_elements: usize,
    /// Largest ULP distance over pairs of finite numbers.
    pub max_ulp: Largest<u32>,
}

/// An output of a sample with at least one element outside the tolerance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultyOutput {
    /// The sample's row in the bundle.
    pub sample: usize,
    #[serde(flatten)]
    pub info: SampleInfo,
    /// In which run of its batch, from 0.
    pub run: usize,
    /// The output's name.
    pub output: String,
    /// Elements outside, both sides finite.
    pub mismatched_elements: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite_elements: usize,
    /// The shape that the elements outside make.
    pub pattern: Pattern,
    /// The first element outside.
    pub first: ElementPair,
    /// The element that is furthest off: a non-finite one before any finite one.
    pub worst: ElementPair,
    /// What it did to the sample's class, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassChange>,
}

/// Whether the runs of a batch gave the same bits. Runs that did not take place are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repeats {
    /// Every batch that was begun was run at least so often.
    pub runs: usize,
    /// Runs of all batches together.
    pub total_runs: usize,
    /// Samples of later runs with another bit than in the first.
    pub differing_samples: usize,
    /// Elements of later runs with another bit than in the first.
    pub differing_elements: usize,
    /// Largest absolute difference between a later run and the first, over finite numbers.
    pub largest_difference: f64,
}

/// Why a check ended before its last sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// A signal.
    Interrupted,
    /// A faulty batch, where asked to end with the first.
    FailFast,
}

/// Where the time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seconds {
    /// Reading and hashing the recorded tensors, and looking for input values that are not finite.
    pub reading: f64,
    /// In the engine.
    pub running: f64,
    /// Comparing.
    pub comparing: f64,
}

impl CheckResult {
    /// Says of every fault in a weight what the element is called in the graph and in PyTorch.
    pub fn name_weights(&mut self, parameters: &Parameters) {
        for fault in &mut self.faults {
            fault.weight = parameters.element(&fault.fault);
        }
    }

    /// Of nothing yet.
    pub(super) fn new(recordings: &Recordings) -> Self {
        let outputs = recordings.goldens.iter().map(|golden| OutputResult {
            name: Some(golden.name().to_owned()),
            ..OutputResult::default()
        });
        Self {
            stopped: None,
            recorded_in: recordings.origin,
            without_golden: recordings.without_golden.clone(),
            samples: 0,
            differing_samples: Some(0),
            faulty_samples: 0,
            total: OutputResult::default(),
            outputs: outputs.collect(),
            repeats: None,
            device_golden: None,
            faults: vec![],
            flagged_without_fault: 0,
            faulty: vec![],
            classes: None,
            classes_unknown: None,
            top1: None,
            seconds: Seconds::default(),
        }
    }

    /// Sums up what was compared.
    pub(super) fn sum_up(&mut self) {
        self.repeats = self.repeats.filter(|repeats| repeats.total_runs > 0);
        self.total = OutputResult::default();
        for output in &self.outputs {
            self.total.merge(output);
        }
        let faulty: BTreeSet<usize> = self.faulty.iter().map(|output| output.sample).collect();
        self.faulty_samples = faulty.len();
        let has_fault = |sample: usize| {
            let mut faults = self.faults.iter().map(|result| &result.fault);
            faults.any(|fault| fault.sample().is_none_or(|own| own == sample))
        };
        self.flagged_without_fault = faulty.iter().filter(|&&sample| !has_fault(sample)).count();
        self.count_classes();
    }

    /// Notes what the faulty outputs did to the class, in their order.
    pub fn add_classes(&mut self, changes: Vec<Option<ClassChange>>) {
        for (faulty, change) in self.faulty.iter_mut().zip(changes) {
            faulty.class = change;
        }
        self.count_classes();
    }

    /// What became of the class of a faulty output.
    pub fn class_of(&self, output: &FaultyOutput) -> Option<ClassChange> {
        let key = |faulty: &FaultyOutput| (faulty.sample, faulty.run);
        let mut faulty = self.faulty.iter();
        let same =
            |faulty: &&FaultyOutput| key(faulty) == key(output) && faulty.output == output.output;
        faulty.find(same)?.class
    }

    fn count_classes(&mut self) {
        self.classes = None;
        for change in self.faulty.iter().filter_map(|faulty| faulty.class) {
            self.classes.get_or_insert_default().add(change.outcome);
        }
    }

    /// Leaves out what bits show: those of numbers that came as decimal text are not the bits that
    /// were computed.
    pub fn without_bits(&mut self) {
        self.differing_samples = None;
        self.total.bits = None;
        self.outputs
            .iter_mut()
            .for_each(|output| output.bits = None);
        for faulty in &mut self.faulty {
            faulty.first.xor = None;
            faulty.worst.xor = None;
        }
    }

    /// How many faults came to this.
    pub fn faults_that_are(&self, outcome: FaultOutcome) -> usize {
        let faults = self.faults.iter();
        faults.filter(|fault| fault.outcome == outcome).count()
    }

    /// Samples in a second, with reading and comparing.
    pub fn samples_per_second(&self) -> f64 {
        self.samples as f64 / self.seconds.total()
    }

    /// Whether nothing but bits within the tolerance is wrong.
    pub fn has_other_bits_alone(&self) -> bool {
        let device = self.device_golden.as_ref();
        self.faulty.is_empty() && device.is_some_and(|device| !device.is_pass())
    }

    /// Whether everything was compared and within the tolerance. Nothing compared is not a pass.
    pub fn is_pass(&self) -> bool {
        let device = self.device_golden.as_ref();
        let has_same_bits = device.is_none_or(DeviceGoldenResult::is_pass);
        self.samples > 0 && self.faulty.is_empty() && self.stopped.is_none() && has_same_bits
    }
}

impl OutputResult {
    /// Adds a sample of `elements` elements, whose axes are `shape`.
    pub fn add(&mut self, sample: usize, shape: &[usize], comparison: &SampleComparison) {
        self.elements += shape.iter().product::<usize>();
        self.raise(sample, shape, comparison);
    }

    /// Adds what a sample shows, but does not count it again.
    pub fn raise(&mut self, sample: usize, shape: &[usize], comparison: &SampleComparison) {
        self.mismatched_elements += comparison.mismatches;
        self.non_finite_elements += comparison.non_finite;
        self.max_abs_error
            .raise(comparison.max_abs_error, sample, shape);
        let bits = self.bits.get_or_insert_default();
        bits.differing_elements += comparison.differing;
        bits.max_ulp.raise(comparison.max_ulp, sample, shape);
    }

    /// Adds another output; an index is that of the output it is in.
    pub fn merge(&mut self, other: &Self) {
        self.elements += other.elements;
        self.mismatched_elements += other.mismatched_elements;
        self.non_finite_elements += other.non_finite_elements;
        self.max_abs_error.merge(&other.max_abs_error);
        if let Some(other) = &other.bits {
            let bits = self.bits.get_or_insert_default();
            bits.differing_elements += other.differing_elements;
            bits.max_ulp.merge(&other.max_ulp);
        }
    }

    /// Elements outside the tolerance.
    pub fn outside(&self) -> usize {
        self.mismatched_elements + self.non_finite_elements
    }
}

impl Repeats {
    /// Takes a batch that was run so often.
    pub(super) fn add_batch(&mut self, runs: usize) {
        self.runs = match self.total_runs {
            0 => runs,
            _ => self.runs.min(runs),
        };
        self.total_runs += runs;
    }

    /// Takes note of an element that a later run did not repeat.
    pub(super) fn add_difference(&mut self, first: f32, later: f32) {
        self.differing_elements += 1;
        if first.is_finite() && later.is_finite() {
            let difference = (f64::from(later) - f64::from(first)).abs();
            self.largest_difference = self.largest_difference.max(difference);
        }
    }
}

impl Seconds {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.reading + self.running + self.comparing
    }
}
