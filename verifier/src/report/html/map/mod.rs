//! The errors of a sample as a map: the tensor with its axes, how large each error is, and which
//! are outside the tolerance.

mod axes;
mod cells;
mod frame;
mod legend;
mod scale;

use maud::{Markup, html};

use self::frame::Frame;
use self::scale::Scale;
use crate::check::worst::WorstSample;

/// The map with its axes and its legend.
pub(super) fn picture(sample: &WorstSample) -> Markup {
    let map = &sample.map;
    let scale = Scale::of(map.values.iter().map(|cell| cell.largest_error));
    let axes = axes::Axes::of(&sample.output, map.elements);
    let frame = Frame::new(map.cells);
    let legend_top = frame.bottom() + axes.height();
    let view = format!("0 0 {} {:.0}", frame::WIDTH, legend_top + legend::HEIGHT);
    let label = format!("{} by {} elements", map.elements[0], map.elements[1]);
    html! {
        svg.map viewBox=(view) role="img" aria-label=(label) {
            title { (label) }
            (cells::ground(&frame))
            (cells::cells(map, &scale, &frame))
            (axes.draw(map, &frame))
            (cells::rings(map, &frame))
            (legend::draw(&scale, legend_top))
        }
    }
}
