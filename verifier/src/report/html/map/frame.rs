//! Where in its picture a map lies; all lengths are in the picture's own units, about a pixel each.

/// Width of the picture.
pub(super) const WIDTH: f64 = 280.0;

/// Left of the map, for its rows' numbers and name.
pub(super) const LEFT: f64 = 38.0;

/// Above the map.
pub(super) const TOP: f64 = 4.0;

/// Right of the map.
const RIGHT: f64 = 6.0;

/// The rectangle of the map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Height and width of a cell.
    pub(super) cell: [f64; 2],
}

impl Frame {
    /// For so many rows and columns of cells. Flat tensors are not drawn as thin as they are, nor
    /// tall ones as tall.
    pub(super) fn new([rows, columns]: [usize; 2]) -> Self {
        let (rows, columns) = (rows.max(1) as f64, columns.max(1) as f64);
        let width = WIDTH - LEFT - RIGHT;
        let height = width / (columns / rows).clamp(1.5, 16.0);
        Self {
            width,
            height,
            cell: [height / rows, width / columns],
        }
    }

    /// The lower edge.
    pub(super) fn bottom(&self) -> f64 {
        TOP + self.height
    }

    /// So many cells from the left edge.
    pub(super) fn x(&self, cells: f64) -> f64 {
        LEFT + cells * self.cell[1]
    }

    /// So many cells from the upper edge.
    pub(super) fn y(&self, cells: f64) -> f64 {
        TOP + cells * self.cell[0]
    }
}
