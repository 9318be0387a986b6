//! The cells of a map: coloured by the size of their largest error, with a ring where few are
//! outside the tolerance.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::frame::{Frame, LEFT, TOP};
use super::scale::Scale;
use crate::compare::error_map::{Cell, ErrorMap};

/// Of more cells outside than this none has a ring: they are seen without.
const RINGS: usize = 24;

/// Least radius of a ring.
const RADIUS: f64 = 4.5;

/// How a cell is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Paint {
    /// A grey of the scale: within the tolerance.
    Within(usize),
    /// A colour of the scale: outside.
    Outside(usize),
    /// A side is not finite.
    NonFinite,
}

impl Paint {
    /// Of a cell; none for one that is equal to the golden.
    fn of(cell: &Cell, scale: &Scale) -> Option<Self> {
        if cell.largest_error == 0.0 {
            return None;
        }
        if cell.largest_error.is_infinite() {
            return Some(Self::NonFinite);
        }
        let shade = scale.shade(scale.level(cell.largest_error));
        Some(if cell.is_outside {
            Self::Outside(shade)
        } else {
            Self::Within(shade)
        })
    }

    /// Its class in the style sheet.
    fn class(self) -> String {
        match self {
            Self::Within(shade) => within(shade),
            Self::Outside(shade) => outside(shade),
            Self::NonFinite => NON_FINITE.to_owned(),
        }
    }
}

/// Class of elements that are not finite.
pub(super) const NON_FINITE: &str = "nf";

/// Class of a shade of those within the tolerance.
pub(super) fn within(shade: usize) -> String {
    format!("i{shade}")
}

/// Class of a shade of those outside.
pub(super) fn outside(shade: usize) -> String {
    format!("o{shade}")
}

/// What is seen where the output equals the golden.
pub(super) fn ground(frame: &Frame) -> Markup {
    let Frame { width, height, .. } = frame;
    html! {
        rect.ground x=(LEFT) y=(TOP) width=(width) height=(format!("{height:.2}")) {}
    }
}

/// All cells that differ from the golden.
pub(super) fn cells(map: &ErrorMap, scale: &Scale, frame: &Frame) -> Markup {
    let [height, width] = frame.cell;
    // A cell is a stroke one cell high, through the middle of its row.
    let top = TOP + height / 2.0;
    let place = format!("translate({LEFT} {top:.3}) scale({width:.4} {height:.4})");
    html! {
        g.cells transform=(place) {
            @for (paint, path) in paths(map, scale) { path class=(paint.class()) d=(path) {} }
        }
    }
}

/// For each paint the cells that have it; those next to each other in a row are one stroke, which
/// keeps the page small.
fn paths(map: &ErrorMap, scale: &Scale) -> BTreeMap<Paint, String> {
    let mut paths: BTreeMap<Paint, String> = BTreeMap::new();
    for (row, cells) in map.values.chunks(map.cells[1].max(1)).enumerate() {
        let mut column = 0;
        for run in cells.chunk_by(|a, b| Paint::of(a, scale) == Paint::of(b, scale)) {
            if let Some(paint) = Paint::of(&run[0], scale) {
                let path = paths.entry(paint).or_default();
                let _ = write!(path, "M{column} {row}h{}", run.len());
            }
            column += run.len();
        }
    }
    paths
}

/// A ring round each cell outside, where they are few.
pub(super) fn rings(map: &ErrorMap, frame: &Frame) -> Markup {
    let columns = map.cells[1].max(1);
    let cells = map.values.iter().enumerate();
    let outside: Vec<usize> = cells
        .filter(|(_, cell)| cell.is_outside)
        .map(|(number, _)| number)
        .collect();
    let radius = (frame.cell[0].max(frame.cell[1]) / 2.0 + 2.5).max(RADIUS);
    let x = |number: usize| frame.x((number % columns) as f64 + 0.5);
    let y = |number: usize| frame.y((number / columns) as f64 + 0.5);
    html! {
        @if outside.len() <= RINGS {
            @for number in outside {
                circle.ring cx=(format!("{:.1}", x(number))) cy=(format!("{:.1}", y(number)))
                    r=(format!("{radius:.1}")) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Tolerance;

    #[test]
    fn cells_next_to_each_other_are_one_stroke_and_rows_are_apart() {
        let golden = [0.0; 8];
        let actual = [0.0, 2e-6, 3e-6, 2.0, 3.0, 0.0, 2.0, f32::NAN];
        let map = ErrorMap::new(&actual, &golden, 4, Tolerance::DEFAULT);
        let scale = Scale::of(map.values.iter().map(|cell| cell.largest_error));
        let drawn: Vec<String> = paths(&map, &scale)
            .iter()
            .map(|(paint, path)| format!("{} {path}", paint.class()))
            .collect();
        assert_eq!(drawn, ["i0 M1 0h2", "o5 M3 0h1M0 1h1M2 1h1", "nf M3 1h1"]);
    }

    #[test]
    fn many_cells_outside_have_no_rings() {
        let rings_of = |outside: usize| {
            let mut actual = vec![0.0; 96];
            actual[..outside].fill(1.0);
            let map = ErrorMap::new(&actual, &[0.0; 96], 96, Tolerance::DEFAULT);
            rings(&map, &Frame::new(map.cells))
                .into_string()
                .matches("<circle")
                .count()
        };
        assert_eq!([rings_of(0), rings_of(24), rings_of(25)], [0, 24, 0]);
    }
}
