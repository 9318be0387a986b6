//! The sizes of all errors, drawn beside the tolerance.

use std::f64::consts::LOG2_10;

use maud::{Markup, html};

use crate::compare::Tolerance;
use crate::report::{HistogramReport, grouped};

/// The drawing, and the margins around the bars.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 42.0;

/// Both axes are logarithmic: powers of two along, in which the bins are, and powers of ten up.
struct Axes {
    /// Base-2 logarithms of the least and the greatest error shown.
    errors: (f64, f64),
    /// Base-10 logarithm of the greatest count shown.
    decades: f64,
}

impl Axes {
    fn of(counts: &HistogramReport, atol: f32) -> Self {
        let tolerance = f64::from(atol).log2();
        let tolerance = tolerance
            .is_finite()
            .then_some((tolerance - 1.0, tolerance + 1.0));
        let bins = counts
            .bins
            .iter()
            .map(|bin| (f64::from(bin.exponent), f64::from(bin.exponent + 1)));
        let (least, greatest) = bins
            .chain(tolerance)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (a, b)| {
                (low.min(a), high.max(b))
            });
        let most = counts
            .bins
            .iter()
            .map(|bin| bin.count)
            .max()
            .unwrap_or(1)
            .max(1);
        Self {
            errors: (least.floor() - 1.0, greatest.ceil() + 1.0),
            decades: (most as f64).log10().ceil().max(1.0),
        }
    }

    fn x(&self, logarithm: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (logarithm - self.errors.0)
            / (self.errors.1 - self.errors.0)
    }

    /// A count of one is above the ground, since it is not nothing.
    fn y(&self, count: f64) -> f64 {
        let height = if count < 1.0 {
            0.0
        } else {
            (count.log10() + 0.25) / (self.decades + 0.25)
        };
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height
    }

    /// Powers of ten among the errors, about a dozen at most.
    fn error_ticks(&self) -> impl Iterator<Item = i32> {
        let (first, last) = (
            (self.errors.0 / LOG2_10).ceil() as i32,
            (self.errors.1 / LOG2_10).floor() as i32,
        );
        (first..=last).step_by(usize::try_from((last - first) / 12 + 1).unwrap_or(1))
    }
}

pub(super) fn figure(name: &str, counts: &HistogramReport, tolerance: Tolerance) -> Markup {
    let all =
        counts.equal + counts.non_finite + counts.bins.iter().map(|bin| bin.count).sum::<u64>();
    let percent = 100.0 * counts.equal as f64 / all.max(1) as f64;
    html! {
        figure {
            @if counts.bins.is_empty() { p { "No finite error to draw." } } @else { (drawing(counts, tolerance)) }
            figcaption {
                code { (name) } ": elements by |actual − golden|, each bar a factor of two. Equal to the golden: "
                (grouped(counts.equal as usize)) " (" (format!("{percent:.1}")) " %), not finite: "
                (grouped(counts.non_finite as usize)) "."
                @if tolerance.rtol > 0.0 { " The line is atol; rtol allows more where the golden is large." }
            }
        }
    }
}

fn drawing(counts: &HistogramReport, tolerance: Tolerance) -> Markup {
    let axes = Axes::of(counts, tolerance.atol);
    let (ground, atol) = (HEIGHT - BOTTOM, f64::from(tolerance.atol).log2());
    let n = |value: f64| format!("{value:.1}");
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="histogram of absolute errors" {
            @for decade in 0..=axes.decades as i32 {
                @let y = n(axes.y(10f64.powi(decade)));
                line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y) y2=(y) stroke="var(--line)" {}
                text x=(LEFT - 6.0) y=(y) dy="4" text-anchor="end" { (if decade < 4 { 10i32.pow(decade as u32).to_string() } else { format!("1e{decade}") }) }
            }
            @for bin in &counts.bins {
                @let (left, right) = (axes.x(f64::from(bin.exponent)), axes.x(f64::from(bin.exponent + 1)));
                @let top = axes.y(bin.count as f64);
                rect x=(n(left + 0.75)) y=(n(top)) width=(n((right - left - 1.5).max(0.5))) height=(n(ground - top)) fill="var(--bar)" {
                    title { (grouped(bin.count as usize)) " elements from 2^" (bin.exponent) " to 2^" (bin.exponent + 1) }
                }
            }
            line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(ground) y2=(ground) stroke="var(--soft)" {}
            @for power in axes.error_ticks() {
                @let x = n(axes.x(f64::from(power) * LOG2_10));
                line x1=(x) x2=(x) y1=(ground) y2=(ground + 5.0) stroke="var(--soft)" {}
                text x=(x) y=(ground + 18.0) text-anchor="middle" { "1e" (power) }
            }
            text x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { "absolute error" }
            text x=(LEFT - 40.0) y="12" { "elements" }
            @if atol.is_finite() {
                @let x = axes.x(atol);
                line x1=(n(x)) x2=(n(x)) y1=(TOP - 6.0) y2=(ground) stroke="var(--mark)" stroke-width="1.5" stroke-dasharray="4 3" {}
                text x=(n(x)) y="12" text-anchor=(if x > WIDTH / 2.0 { "end" } else { "start" }) { "atol " (format!("{:e}", tolerance.atol)) }
            }
        }
    }
}
