//! A check's outputs against the golden of the device, bit for bit.

use std::ops::Range;

use ndarray::ArrayViewD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare::{ElementPair, OtherBits, largest, other_bits};
use crate::samples::{Recording, SamplesError, elements};

/// How outputs compare with what this device gave without a fault.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceGoldenResult {
    /// Samples compared.
    pub samples: usize,
    /// Outputs of samples with another bit.
    pub differing_outputs: usize,
    /// Elements with another bit.
    pub differing_elements: usize,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<ElementPair>,
}

impl DeviceGoldenResult {
    /// Takes the outputs of consecutive samples, `[samples, …]` each.
    pub fn take(
        &mut self,
        samples: &Range<usize>,
        outputs: &[ArrayViewD<'_, f32>],
        goldens: &[Recording],
    ) -> Result<(), SamplesError> {
        self.samples += samples.len();
        other_bits(samples, outputs, goldens, &mut |other| self.add(other))
    }

    /// Whether all bits were compared and are the same.
    pub fn is_pass(&self) -> bool {
        self.samples > 0 && self.differing_outputs == 0
    }

    fn add(&mut self, other: &OtherBits<'_>) {
        self.differing_outputs += 1;
        let pairs = elements(&other.golden).iter().zip(elements(&other.actual));
        for (element, (&golden, &actual)) in pairs.enumerate() {
            if golden.to_bits() != actual.to_bits() {
                self.differing_elements += 1;
                let shape = other.golden.shape();
                self.first.get_or_insert_with(|| {
                    let index = largest::index_of(other.sample, element, shape);
                    ElementPair::new(index, golden, actual)
                });
            }
        }
    }
}
