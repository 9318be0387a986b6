//! Where in a sample the elements outside the tolerance lie, as a map that fits a page.

/// Most cells of a map along an axis.
const CELLS: usize = 96;

/// A tensor `[rows, columns]`, all axes but the last taken together, in cells of neighbouring
/// elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorMap {
    /// Rows and columns of the tensor.
    pub elements: [usize; 2],
    /// Rows and columns of elements in a cell; there may be fewer in the last ones.
    pub side: [usize; 2],
    /// Rows and columns of cells.
    pub cells: [usize; 2],
    /// Elements outside in each cell, row by row.
    pub outside: Vec<usize>,
}

impl ErrorMap {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_tensor_has_a_cell_for_each_element() {
        let map = ErrorMap::new(2, 3, [0, 5].into_iter());
        assert_eq!((map.cells, map.outside), ([2, 3], vec![1, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn the_last_element_of_a_large_tensor_is_in_the_last_cell() {
        let map = ErrorMap::new(197, 768, [0, 197 * 768 - 1, 768].into_iter());
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
