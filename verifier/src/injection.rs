//! Faults in their places: put into the tensors of a batch, and judged by what they changed.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::check::Request;
use crate::compare::{Outcome, SampleComparison, Tolerance};
use crate::fault::{Change, Fault, FaultError, Target};
use crate::histogram::Histogram;
use crate::recording::Recording;
use crate::verdict::FaultResult;

/// The tensors that faults go into while a check runs; those of weights are in the model before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Golden,
    Input,
    Output,
}

/// A fault at its place: which tensor of its kind, and which flat element of its sample.
#[derive(Debug)]
struct Placed {
    fault: usize,
    kind: Kind,
    tensor: usize,
    sample: usize,
    element: usize,
    change: Change,
}

/// All faults of a check.
#[derive(Debug)]
pub(crate) struct Injection<'a> {
    faults: &'a [Fault],
    placed: Vec<Placed>,
    tolerance: Tolerance,
}

/// One output of a sample, without and with its faults.
#[derive(Debug)]
pub(crate) struct Compared<'a> {
    /// What the runtime gave back.
    pub(crate) computed: &'a [f32],
    /// The golden as it was recorded.
    pub(crate) recorded: &'a [f32],
    /// What the model without faults gives for inputs without faults, where any of them has one.
    pub(crate) sound: Option<&'a [f32]>,
    /// `computed` with the faults of outputs.
    pub(crate) actual: Cow<'a, [f32]>,
    /// `recorded` with the faults of the golden.
    pub(crate) golden: Cow<'a, [f32]>,
    /// Of `actual` with `golden`.
    pub(crate) comparison: SampleComparison,
    /// Sizes of the errors, where they were asked for.
    pub(crate) histogram: Option<Histogram>,
}

impl<'a> Injection<'a> {
    /// Finds every fault's place.
    pub(crate) fn new(request: &Request<'a>) -> Result<Self, FaultError> {
        let places = request.faults.iter().enumerate();
        let placed = places.filter_map(|(index, fault)| place(request, index, fault).transpose());
        Ok(Self {
            faults: request.faults,
            placed: placed.collect::<Result<_, _>>()?,
            tolerance: request.tolerance,
        })
    }

    /// Whether the model has faults.
    pub(crate) fn has_weight_faults(&self) -> bool {
        self.faults
            .iter()
            .any(|fault| matches!(fault.target, Target::Weight(_)))
    }

    /// The inputs of a batch with their faults; `None` for a batch without any.
    pub(crate) fn inputs(
        &self,
        samples: &Range<usize>,
        inputs: &[&[f32]],
    ) -> Option<Vec<Vec<f32>>> {
        let faults = || {
            self.placed
                .iter()
                .filter(|fault| fault.kind == Kind::Input && samples.contains(&fault.sample))
        };
        faults().next()?;
        let mut inputs: Vec<Vec<f32>> = inputs.iter().map(|input| input.to_vec()).collect();
        for fault in faults() {
            let input = &mut inputs[fault.tensor];
            let length = input.len() / samples.len();
            let value = &mut input[(fault.sample - samples.start) * length + fault.element];
            *value = fault.change.apply(*value);
        }
        Some(inputs)
    }

    /// A sample's tensor with its faults.
    pub(crate) fn spoil<'v>(
        &self,
        kind: Kind,
        tensor: usize,
        sample: usize,
        values: &'v [f32],
    ) -> Cow<'v, [f32]> {
        let mut values = Cow::Borrowed(values);
        let own =
            |fault: &&Placed| (fault.kind, fault.tensor, fault.sample) == (kind, tensor, sample);
        for fault in self.placed.iter().filter(own) {
            let value = &mut values.to_mut()[fault.element];
            *value = fault.change.apply(*value);
        }
        values
    }

    /// What each fault in a sample changed, and whether that was seen.
    ///
    /// A change of the golden or of an output is its own effect, and must be seen at its own
    /// element. One of an input or a weight spreads: its effect is the distance between the outputs
    /// with and without it, and it must be seen at an element that no other fault changed directly.
    pub(crate) fn judge(
        &self,
        sample: usize,
        outputs: &[Compared<'_>],
        results: &mut [FaultResult],
    ) {
        if self.faults.is_empty() {
            return;
        }
        let is_outside = |tensor: usize, element: usize| {
            let Compared { actual, golden, .. } = &outputs[tensor];
            self.tolerance.outcome(actual[element], golden[element]) != Outcome::Close
        };
        let direct = || {
            self.placed
                .iter()
                .filter(|fault| fault.sample == sample && fault.kind != Kind::Input)
        };
        for fault in direct() {
            let output = &outputs[fault.tensor];
            let before = if fault.kind == Kind::Golden {
                output.recorded
            } else {
                output.computed
            }[fault.element];
            let after = fault.change.apply(before);
            // The golden is what the tolerance is relative to.
            let (actual, golden) = if fault.kind == Kind::Golden {
                (before, after)
            } else {
                (after, before)
            };
            let beyond = self.tolerance.outcome(actual, golden) != Outcome::Close;
            results[fault.fault].raise(before, after);
            results[fault.fault].judge(beyond, is_outside(fault.tensor, fault.element));
        }
        let spreads = |fault: &Fault| match fault.target {
            Target::Weight(_) => true,
            Target::Input(_) => fault.sample() == Some(sample),
            Target::Golden(_) | Target::Output(_) => false,
        };
        if !self.faults.iter().any(spreads) {
            return;
        }
        let outside: usize = outputs
            .iter()
            .map(|output| output.comparison.mismatches + output.comparison.non_finite)
            .sum();
        let places: BTreeSet<(usize, usize)> = direct()
            .map(|fault| (fault.tensor, fault.element))
            .collect();
        let seen = outside
            > places
                .iter()
                .filter(|&&(tensor, element)| is_outside(tensor, element))
                .count();
        let (mut effect, mut beyond) = (FaultResult::default(), false);
        for output in outputs {
            for (&after, &before) in output.computed.iter().zip(output.sound.unwrap_or_default()) {
                effect.raise(before, after);
                beyond |= self.tolerance.outcome(after, before) != Outcome::Close;
            }
        }
        for (result, _) in results
            .iter_mut()
            .zip(self.faults)
            .filter(|(_, fault)| spreads(fault))
        {
            result.merge_effect(&effect);
            result.judge(beyond, seen);
        }
    }
}

/// Finds a fault's tensor and element; `None` for one of a weight, which is in the model already.
fn place(request: &Request<'_>, index: usize, fault: &Fault) -> Result<Option<Placed>, FaultError> {
    let (kind, recordings, name) = match &fault.target {
        Target::Golden(name) => (Kind::Golden, request.goldens, name),
        Target::Output(name) => (Kind::Output, request.goldens, name),
        Target::Input(name) => (Kind::Input, request.inputs, name),
        Target::Weight(_) => return Ok(None),
    };
    let found = match name {
        None => (!recordings.is_empty()).then_some(0),
        Some(name) => recordings
            .iter()
            .position(|recording| recording.name() == name),
    };
    let Some(tensor) = found else {
        return Err(FaultError::NoTensor {
            fault: fault.to_string(),
            kind: if kind == Kind::Input {
                "input"
            } else {
                "output"
            },
            name: name.clone().unwrap_or_default(),
            available: recordings
                .iter()
                .map(Recording::name)
                .collect::<Vec<_>>()
                .join(", "),
        });
    };
    let recording = &recordings[tensor];
    let element = fault.element(recording.name(), recording.shape())?;
    let sample = fault.index[0];
    if !request.samples.contains(&sample) {
        let (first, last) = (request.samples.start, request.samples.end - 1);
        return Err(FaultError::NotChecked {
            fault: fault.to_string(),
            sample,
            first,
            last,
        });
    }
    let element = element - sample * recording.sample_elements();
    Ok(Some(Placed {
        fault: index,
        kind,
        tensor,
        sample,
        element,
        change: fault.change,
    }))
}
