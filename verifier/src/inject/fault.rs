//! Deliberate errors: each changes one value, to prove that a real error there would be noticed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One changed value, written `target[index]=value` or `target[index]^bit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Fault {
    pub target: Target,
    /// The element, in the tensor's own shape; the first number of all but a weight is the sample.
    pub index: Vec<usize>,
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
    /// An initializer of the model in memory; the bundle stays as it is.
    Weight(String),
}

/// What happens to a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// It is replaced.
    Value(f32),
    /// One of its bits is inverted: 31 is the sign, 30 to 23 the exponent.
    Flip(u8),
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
        /// `input`, `output` or `weight`.
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
            index: index.to_vec(),
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
        if matches!(self.target, Target::Weight(_)) {
            None
        } else {
            self.index.first().copied()
        }
    }

    /// Whether it acts before or in a run: in an input or a weight.
    pub fn needs_a_run(&self) -> bool {
        !matches!(self.target, Target::Golden(_) | Target::Output(_))
    }

    /// Its element as a flat index into a tensor of this shape.
    pub fn element(&self, tensor: &str, shape: &[usize]) -> Result<usize, FaultError> {
        let (fault, tensor, shape) = (self.to_string(), tensor.to_owned(), shape.to_vec());
        if self.index.len() != shape.len() {
            return Err(FaultError::Axes {
                fault,
                found: self.index.len(),
                tensor,
                shape,
            });
        }
        if self
            .index
            .iter()
            .zip(&shape)
            .any(|(&index, &length)| index >= length)
        {
            return Err(FaultError::OutOfBounds {
                fault,
                tensor,
                shape,
            });
        }
        let place = |flat: usize, (&index, &length): (&usize, &usize)| {
            flat.checked_mul(length)?.checked_add(index)
        };
        // A shape too large to count may stand in a file; it has no such element.
        let element = self.index.iter().zip(&shape).try_fold(0, place);
        element.ok_or(FaultError::OutOfBounds {
            fault,
            tensor,
            shape,
        })
    }
}

impl Change {
    /// The value as it becomes.
    pub fn apply(self, value: f32) -> f32 {
        match self {
            Self::Value(new) => new,
            Self::Flip(bit) => f32::from_bits(value.to_bits() ^ (1 << bit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_outside_its_tensor_is_refused() {
        let last = &Fault::python_repository_faults()[4];
        assert_eq!(
            last.element("x", &[301, 65, 96]),
            Ok((300 * 65 + 34) * 96 + 13)
        );
        for shape in [[300, 65, 96], [301, 34, 96], [301, 65, 13]] {
            let message = last.element("x", &shape).expect_err("outside").to_string();
            assert!(
                message.contains("golden[300,34,13]=12 lies outside `x`"),
                "{message}"
            );
        }
        assert!(
            last.element("x", &[301, 65])
                .expect_err("axes")
                .to_string()
                .contains("3 indices")
        );
        // A flat index that does not fit must not come out as another element's.
        let far: Fault = "weight:w[4294967296,0]=1".parse().expect("a fault");
        assert!(
            far.element("w", &[usize::MAX, 1 << 32])
                .expect_err("too far")
                .to_string()
                .contains("lies outside")
        );
    }
}
