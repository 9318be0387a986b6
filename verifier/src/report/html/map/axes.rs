//! The axes of a map: their names, and numbers or names of some elements.

use maud::{Markup, html};
use proto::manifest::dataset;
use proto::preprocessing::CIFAR10_CLASSES;

use super::frame::{Frame, LEFT, TOP};
use crate::check::FaultyOutput;
use crate::compare::error_map::ErrorMap;

/// Most numbers along an axis.
const MOST_TICKS: usize = 6;

/// Least distance of two numbers on the left, from base line to base line.
const LINE: f64 = 12.0;

/// What the axes of an output are.
pub(super) struct Axes {
    /// Of the rows; absent where there is but one.
    rows: Option<&'static str>,
    columns: &'static str,
    /// Whether the columns are CIFAR-10's classes.
    has_classes: bool,
}

impl Axes {
    /// Of an output whose map has so many rows and columns of elements.
    pub(super) fn of(output: &FaultyOutput, elements: [usize; 2]) -> Self {
        let is_logits = output.output == dataset::LOGITS;
        // The first number of an index is the sample.
        let (rows, columns) = match output.worst.index.len().saturating_sub(1) {
            0 | 1 if is_logits => ("row", "class"),
            0 | 1 => ("row", "feature"),
            2 => ("token", "feature"),
            _ => ("other axes", "last axis"),
        };
        Self {
            rows: (elements[0] > 1).then_some(rows),
            columns,
            has_classes: is_logits && elements[1] == CIFAR10_CLASSES.len(),
        }
    }

    /// What numbers and names need below the map.
    pub(super) fn height(&self) -> f64 {
        if self.has_classes { 58.0 } else { 30.0 }
    }

    /// Draws them at the left and lower edge.
    pub(super) fn draw(&self, map: &ErrorMap, frame: &Frame) -> Markup {
        let name_y = frame.bottom() + self.height() - 4.0;
        let rows = format!("translate(9 {:.1}) rotate(-90)", TOP + frame.height / 2.0);
        html! {
            @for column in self.columns_shown(map) {
                (self.column(column, frame.x(centre(column, map.side[1])), frame))
            }
            text text-anchor="middle" x=(LEFT + frame.width / 2.0) y=(format!("{name_y:.1}")) {
                (self.columns)
            }
            @if let Some(name) = self.rows {
                @let most = (frame.height / LINE) as usize;
                @for row in ticks(map.elements[0], most) {
                    (row_number(row, frame.y(centre(row, map.side[0]))))
                }
                text text-anchor="middle" transform=(rows) { (name) }
            }
        }
    }

    fn columns_shown(&self, map: &ErrorMap) -> Vec<usize> {
        if self.has_classes {
            (0..CIFAR10_CLASSES.len()).collect()
        } else {
            ticks(map.elements[1], MOST_TICKS)
        }
    }

    fn column(&self, column: usize, x: f64, frame: &Frame) -> Markup {
        let bottom = frame.bottom();
        let slanted = format!("translate({:.1} {:.1}) rotate(-40)", x + 3.0, bottom + 11.0);
        html! {
            path.tick d=(format!("M{x:.1} {bottom:.1}v3")) {}
            @if self.has_classes {
                text text-anchor="end" transform=(slanted) { (CIFAR10_CLASSES[column]) }
            } @else {
                text text-anchor="middle" x=(format!("{x:.1}"))
                    y=(format!("{:.1}", bottom + 13.0)) { (column) }
            }
        }
    }
}

fn row_number(row: usize, y: f64) -> Markup {
    html! {
        path.tick d=(format!("M{LEFT} {y:.1}h-3")) {}
        text text-anchor="end" x=(LEFT - 5.0) y=(format!("{:.1}", y + 3.5)) { (row) }
    }
}

/// The middle of an element, in cells of so many elements.
fn centre(element: usize, side: usize) -> f64 {
    (element as f64 + 0.5) / side.max(1) as f64
}

/// Elements of an axis that bear a number, 0 among them: at most so many, at least one; 1, 2 or 5
/// times a power of ten apart.
fn ticks(length: usize, most: usize) -> Vec<usize> {
    let most = most.clamp(1, MOST_TICKS);
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10usize.pow(power)));
    let mut steps = steps.skip_while(|step| length.div_ceil(*step) > most);
    let step = steps
        .next()
        .expect("some power of ten is above every length");
    (0..length).step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_round_and_not_too_many() {
        assert_eq!(ticks(65, 6), [0, 20, 40, 60]);
        assert_eq!(ticks(96, 6), [0, 20, 40, 60, 80]);
        assert_eq!(ticks(197, 6), [0, 50, 100, 150]);
        assert_eq!(ticks(768, 6), [0, 200, 400, 600]);
        assert_eq!(ticks(4, 6), [0, 1, 2, 3]);
        assert_eq!(ticks(65, 1), [0]);
        assert!(ticks(0, 6).is_empty());
    }
}
