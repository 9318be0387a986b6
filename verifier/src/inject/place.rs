//! Faults in their places: which element of which tensor, and copies with the faults in them.

use std::ops::Range;

use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};

use super::change::Change;
use super::fault::{Fault, FaultError, Target, index_in};
use crate::samples::Recording;

/// A tensor with the faults that go into it, copied only if there are any.
pub type Corrupted<'v> = CowArray<'v, f32, IxDyn>;

/// The tensors that faults go into during a run; those of weights are in the model before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Golden,
    Input,
    Output,
}

impl Kind {
    /// The name of the target in a fault.
    fn name(self) -> &'static str {
        match self {
            Self::Golden => "golden",
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// One element of a fault at its place.
#[derive(Debug)]
pub struct Placed {
    /// Its number among the faults.
    pub fault: usize,
    pub kind: Kind,
    /// Number of the tensor among those of its kind.
    pub tensor: usize,
    pub sample: usize,
    /// The element of the sample, without the sample's axis.
    pub index: Vec<usize>,
    pub change: Change,
}

/// All faults of a run.
#[derive(Debug)]
pub struct Injection<'a> {
    faults: &'a [Fault],
    placed: Vec<Placed>,
}

impl<'a> Injection<'a> {
    /// Finds every fault's place among the tensors of a part; all of them must be in `samples`.
    pub fn new(
        faults: &'a [Fault],
        inputs: &[Recording],
        goldens: &[Recording],
        samples: &Range<usize>,
    ) -> Result<Self, FaultError> {
        let mut placed = Vec::new();
        for (number, fault) in faults.iter().enumerate() {
            let (kind, recordings, name) = match &fault.target {
                Target::Golden(name) => (Kind::Golden, goldens, name),
                Target::Output(name) => (Kind::Output, goldens, name),
                Target::Input(name) => (Kind::Input, inputs, name),
                Target::Edge(_) | Target::Weight(_) => continue,
            };
            let tensor = find(fault, kind, recordings, name.as_deref())?;
            let recording = &recordings[tensor];
            let elements = fault.elements(recording.name(), recording.shape())?;
            let sample = fault.sample_in(samples)?;
            placed.extend(elements.into_iter().map(|element| Placed {
                fault: number,
                kind,
                tensor,
                sample,
                index: index_in(recording.sample_shape(), element),
                change: fault.change,
            }));
        }
        Ok(Self { faults, placed })
    }

    /// The faults as they were asked for.
    pub fn faults(&self) -> &'a [Fault] {
        self.faults
    }

    /// Whether the model has faults inside.
    pub fn has_inner_faults(&self) -> bool {
        let mut targets = self.faults.iter().map(|fault| &fault.target);
        targets.any(|target| matches!(target, Target::Edge(_) | Target::Weight(_)))
    }

    /// The faults of a sample in its golden or its outputs, which change what is compared at once.
    pub fn direct(&self, sample: usize) -> impl Iterator<Item = &Placed> {
        let of_sample = self
            .placed
            .iter()
            .filter(move |fault| fault.sample == sample);
        of_sample.filter(|fault| fault.kind != Kind::Input)
    }

    /// The numbers of the faults that reach a sample through the model: in its inputs, or in
    /// weights.
    pub fn spreading(&self, sample: usize) -> impl Iterator<Item = usize> {
        let reaches = move |fault: &Fault| match fault.target {
            Target::Weight(_) => true,
            Target::Input(_) | Target::Edge(_) => fault.sample() == Some(sample),
            Target::Golden(_) | Target::Output(_) => false,
        };
        let faults = self.faults.iter().enumerate();
        faults
            .filter(move |(_, fault)| reaches(fault))
            .map(|(number, _)| number)
    }

    /// The inputs of a batch, `[batch, …]` each, with their faults; `None` for a batch without any.
    pub fn corrupted_inputs(
        &self,
        samples: &Range<usize>,
        inputs: &[ArrayViewD<'_, f32>],
    ) -> Option<Vec<ArrayD<f32>>> {
        let is_here =
            |fault: &&Placed| fault.kind == Kind::Input && samples.contains(&fault.sample);
        let mut faults = self.placed.iter().filter(is_here).peekable();
        faults.peek()?;
        let mut corrupted: Vec<ArrayD<f32>> = inputs.iter().map(ArrayViewD::to_owned).collect();
        for fault in faults {
            let index = [&[fault.sample - samples.start], fault.index.as_slice()].concat();
            let value = &mut corrupted[fault.tensor][IxDyn(&index)];
            *value = fault.change.apply(*value);
        }
        Some(corrupted)
    }

    /// A sample's tensor with its faults of one kind.
    pub fn corrupted<'v>(
        &self,
        kind: Kind,
        tensor: usize,
        sample: usize,
        values: ArrayViewD<'v, f32>,
    ) -> Corrupted<'v> {
        let mut values = CowArray::from(values);
        let own =
            |fault: &&Placed| (fault.kind, fault.tensor, fault.sample) == (kind, tensor, sample);
        for fault in self.placed.iter().filter(own) {
            let value = &mut values[IxDyn(&fault.index)];
            *value = fault.change.apply(*value);
        }
        values
    }
}

/// The number of the tensor that a fault names; where there is one alone it needs no name.
fn find(
    fault: &Fault,
    kind: Kind,
    recordings: &[Recording],
    name: Option<&str>,
) -> Result<usize, FaultError> {
    let found = match name {
        None if recordings.len() > 1 => {
            return Err(FaultError::Unnamed {
                fault: fault.to_string(),
                kind: kind.name(),
                part_has: recordings.len(),
                available: recordings
                    .iter()
                    .map(Recording::name)
                    .collect::<Vec<_>>()
                    .join(", "),
                first: recordings[0].name().to_owned(),
            });
        }
        None => (!recordings.is_empty()).then_some(0),
        Some(name) => recordings
            .iter()
            .position(|recording| recording.name() == name),
    };
    let names: Vec<&str> = recordings.iter().map(Recording::name).collect();
    found.ok_or_else(|| FaultError::NoTensor {
        fault: fault.to_string(),
        kind: kind.name(),
        name: name.unwrap_or_default().to_owned(),
        available: names.join(", "),
    })
}
