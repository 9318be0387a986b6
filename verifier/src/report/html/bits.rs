//! What became of many faults, by the bit that they invert.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use super::super::by_bit::{ByBit, Counts, OUTCOMES};
use super::super::chart::{Area, BAR, Drawn, GOOD, INK, LINE, MARK, PALE, font, svg};

const SIZE: (u32, u32) = (720, 240);

/// Of each outcome the colour of its bars, and what the style sheet calls it.
const COLOURS: [(RGBColor, &str); OUTCOMES.len()] = [
    (PALE, "pale"),
    (BAR, "bar"),
    (GOOD, "good"),
    (MARK, "mark"),
    (LINE, "line"),
];

/// Where the numbers of the bits stand, in tallest bars.
const ABOVE: f64 = 1.15;

/// A bar for each bit, the outcomes on top of each other, with a legend.
pub(super) fn figure(sums: &ByBit) -> Markup {
    let bars = bars(sums);
    let is_used = |number: &usize| bars.iter().any(|(_, counts)| counts[*number] > 0);
    html! {
        figure {
            (PreEscaped(svg(SIZE, |area| draw(area, &bars).is_ok())))
            figcaption {
                "Faults by the bit that they invert, and their outcome:"
                @for number in (0..OUTCOMES.len()).filter(is_used) {
                    @let colour = format!("background:var(--{})", COLOURS[number].1);
                    " " span.swatch style=(colour) {} (OUTCOMES[number].name().to_lowercase())
                }
            }
        }
    }
}

/// Bit 31 is the first, as in the number; other values come last, where there are any.
fn bars(sums: &ByBit) -> Vec<(String, Counts)> {
    let bits = sums.flips.iter().enumerate().rev();
    let mut bars: Vec<(String, Counts)> = bits
        .map(|(bit, counts)| (bit.to_string(), *counts))
        .collect();
    if total(&sums.values) > 0 {
        bars.push(("=".to_owned(), sums.values));
    }
    bars
}

fn draw<'a>(area: &Area<'a>, bars: &[(String, Counts)]) -> Drawn<'a> {
    let most = bars.iter().map(|(_, counts)| total(counts)).max();
    let most = most.unwrap_or(0).max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..bars.len() as f64, 0.0..ABOVE * most)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(LINE)
        .axis_style(INK)
        .axis_desc_style(font(12))
        .label_style(font(12))
        .x_desc("bit: 31 sign, 30 to 23 exponent, 22 to 0 mantissa, = another value")
        .y_desc("faults")
        .x_labels(0)
        .y_labels(6)
        .y_label_formatter(&whole)
        .draw()?;
    for (column, (name, counts)) in bars.iter().enumerate() {
        let column = column as f64;
        let name = Text::new(name.clone(), (column + 0.2, ABOVE * most), font(12));
        chart.draw_series([name])?;
        chart.draw_series(stack(column, counts))?;
    }
    Ok(())
}

/// The outcomes of one bit, on top of each other.
fn stack(column: f64, counts: &Counts) -> Vec<Rectangle<(f64, f64)>> {
    let mut parts = Vec::new();
    let mut bottom = 0.0;
    for (&count, (colour, _)) in counts.iter().zip(COLOURS).filter(|(count, _)| **count > 0) {
        let top = bottom + count as f64;
        let corners = [(column + 0.1, bottom), (column + 0.9, top)];
        parts.push(Rectangle::new(corners, colour.filled()));
        bottom = top;
    }
    parts
}

fn total(counts: &Counts) -> usize {
    counts.iter().sum()
}

/// Whole numbers of faults.
fn whole(count: &f64) -> String {
    if count.fract() == 0.0 {
        format!("{count:.0}")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_stacked_and_none_is_an_empty_bar() {
        let stack = stack(3.0, &[2, 0, 5, 0, 0]);
        assert_eq!(stack.len(), 2);
        let mut sums = ByBit::default();
        assert_eq!(bars(&sums).len(), 32);
        assert_eq!(bars(&sums)[0].0, "31");
        sums.values[1] = 1;
        assert_eq!(bars(&sums)[32], ("=".to_owned(), [0, 1, 0, 0, 0]));
        let page = figure(&sums).into_string();
        assert!(
            page.contains("within tolerance") && !page.contains("masked"),
            "{page}"
        );
        let colour = "#4A76B8";
        assert_eq!(page.matches(colour).count(), 1, "one bar in\n{page}");
    }
}
