//! The shape that the elements outside the tolerance make in a sample: where an error began shows
//! in it.
//!
//! A wrong multiplier corrupts one element, a wrong row of a factor a row of the product, a wrong
//! tile of a GEMM a block: the classes that studies of soft errors in matrix products report.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of a faulty sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pattern {
    /// One element.
    Single,
    /// Several, all with the same token (all axes but the last).
    Row,
    /// Several, all of the same feature (the last axis).
    Column,
    /// At least two rows and two columns, and more than half of the smallest rectangle around them.
    Block,
    /// Anything else.
    Scattered,
}

/// The elements outside, as they are met.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    count: usize,
    rows: (usize, usize),
    columns: (usize, usize),
}

impl Extent {
    /// Of no element yet.
    pub fn new() -> Self {
        Self {
            count: 0,
            rows: (usize::MAX, 0),
            columns: (usize::MAX, 0),
        }
    }

    /// Adds one.
    pub fn add(&mut self, row: usize, column: usize) {
        self.count += 1;
        self.rows = (self.rows.0.min(row), self.rows.1.max(row));
        self.columns = (self.columns.0.min(column), self.columns.1.max(column));
    }

    /// Their class; `None` without an element.
    pub fn pattern(&self) -> Option<Pattern> {
        if self.count == 0 {
            return None;
        }
        let (height, width) = (
            self.rows.1 - self.rows.0 + 1,
            self.columns.1 - self.columns.0 + 1,
        );
        Some(match (self.count, height, width) {
            (1, ..) => Pattern::Single,
            (_, 1, _) => Pattern::Row,
            (_, _, 1) => Pattern::Column,
            (count, height, width) if 2 * count > height * width => Pattern::Block,
            _ => Pattern::Scattered,
        })
    }
}

impl Default for Extent {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single => "single",
            Self::Row => "row",
            Self::Column => "column",
            Self::Block => "block",
            Self::Scattered => "scattered",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_told() {
        let class = |elements: &[(usize, usize)]| {
            let mut extent = Extent::new();
            elements
                .iter()
                .for_each(|&(row, column)| extent.add(row, column));
            extent.pattern()
        };
        assert_eq!(class(&[]), None);
        assert_eq!(class(&[(3, 4)]), Some(Pattern::Single));
        assert_eq!(class(&[(3, 4), (3, 90)]), Some(Pattern::Row));
        assert_eq!(class(&[(3, 4), (60, 4)]), Some(Pattern::Column));
        assert_eq!(
            class(&[(3, 4), (3, 5), (4, 4), (4, 5)]),
            Some(Pattern::Block)
        );
        assert_eq!(class(&[(3, 4), (3, 5), (4, 5)]), Some(Pattern::Block));
        assert_eq!(class(&[(3, 4), (4, 5)]), Some(Pattern::Scattered));
        assert_eq!(class(&[(3, 4), (4, 5), (5, 6)]), Some(Pattern::Scattered));
        assert_eq!(class(&[(0, 0), (64, 95)]), Some(Pattern::Scattered));
    }
}
