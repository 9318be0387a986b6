//! The sizes of all errors, drawn beside the tolerance.

use console::grouped;
use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use super::super::chart::{Area, BAR, Drawn, INK, LINE, MARK, font, svg};
use crate::compare::histogram::Bin;
use crate::compare::{Histogram, Tolerance};

const SIZE: (u32, u32) = (720, 240);

/// A count of one is drawn so much above the ground, in powers of ten, since it is not nothing.
const ONE: f64 = 0.25;

/// The drawing with its legend.
pub(super) fn figure(name: &str, counts: &Histogram, tolerance: Tolerance) -> Markup {
    let bins: Vec<Bin> = counts.bins().collect();
    let finite: u64 = bins.iter().map(|bin| bin.count).sum();
    let all = counts.equal + counts.non_finite + finite;
    let percent = 100.0 * counts.equal as f64 / all.max(1) as f64;
    html! {
        figure {
            @if bins.is_empty() {
                p { "No finite error to draw." }
            } @else {
                (PreEscaped(svg(SIZE, |area| draw(area, &bins, tolerance.atol).is_ok())))
            }
            figcaption {
                (name) ": elements by |actual − golden|, each bar a factor of two. "
                "Equal to the golden: " (grouped(counts.equal as usize))
                " (" (format!("{percent:.1}")) " %), not finite: "
                (grouped(counts.non_finite as usize)) "."
                @if tolerance.rtol > 0.0 {
                    " The line is atol; rtol allows more where the golden is large."
                }
            }
        }
    }
}

/// Both axes are logarithmic, in powers of ten.
fn draw<'a>(area: &Area<'a>, bins: &[Bin], atol: f32) -> Drawn<'a> {
    let atol_power = f64::from(atol).log10();
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(1);
    let top = (most as f64).log10().ceil().max(1.0) + ONE;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(range(bins, atol_power), 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LINE)
        .axis_style(INK)
        .axis_desc_style(font(12))
        .label_style(font(12))
        .x_desc("absolute error")
        .y_desc("elements")
        .x_labels(12)
        .y_labels(6)
        .x_label_formatter(&power_of_ten)
        .y_label_formatter(&count)
        .draw()?;
    chart.draw_series(bins.iter().map(bar))?;
    if atol_power.is_finite() {
        let line = [(atol_power, 0.0), (atol_power, top)];
        let line = PathElement::new(line, MARK.stroke_width(2));
        let text = Text::new(format!(" atol {atol:e}"), (atol_power, top), font(12));
        chart.draw_series([line])?;
        chart.draw_series([text])?;
    }
    Ok(())
}

/// From below the least error to above the greatest; the tolerance is inside.
fn range(bins: &[Bin], atol_power: f64) -> std::ops::Range<f64> {
    let edges = bins
        .iter()
        .flat_map(|bin| [bin.exponent, bin.exponent + 1])
        .map(power);
    let edges = edges.chain(Some(atol_power).filter(|power| power.is_finite()));
    let (least, greatest) = edges.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), edge| {
        (low.min(edge), high.max(edge))
    });
    least.floor() - 0.5..greatest.ceil() + 0.5
}

/// A power of two as a power of ten.
fn power(exponent: i32) -> f64 {
    f64::from(exponent) * std::f64::consts::LOG10_2
}

fn bar(bin: &Bin) -> Rectangle<(f64, f64)> {
    let (left, right) = (power(bin.exponent), power(bin.exponent + 1));
    let gap = 0.05 * (right - left);
    let height = (bin.count as f64).log10() + ONE;
    Rectangle::new([(left + gap, 0.0), (right - gap, height)], BAR.filled())
}

fn power_of_ten(power: &f64) -> String {
    if power.fract() == 0.0 {
        format!("1e{power:.0}")
    } else {
        String::new()
    }
}

/// Numbers of elements at whole powers of ten.
fn count(height: &f64) -> String {
    if height.fract() != 0.0 {
        return String::new();
    }
    match *height as u32 {
        power @ 0..4 => 10u32.pow(power).to_string(),
        power => format!("1e{power}"),
    }
}
