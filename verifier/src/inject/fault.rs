//! Deliberate errors: each changes one value, to prove that a real error there would be noticed.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::positions::Positions;

/// A change of one value, or of all in a region of a tensor, written `target[index]=value` or
/// `target[index]^bit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Fault {
    pub target: Target,
    /// The elements, by axis of the tensor; the first number of all but a weight is the sample.
    /// One that counts by steps, alone or behind the sample, stands for all axes in C order.
    pub index: Vec<Positions>,
    /// What happens to it.
    pub change: Change,
}

/// What a fault changes. Without a name it is the part's only tensor of that kind; where there are
/// several, a name is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// What the output is compared with.
    Golden(Option<String>),
    /// What the engine is given.
    Input(Option<String>),
    /// What the engine gave back.
    Output(Option<String>),
    /// What one node writes and another one reads.
    Edge(String),
    /// An initializer of the model in memory; the bundle stays as it is.
    Weight(String),
}

/// A fault cannot be put where it should go.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub enum FaultError {
    /// Its position is outside the tensor.
    #[error("fault {fault} lies outside `{tensor}`, whose shape is {shape:?}")]
    OutOfBounds {
        fault: String,
        tensor: String,
        shape: Vec<usize>,
    },
    /// Its position has another number of axes than the tensor.
    #[error(
        "fault {fault} has {found} indices, `{tensor}` of shape {shape:?} has {} axes",
        shape.len()
    )]
    Axes {
        fault: String,
        found: usize,
        tensor: String,
        shape: Vec<usize>,
    },
    /// There is no such tensor.
    #[error("fault {fault}: no {kind} `{name}`; there are {available}")]
    NoTensor {
        fault: String,
        /// `input`, `output`, `edge` or `weight`.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        available: String,
    },
    /// The part has several tensors of its kind.
    #[error(
        "fault {fault}: which {kind}? The part has {part_has}: {available}\n\
         hint: name one, as {kind}:{first}[INDEX]"
    )]
    Unnamed {
        fault: String,
        kind: &'static str,
        /// How many there are.
        part_has: usize,
        /// Their names.
        available: String,
        /// The first of them.
        first: String,
    },
    /// Its sample is not among those that are checked.
    #[error("fault {fault} is in sample {sample}, but samples {first} to {last} are checked")]
    NotChecked {
        fault: String,
        sample: usize,
        /// First sample checked.
        first: usize,
        /// Last sample checked.
        last: usize,
    },
    /// The initializer is not float32, or its data are in another file.
    #[error("fault {fault}: initializer `{name}` {reason}")]
    Weight {
        fault: String,
        name: String,
        /// Why it cannot be changed.
        reason: &'static str,
    },
}

impl Fault {
    /// The five errors that the Python repository's `attention.py --inject` puts into the expected
    /// outputs.
    pub fn python_repository_faults() -> Vec<Self> {
        let golden = |index: [usize; 3], value| Self {
            target: Target::Golden(None),
            index: index.map(Positions::from).to_vec(),
            change: Change::Value(value),
        };
        vec![
            golden([150, 34, 13], 12.0),
            golden([150, 34, 54], 12.0),
            golden([200, 5, 5], f32::INFINITY),
            golden([201, 2, 23], f32::NAN),
            golden([300, 34, 13], 12.0),
        ]
    }

    /// The sample it falls in; a weight belongs to all of them.
    pub fn sample(&self) -> Option<usize> {
        match (&self.target, self.index.first()) {
            (Target::Weight(_), _) => None,
            (_, Some(Positions::At(sample))) => Some(*sample),
            _ => None,
        }
    }

    /// The same, which must be among those that are run.
    pub fn sample_in(&self, samples: &Range<usize>) -> Result<usize, FaultError> {
        match self.sample() {
            Some(sample) if samples.contains(&sample) => Ok(sample),
            sample => Err(FaultError::NotChecked {
                fault: self.to_string(),
                sample: sample.unwrap_or_default(),
                first: samples.start,
                last: samples.end - 1,
            }),
        }
    }

    /// Whether it acts before or in a run: in an input, an edge or a weight.
    pub fn needs_a_run(&self) -> bool {
        !matches!(self.target, Target::Golden(_) | Target::Output(_))
    }

    /// Its elements as flat indices, ascending, into a sample of a tensor of this shape, whose
    /// first axis is the samples; of a weight into all of it.
    pub fn elements(&self, tensor: &str, shape: &[usize]) -> Result<Vec<usize>, FaultError> {
        let (axes, index) = match &self.target {
            Target::Weight(_) => (shape, self.index.as_slice()),
            _ => (
                shape.get(1..).unwrap_or_default(),
                self.index.get(1..).unwrap_or_default(),
            ),
        };
        let samples = shape.len() - axes.len();
        let is_by_steps = matches!(index, [Positions::Every { .. }]);
        if self.index.len() != shape.len() && !(is_by_steps && self.index.len() == samples + 1) {
            return Err(FaultError::Axes {
                fault: self.to_string(),
                found: self.index.len(),
                tensor: tensor.to_owned(),
                shape: shape.to_vec(),
            });
        }
        let outside = || FaultError::OutOfBounds {
            fault: self.to_string(),
            tensor: tensor.to_owned(),
            shape: shape.to_vec(),
        };
        if samples == 1 && self.sample().is_none_or(|sample| sample >= shape[0]) {
            return Err(outside());
        }
        // A shape too large to count may stand in a file; it has no such element.
        let all = axes
            .iter()
            .try_fold(1usize, |all, &length| all.checked_mul(length));
        let all = all.ok_or_else(outside)?;
        if is_by_steps {
            return index[0].of_axis(all).ok_or_else(outside);
        }
        let mut elements = vec![0];
        for (positions, &length) in index.iter().zip(axes) {
            let positions = positions.of_axis(length).ok_or_else(outside)?;
            let rows = elements.iter();
            let along = |&row: &usize| positions.iter().map(move |at| row * length + at);
            elements = rows.flat_map(along).collect();
        }
        Ok(elements)
    }
}

/// The index of an element, which is counted in C order.
pub fn index_in(axes: &[usize], element: usize) -> Vec<usize> {
    let mut left = element;
    let mut index = vec![0; axes.len()];
    for (place, &length) in index.iter_mut().zip(axes).rev() {
        *place = left % length.max(1);
        left /= length.max(1);
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_outside_its_tensor_is_refused() {
        let last = &Fault::python_repository_faults()[4];
        assert_eq!(last.elements("x", &[301, 65, 96]), Ok(vec![34 * 96 + 13]));
        for shape in [[300, 65, 96], [301, 34, 96], [301, 65, 13]] {
            let message = last.elements("x", &shape).expect_err("outside").to_string();
            assert!(
                message.contains("golden[300,34,13]=12 lies outside `x`"),
                "{message}"
            );
        }
        assert!(
            last.elements("x", &[301, 65])
                .expect_err("axes")
                .to_string()
                .contains("3 indices")
        );
        // A flat index that does not fit must not come out as another element's.
        let far: Fault = "weight:w[4294967296,0]=1".parse().expect("a fault");
        assert!(
            far.elements("w", &[usize::MAX, 1 << 32])
                .expect_err("too far")
                .to_string()
                .contains("lies outside")
        );
    }

    #[test]
    fn a_region_is_the_elements_that_its_positions_have_in_common() {
        let elements = |text: &str, shape: &[usize]| {
            let fault: Fault = text.parse().expect(text);
            fault.elements("x", shape).expect(text)
        };
        let shape = [5, 2, 3, 4];
        assert_eq!(elements("output[4,1,2,*]=0", &shape), [20, 21, 22, 23]);
        assert_eq!(elements("output[4,1,*,2]=0", &shape), [14, 18, 22]);
        assert_eq!(elements("output[4,0,1:3,0:1+3:4]=0", &shape), [4, 7, 8, 11]);
        assert_eq!(elements("output[4,5::9]=0", &shape), [5, 14, 23]);
        assert_eq!(elements("output[4,*,1,3]=0", &shape), [7, 19]);
        assert_eq!(elements("weight:w[1::2]^3", &[2, 3]), [1, 3, 5]);
        assert_eq!(elements("weight:w[]^3", &[]), [0]);
        let all: Fault = "output[*,0,0,0]=0".parse().expect("a fault");
        assert!(all.elements("x", &shape).is_err(), "of one sample alone");
    }
}
