//! The check: run every sample, put faults into the golden where asked to, compare every element.

use ndarray::{ArrayView2, ArrayView3, CowArray, Ix2};
use proto::npy::{Npy, NpyError};

use crate::compare::{Outcome, Peak, SampleComparison, Tolerance, compare_sample, ulp_distance};
use crate::fault::{Fault, OutOfBounds};
use crate::runtime::{RunError, Runtime};

/// What is compared, and how.
#[derive(Debug)]
pub struct Request<'a> {
    /// Inputs `[samples, tokens, features]`.
    pub input: &'a Npy<f32>,
    /// Golden outputs `[samples, tokens, features]`.
    pub golden: &'a Npy<f32>,
    /// Samples in one run of the runtime.
    pub batch_size: usize,
    /// When an element is close.
    pub tolerance: Tolerance,
    /// Changes to the golden.
    pub faults: &'a [Fault],
}

/// What a check came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// Samples compared.
    pub samples: usize,
    /// Elements compared.
    pub elements: usize,
    /// Elements not equal to the golden.
    pub differing_elements: usize,
    /// Samples with such an element.
    pub differing_samples: usize,
    /// Elements outside the tolerance, both sides finite.
    pub mismatches: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite: usize,
    /// Largest absolute error over pairs of finite numbers.
    pub max_abs_error: Extreme<f64>,
    /// Largest ULP distance over pairs of finite numbers.
    pub max_ulp: Extreme<u32>,
    /// Every sample with an element outside, in order.
    pub faulty: Vec<FaultySample>,
    /// For each fault, in the order of the request, whether its own element was found outside.
    pub faults_found: Vec<bool>,
}

/// The largest value of something, and its position; no position when there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Extreme<T> {
    /// The value.
    pub value: T,
    /// Sample, token, feature.
    pub index: Option<[usize; 3]>,
}

/// A sample with at least one element outside the tolerance.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultySample {
    /// Its row in the bundle.
    pub sample: usize,
    /// Elements outside, both sides finite.
    pub mismatches: usize,
    /// Elements outside because a side is infinite or not a number.
    pub non_finite: usize,
    /// The first element outside.
    pub first: ElementPair,
    /// The element that is furthest off: a non-finite one before any finite one.
    pub worst: ElementPair,
}

/// An element and its golden.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ElementPair {
    /// Sample, token, feature.
    pub index: [usize; 3],
    /// The golden, with faults.
    pub golden: f32,
    /// What the runtime computed.
    pub actual: f32,
}

/// Why nothing could be concluded.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no sample.
    #[error("the bundle holds no sample: nothing would be compared")]
    NoSamples,
    /// Input or golden have not three axes.
    #[error("{name} has shape {shape:?}, expected [samples, tokens, features]")]
    Axes {
        /// The dataset.
        name: &'static str,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// Input and golden are not of as many samples.
    #[error("{inputs} inputs for {goldens} golden outputs")]
    Counts {
        /// Samples of the input.
        inputs: usize,
        /// Samples of the golden.
        goldens: usize,
    },
    /// A fault is outside the golden.
    #[error(transparent)]
    Fault(#[from] OutOfBounds),
    /// A recorded value is infinite or not a number.
    #[error(
        "{name} of sample {sample} has {value} at element {element}: a recorded tensor must be finite\n\
         hint: the bundle was made from broken weights or was damaged before its hashes were taken; export it again"
    )]
    NotFinite {
        /// The dataset.
        name: &'static str,
        /// The sample.
        sample: usize,
        /// Flat index in the sample.
        element: usize,
        /// The value.
        value: f32,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// The runtime failed.
    #[error("samples {first} to {last}: {error}")]
    Run {
        /// First sample of the batch.
        first: usize,
        /// Last sample of the batch.
        last: usize,
        /// What the runtime said.
        error: RunError,
    },
}

impl Verdict {
    /// Whether everything was within the tolerance. Nothing compared is not a pass.
    pub fn is_pass(&self) -> bool {
        self.samples > 0 && self.faulty.is_empty()
    }

    fn add(&mut self, sample: usize, features: usize, comparison: &SampleComparison, elements: usize) {
        self.samples += 1;
        self.elements += elements;
        self.differing_elements += comparison.differing;
        self.differing_samples += usize::from(comparison.differing > 0);
        self.mismatches += comparison.mismatches;
        self.non_finite += comparison.non_finite;
        raise(&mut self.max_abs_error, comparison.max_abs_error, sample, features);
        raise(&mut self.max_ulp, comparison.max_ulp, sample, features);
    }
}

/// Runs the check; after each batch `progress` is told the samples done.
pub fn check(
    request: &Request<'_>,
    runtime: &mut dyn Runtime,
    mut progress: impl FnMut(usize),
) -> Result<Verdict, CheckError> {
    let shape = shape_of("the golden", request.golden)?;
    shape_of("the input", request.input)?;
    let samples = shape[0];
    if request.input.rows_len() != samples {
        return Err(CheckError::Counts { inputs: request.input.rows_len(), goldens: samples });
    }
    if samples == 0 || request.golden.row_elements() == 0 || request.input.row_elements() == 0 {
        return Err(CheckError::NoSamples);
    }
    for fault in request.faults {
        fault.check_bounds(shape)?;
    }

    let mut verdict = Verdict { faults_found: vec![false; request.faults.len()], ..Default::default() };
    for start in (0..samples).step_by(request.batch_size) {
        let batch = start..(start + request.batch_size).min(samples);
        let input = request.input.rows(batch.clone())?;
        let golden = request.golden.rows(batch.clone())?;
        all_finite("the input", &input, start, request.input.row_elements())?;
        all_finite("the golden", &golden, start, request.golden.row_elements())?;
        let golden = view(&golden, batch.len(), shape).expect("rows of the golden have its shape");
        let mut problem = Some("the runtime gave back no output".to_owned());
        runtime
            .run(&input, batch.len(), &mut |output| {
                problem = match view(output, batch.len(), shape) {
                    Some(output) => compare_batch(&mut verdict, request, start, output, golden),
                    None => Some(format!("{} output elements, expected {}", output.len(), golden.len())),
                }
            })
            .and_then(|()| problem.map_or(Ok(()), |problem| Err(RunError(problem))))
            .map_err(|error| CheckError::Run { first: start, last: batch.end - 1, error })?;
        progress(batch.len());
    }
    Ok(verdict)
}

fn compare_batch(
    verdict: &mut Verdict,
    request: &Request<'_>,
    start: usize,
    output: ArrayView3<'_, f32>,
    golden: ArrayView3<'_, f32>,
) -> Option<String> {
    for (offset, (actual, golden)) in output.outer_iter().zip(golden.outer_iter()).enumerate() {
        let sample = start + offset;
        let golden = with_faults(golden, request.faults, sample);
        let (actual_elements, golden_elements) = (contiguous(&actual), contiguous(&golden));
        let comparison = compare_sample(actual_elements, golden_elements, request.tolerance);
        verdict.add(sample, actual.ncols(), &comparison, actual.len());
        if comparison.is_faulty() {
            verdict.faulty.push(faulty_sample(sample, actual, golden.view(), &comparison, request.tolerance));
        }
        for (fault, found) in request.faults.iter().zip(&mut verdict.faults_found) {
            let [_, token, feature] = fault.index;
            // Of the very element that was changed: another one in the same sample proves nothing about this fault.
            *found |= fault.sample() == sample
                && request.tolerance.outcome(actual[[token, feature]], golden[[token, feature]]) != Outcome::Close;
        }
    }
    None
}

/// The golden of a sample, changed where it has faults. The bundle itself is never changed.
fn with_faults<'a>(golden: ArrayView2<'a, f32>, faults: &[Fault], sample: usize) -> CowArray<'a, f32, Ix2> {
    let mut golden = CowArray::from(golden);
    for fault in faults.iter().filter(|fault| fault.sample() == sample) {
        let [_, token, feature] = fault.index;
        golden[[token, feature]] = fault.value;
    }
    golden
}

fn faulty_sample(
    sample: usize,
    actual: ArrayView2<'_, f32>,
    golden: ArrayView2<'_, f32>,
    comparison: &SampleComparison,
    tolerance: Tolerance,
) -> FaultySample {
    let pair = |(((token, feature), &golden), &actual)| ElementPair { index: [sample, token, feature], golden, actual };
    let is_outside = |pair: &ElementPair| tolerance.outcome(pair.actual, pair.golden) != Outcome::Close;
    let outside = || golden.indexed_iter().zip(actual).map(pair).filter(is_outside);
    // No finite error is as bad as a value that is not finite; of equals the first.
    let badness = |pair: &ElementPair| pair.abs_error().unwrap_or(f64::INFINITY);
    let worst = outside().reduce(|worst, pair| if badness(&pair) > badness(&worst) { pair } else { worst });
    let at_least_one = "a faulty sample has an element outside";
    FaultySample {
        sample,
        mismatches: comparison.mismatches,
        non_finite: comparison.non_finite,
        first: outside().next().expect(at_least_one),
        worst: worst.expect(at_least_one),
    }
}

/// `[samples, tokens, features]`; `None` unless there are exactly as many elements (ndarray would ignore an excess).
fn view(elements: &[f32], samples: usize, [_, tokens, features]: [usize; 3]) -> Option<ArrayView3<'_, f32>> {
    let view = ArrayView3::from_shape((samples, tokens, features), elements).ok()?;
    (view.len() == elements.len()).then_some(view)
}

fn contiguous<S: ndarray::Data<Elem = f32>>(sample: &ndarray::ArrayBase<S, Ix2>) -> &[f32] {
    sample.as_slice().expect("a sample of a C-ordered array is contiguous")
}

fn raise<T: PartialOrd + Copy>(extreme: &mut Extreme<T>, peak: Peak<T>, sample: usize, features: usize) {
    if let Some(element) = peak.element
        && (extreme.index.is_none() || peak.value > extreme.value)
    {
        *extreme = Extreme { value: peak.value, index: Some([sample, element / features, element % features]) };
    }
}

fn shape_of(name: &'static str, npy: &Npy<f32>) -> Result<[usize; 3], CheckError> {
    npy.shape().try_into().map_err(|_| CheckError::Axes { name, shape: npy.shape().to_vec() })
}

fn all_finite(name: &'static str, rows: &[f32], start: usize, row: usize) -> Result<(), CheckError> {
    // Counted rather than searched: without an early end the compiler makes vector code of it.
    if rows.iter().filter(|value| !value.is_finite()).count() == 0 {
        return Ok(());
    }
    let at = rows.iter().position(|value| !value.is_finite()).expect("counted above");
    Err(CheckError::NotFinite { name, sample: start + at / row, element: at % row, value: rows[at] })
}

impl ElementPair {
    /// The bits in which the two differ.
    pub fn xor(&self) -> u32 {
        self.golden.to_bits() ^ self.actual.to_bits()
    }

    /// Absolute error; `None` when a side is not finite.
    pub fn abs_error(&self) -> Option<f64> {
        let finite = self.golden.is_finite() && self.actual.is_finite();
        finite.then(|| (f64::from(self.actual) - f64::from(self.golden)).abs())
    }

    /// ULP distance; `None` when a side is not finite.
    pub fn ulp(&self) -> Option<u32> {
        let finite = self.golden.is_finite() && self.actual.is_finite();
        finite.then(|| ulp_distance(self.actual, self.golden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::npy::NpyWriter;

    const TOLERANCE: Tolerance = Tolerance { atol: 5e-6, rtol: 1e-5 };

    /// Gives back its input, and at chosen calls something else.
    struct Echo<F: FnMut(&mut Vec<f32>)>(F);

    impl<F: FnMut(&mut Vec<f32>)> Runtime for Echo<F> {
        fn run(&mut self, input: &[f32], _: usize, output: &mut dyn FnMut(&[f32])) -> Result<(), RunError> {
            let mut result = input.to_vec();
            (self.0)(&mut result);
            output(&result);
            Ok(())
        }
    }

    /// Claims success and gives nothing back.
    struct Silent;

    impl Runtime for Silent {
        fn run(&mut self, _: &[f32], _: usize, _: &mut dyn FnMut(&[f32])) -> Result<(), RunError> {
            Ok(())
        }
    }

    fn array(shape: &[usize], value: impl Fn(usize) -> f32) -> (tempfile::TempDir, Npy<f32>) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.npy");
        let mut writer = NpyWriter::create(&path, shape).expect("create");
        let elements: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        writer.write(&elements).expect("write");
        writer.finish().expect("finish");
        let npy = Npy::open(&path).expect("open");
        (folder, npy)
    }

    fn run(
        (input, golden): (&Npy<f32>, &Npy<f32>),
        faults: &[Fault],
        runtime: &mut dyn Runtime,
    ) -> Result<Verdict, CheckError> {
        check(&Request { input, golden, batch_size: 2, tolerance: TOLERANCE, faults }, runtime, |_| {})
    }

    #[test]
    fn an_exact_runtime_passes_and_every_element_is_counted() {
        let (_folder, data) = array(&[5, 3, 4], |i| i as f32);
        let verdict = run((&data, &data), &[], &mut Echo(|_| {})).expect("check");
        assert!(verdict.is_pass());
        assert_eq!((verdict.samples, verdict.elements, verdict.differing_elements), (5, 60, 0));
        assert_eq!(verdict.max_abs_error, Extreme { value: 0.0, index: None });
    }

    #[test]
    fn a_wrong_element_of_a_later_batch_is_found_where_it_is() {
        let (_folder, data) = array(&[5, 3, 4], |i| i as f32);
        let mut call = 0;
        let mut runtime = Echo(|output: &mut Vec<f32>| {
            call += 1;
            if call == 2 {
                output[12 + 7] += 0.5; // sample 3, token 1, feature 3
                output[12 + 9] = f32::NAN; // sample 3, token 2, feature 1
            }
        });
        let verdict = run((&data, &data), &[], &mut runtime).expect("check");
        assert!(!verdict.is_pass());
        assert_eq!((verdict.mismatches, verdict.non_finite, verdict.differing_samples), (1, 1, 1));
        assert_eq!(verdict.max_abs_error, Extreme { value: 0.5, index: Some([3, 1, 3]) });
        let [faulty] = verdict.faulty.as_slice() else { panic!("one sample: {:?}", verdict.faulty) };
        assert_eq!((faulty.sample, faulty.first.index, faulty.worst.index), (3, [3, 1, 3], [3, 2, 1]));
        assert_eq!((faulty.first.golden, faulty.first.actual, faulty.worst.abs_error()), (43.0, 43.5, None));
    }

    #[test]
    fn faults_in_the_golden_flag_their_samples_and_no_other() {
        let (_folder, data) = array(&[301, 35, 55], |i| (i % 1000) as f32 * 1e-3);
        let verdict = run((&data, &data), &Fault::SEED, &mut Echo(|_| {})).expect("check");
        let flagged: Vec<usize> = verdict.faulty.iter().map(|faulty| faulty.sample).collect();
        assert_eq!(flagged, [150, 200, 201, 300]);
        assert_eq!((verdict.mismatches, verdict.non_finite), (3, 2));
        assert_eq!(verdict.faults_found, [true; 5]);
    }

    #[test]
    fn a_fault_without_effect_is_not_found_by_another_error_in_its_sample() {
        let (_folder, data) = array(&[2, 2, 2], |i| i as f32);
        let faults = [Fault { index: [1, 0, 1], value: 5.0 }, Fault { index: [1, 1, 0], value: 12.0 }];
        let verdict = run((&data, &data), &faults, &mut Echo(|_| {})).expect("check");
        assert_eq!((verdict.faulty.len(), verdict.faults_found), (1, vec![false, true]));
    }

    #[test]
    fn what_cannot_be_compared_is_an_error_and_never_a_pass() {
        let message = |result: Result<Verdict, CheckError>| result.expect_err("must be refused").to_string();
        let (_a, data) = array(&[3, 2, 2], |i| i as f32);
        let (_b, none) = array(&[0, 2, 2], |_| 0.0);
        let (_c, flat) = array(&[3, 4], |_| 0.0);
        let (_d, fewer) = array(&[2, 2, 2], |_| 0.0);
        let (_e, spoiled) = array(&[3, 2, 2], |i| if i == 9 { f32::NAN } else { 0.0 });
        let mut echo = Echo(|_: &mut Vec<f32>| {});
        assert!(message(run((&none, &none), &[], &mut echo)).contains("no sample"));
        assert!(message(run((&data, &flat), &[], &mut echo)).contains("shape [3, 4]"));
        assert!(message(run((&fewer, &data), &[], &mut echo)).contains("2 inputs for 3 golden outputs"));
        assert!(
            message(run((&data, &spoiled), &[], &mut echo)).contains("the golden of sample 2 has NaN at element 1")
        );
        assert!(message(run((&spoiled, &data), &[], &mut echo)).contains("the input of sample 2"));
        assert!(message(run((&data, &data), &Fault::SEED, &mut echo)).contains("lies outside the golden"));
        let mut short = Echo(|output: &mut Vec<f32>| output.truncate(7));
        assert!(message(run((&data, &data), &[], &mut short)).contains("7 output elements, expected 8"));
        let mut long = Echo(|output: &mut Vec<f32>| output.push(0.0));
        assert!(message(run((&data, &data), &[], &mut long)).contains("9 output elements, expected 8"));
        assert!(message(run((&data, &data), &[], &mut Silent)).contains("no output"));
        assert!(!Verdict::default().is_pass());
    }
}
