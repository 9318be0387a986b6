//! Deliberate errors: each changes one value, to prove that a real error there would be noticed.

use std::fmt;

/// One changed element of the golden, written `golden[sample,token,feature]=value`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// Position in the golden: sample, token, feature.
    pub index: [usize; 3],
    /// The value put there.
    pub value: f32,
}

/// A fault's position is outside the golden.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error(
    "fault {fault} lies outside the golden, whose shape is {shape:?}\nhint: --inject changes sample 300, so the bundle needs 301 samples"
)]
pub struct OutOfBounds {
    /// The fault.
    pub fault: Fault,
    /// The golden's shape.
    pub shape: [usize; 3],
}

impl Fault {
    /// The five errors that the Python repository's `attention.py --inject` puts into the expected outputs.
    pub const SEED: [Self; 5] = [
        Self { index: [150, 34, 13], value: 12.0 },
        Self { index: [150, 34, 54], value: 12.0 },
        Self { index: [200, 5, 5], value: f32::INFINITY },
        Self { index: [201, 2, 23], value: f32::NAN },
        Self { index: [300, 34, 13], value: 12.0 },
    ];

    /// Refuses a fault outside an array of this shape.
    pub fn check_bounds(&self, shape: [usize; 3]) -> Result<(), OutOfBounds> {
        if self.index.iter().zip(shape).all(|(&index, length)| index < length) {
            Ok(())
        } else {
            Err(OutOfBounds { fault: *self, shape })
        }
    }

    /// The sample it falls in.
    pub fn sample(&self) -> usize {
        self.index[0]
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sample, token, feature] = self.index;
        // Rust writes `inf` and `NaN`; the grammar of faults is in lower case.
        write!(f, "golden[{sample},{token},{feature}]={}", self.value.to_string().to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_five_are_written_in_the_grammar_of_faults() {
        let written: Vec<String> = Fault::SEED.iter().map(Fault::to_string).collect();
        let expected = [
            "golden[150,34,13]=12",
            "golden[150,34,54]=12",
            "golden[200,5,5]=inf",
            "golden[201,2,23]=nan",
            "golden[300,34,13]=12",
        ];
        assert_eq!(written, expected);
    }

    #[test]
    fn a_fault_outside_the_golden_is_refused() {
        let last = Fault::SEED[4];
        assert_eq!(last.check_bounds([301, 65, 96]), Ok(()));
        for shape in [[300, 65, 96], [301, 34, 96], [301, 65, 13]] {
            assert_eq!(last.check_bounds(shape), Err(OutOfBounds { fault: last, shape }));
        }
    }
}
