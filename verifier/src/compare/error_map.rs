//! Where in a sample the errors lie and how large they are, as a map that fits a page.

use super::tolerance::Tolerance;

/// Most cells of a map along an axis.
const CELLS: usize = 96;

/// A tensor `[rows, columns]`, all axes but the last taken together, in cells of neighbouring
/// elements.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorMap {
    /// Rows and columns of the tensor.
    pub elements: [usize; 2],
    /// Rows and columns of elements in a cell; there may be fewer in the last ones.
    pub side: [usize; 2],
    /// Rows and columns of cells.
    pub cells: [usize; 2],
    /// What each cell holds, row by row.
    pub values: Vec<Cell>,
}

/// Neighbouring elements.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cell {
    /// The largest `|actual − golden|`; infinite where a side is not finite and the two differ.
    pub largest_error: f64,
    /// Whether an element is outside the tolerance.
    pub is_outside: bool,
}

impl ErrorMap {
    /// Of a tensor and its golden, both of the same length, with so many elements in a row.
    pub fn new(actual: &[f32], golden: &[f32], columns: usize, tolerance: Tolerance) -> Self {
        let rows = golden.len() / columns.max(1);
        let side = [rows, columns].map(|length| length.div_ceil(CELLS).max(1));
        let cells = [rows.div_ceil(side[0]), columns.div_ceil(side[1])];
        let mut values = vec![Cell::default(); cells[0] * cells[1]];
        for (element, (&actual, &golden)) in actual.iter().zip(golden).enumerate() {
            let (row, column) = (element / columns / side[0], element % columns / side[1]);
            let cell = &mut values[row * cells[1] + column];
            cell.largest_error = cell.largest_error.max(error(actual, golden));
            cell.is_outside |= !tolerance.is_close(actual, golden);
        }
        Self {
            elements: [rows, columns],
            side,
            cells,
            values,
        }
    }
}

/// `|actual − golden|`, infinite where a side is not finite and the two differ.
fn error(actual: f32, golden: f32) -> f64 {
    if actual == golden {
        0.0
    } else if actual.is_finite() && golden.is_finite() {
        (f64::from(actual) - f64::from(golden)).abs()
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Tolerance = Tolerance {
        atol: 0.5,
        rtol: 0.0,
    };

    #[test]
    fn a_small_tensor_has_a_cell_for_each_element() {
        let golden = [0.0, 0.0, 1.0, f32::INFINITY, f32::NAN, f32::MAX];
        let actual = [0.0, 0.25, 3.0, f32::INFINITY, 0.0, f32::MIN];
        let map = ErrorMap::new(&actual, &golden, 3, TOLERANCE);
        assert_eq!((map.elements, map.cells), ([2, 3], [2, 3]));
        let errors: Vec<f64> = map.values.iter().map(|cell| cell.largest_error).collect();
        let largest = 2.0 * f64::from(f32::MAX);
        assert_eq!(errors, [0.0, 0.25, 2.0, 0.0, f64::INFINITY, largest]);
        let outside: Vec<bool> = map.values.iter().map(|cell| cell.is_outside).collect();
        assert_eq!(outside, [false, false, true, false, true, true]);
    }

    #[test]
    fn a_cell_of_a_large_tensor_has_the_largest_of_its_errors() {
        let golden = vec![0.0; 197 * 768];
        let mut actual = golden.clone();
        actual[0] = 1.0;
        actual[768] = -2.0; // the row below, in the same cell
        actual[197 * 768 - 1] = 0.25;
        let map = ErrorMap::new(&actual, &golden, 768, TOLERANCE);
        assert_eq!(
            (map.side, map.cells, map.values.len()),
            ([3, 8], [66, 96], 6336)
        );
        let cell = |largest_error, is_outside| Cell {
            largest_error,
            is_outside,
        };
        assert_eq!(map.values[0], cell(2.0, true));
        assert_eq!(map.values[6335], cell(0.25, false), "the last element");
        let others = &map.values[1..6335];
        assert!(others.iter().all(|&other| other == Cell::default()));
    }
}
