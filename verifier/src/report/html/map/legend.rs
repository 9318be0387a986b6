//! What the colours of a map mean, in numbers.

use maud::{Markup, html};

use super::cells::{NON_FINITE, outside, within};
use super::scale::Scale;

/// What it needs below the axes.
pub(super) const HEIGHT: f64 = 40.0;

/// Left of the strips, for their names.
const LEFT: f64 = 44.0;

/// Width of a level.
const LEVEL: f64 = 28.0;

/// Height of a strip.
const STRIP: f64 = 10.0;

/// A strip of colours for errors outside, one of greys for those within the tolerance, the powers
/// of ten that part the levels, and the colour of what is not finite.
pub(super) fn draw(scale: &Scale, top: f64) -> Markup {
    let levels = scale.upper_ends.len();
    let end = LEFT + LEVEL * levels as f64;
    html! {
        g.legend {
            @if levels > 0 {
                (strip("outside", scale, top + 2.0, outside))
                (strip("within", scale, top + 2.0 + STRIP + 2.0, within))
                (number("0", LEFT, top))
                @for (level, exponent) in scale.upper_ends.iter().enumerate() {
                    (number(&format!("1e{exponent}"), LEFT + LEVEL * (level + 1) as f64, top))
                }
            }
            @if scale.has_infinite {
                @let x = if levels > 0 { end + 8.0 } else { LEFT };
                (swatch(NON_FINITE, x, top + 2.0, STRIP))
                text x=(x + STRIP + 4.0) y=(format!("{:.1}", top + 11.0)) { "not finite" }
            }
        }
    }
}

fn strip(name: &str, scale: &Scale, top: f64, class: impl Fn(usize) -> String) -> Markup {
    html! {
        text text-anchor="end" x=(LEFT - 5.0) y=(format!("{:.1}", top + 8.5)) { (name) }
        @for level in 0..scale.upper_ends.len() {
            (swatch(&class(scale.shade(level)), LEFT + LEVEL * level as f64, top, LEVEL))
        }
    }
}

fn swatch(class: &str, x: f64, top: f64, width: f64) -> Markup {
    html! {
        rect class=(class) x=(x) y=(format!("{top:.1}")) width=(width) height=(STRIP) {}
    }
}

fn number(text: &str, x: f64, top: f64) -> Markup {
    html! { text text-anchor="middle" x=(x) y=(format!("{:.1}", top + HEIGHT - 4.0)) { (text) } }
}
