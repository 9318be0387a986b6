//! The largest value of something over all samples, and where it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sample::Peak;

/// The largest value of something, and its position.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Largest<T> {
    pub value: T,
    /// The sample, then the element; absent when every value is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<Vec<usize>>,
}

impl<T: PartialOrd + Copy> Largest<T> {
    /// Takes a sample's peak if it is larger; the axes of a sample are `shape`.
    pub fn raise(&mut self, peak: Peak<T>, sample: usize, shape: &[usize]) {
        if let Some(element) = peak.element
            && (self.index.is_none() || peak.value > self.value)
        {
            *self = Self {
                value: peak.value,
                index: Some(index_of(sample, element, shape)),
            };
        }
    }

    /// Takes another one if it is larger.
    pub fn merge(&mut self, other: &Self) {
        if other.index.is_some() && (self.index.is_none() || other.value > self.value) {
            *self = other.clone();
        }
    }
}

/// A sample and a flat element of it as an index into `[samples, shape…]`.
pub fn index_of(sample: usize, element: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![sample; shape.len() + 1];
    let mut rest = element;
    for (place, &length) in index[1..].iter_mut().zip(shape).rev() {
        *place = rest % length.max(1);
        rest /= length.max(1);
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_the_flat_one_in_its_axes() {
        assert_eq!(index_of(7, 0, &[65, 96]), [7, 0, 0]);
        assert_eq!(index_of(7, 64 * 96 + 95, &[65, 96]), [7, 64, 95]);
        assert_eq!(index_of(7, 3, &[10]), [7, 3]);
        assert_eq!(index_of(0, 100, &[3, 4, 16]), [0, 1, 2, 4]);
    }
}
