//! The worst of the faulty samples, with a map of each: where the elements outside lie.

use crate::check::Specimen;
use crate::compare::{Outcome, Tolerance};
use crate::verdict::FaultyOutput;

/// Pictures kept.
const KEPT: usize = 20;

/// Most cells of a map along an axis.
const CELLS: usize = 96;

/// The worst outputs of faulty samples, the worst first: one with a value that is not finite before
/// any other.
#[derive(Debug)]
pub struct Gallery {
    tolerance: Tolerance,
    pictures: Vec<Picture>,
}

/// An output of a faulty sample.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The sample's row in the bundle.
    pub sample: usize,
    /// In which run of its batch, from 0.
    pub run: usize,
    /// The output's name.
    pub name: String,
    /// What is wrong with it.
    pub output: FaultyOutput,
    /// Where.
    pub map: Map,
}

/// A tensor `[rows, columns]`, all axes but the last taken together, in cells of neighbouring
/// elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// Rows and columns of the tensor.
    pub elements: [usize; 2],
    /// Rows and columns of elements in a cell; there may be fewer in the last ones.
    pub side: [usize; 2],
    /// Rows and columns of cells.
    pub cells: [usize; 2],
    /// Elements outside in each cell, row by row.
    pub outside: Vec<usize>,
}

impl Map {
    /// Of elements outside, given by their flat index.
    pub fn new(rows: usize, columns: usize, outside: impl Iterator<Item = usize>) -> Self {
        let side = [rows, columns].map(|length| length.div_ceil(CELLS).max(1));
        let cells = [rows.div_ceil(side[0]), columns.div_ceil(side[1])];
        let mut counts = vec![0; cells[0] * cells[1]];
        for element in outside {
            let (row, column) = (element / columns / side[0], element % columns / side[1]);
            counts[row * cells[1] + column] += 1;
        }
        Self {
            elements: [rows, columns],
            side,
            cells,
            outside: counts,
        }
    }
}

impl Gallery {
    /// With nothing in it.
    pub fn new(tolerance: Tolerance) -> Self {
        Self {
            tolerance,
            pictures: Vec::new(),
        }
    }

    /// Takes a faulty sample in if it is among the worst; of equals the first.
    pub fn show(&mut self, specimen: &Specimen<'_>) {
        for output in &specimen.sample.outputs {
            let place = self
                .pictures
                .partition_point(|picture| badness(&picture.output) >= badness(output));
            if place >= KEPT {
                continue;
            }
            let (recording, golden, actual) = &specimen.outputs[output.output];
            let columns = recording.sample_shape().last().copied().unwrap_or(1).max(1);
            let pairs = actual.iter().zip(*golden).enumerate();
            let outside =
                pairs.filter(|(_, (y, g))| self.tolerance.outcome(**y, **g) != Outcome::Close);
            let picture = Picture {
                sample: specimen.sample.sample,
                run: specimen.sample.run,
                name: recording.name().to_owned(),
                output: output.clone(),
                map: Map::new(
                    golden.len() / columns,
                    columns,
                    outside.map(|(element, _)| element),
                ),
            };
            self.pictures.insert(place, picture);
            self.pictures.truncate(KEPT);
        }
    }

    /// The pictures, the worst first.
    pub fn into_pictures(self) -> Vec<Picture> {
        self.pictures
    }
}

fn badness(output: &FaultyOutput) -> f64 {
    output.worst.abs_error().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_tensor_has_a_cell_for_each_element() {
        let map = Map::new(2, 3, [0, 5].into_iter());
        assert_eq!((map.cells, map.outside), ([2, 3], vec![1, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn the_last_element_of_a_large_tensor_is_in_the_last_cell() {
        let map = Map::new(197, 768, [0, 197 * 768 - 1, 768].into_iter());
        assert_eq!(
            (map.side, map.cells, map.outside.len()),
            ([3, 8], [66, 96], 6336)
        );
        assert_eq!(
            (
                map.outside[0],
                map.outside[6335],
                map.outside.iter().sum::<usize>()
            ),
            (2, 1, 3)
        );
    }
}
