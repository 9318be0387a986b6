//! The detection floor as a picture: for each bit, the share of its flips that are caught.

use plotters::prelude::*;

use super::chart::{Area, Drawn, INK, LINE, font, svg};
use crate::calibrate::{BITS, Floor};

const SIZE: (u32, u32) = (880, 420);
const SIGN: RGBColor = RGBColor(0x6a, 0x3d, 0x9a);
const EXPONENT: RGBColor = RGBColor(0xd9, 0x5f, 0x0e);
const MANTISSA: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);

/// Draws it as SVG; bit 31 stands on the left, as in the number.
pub fn floor_plot(title: &str, floor: &Floor) -> String {
    svg(SIZE, |area| draw(area, title, floor).is_ok())
}

fn draw<'a>(area: &Area<'a>, title: &str, floor: &Floor) -> Drawn<'a> {
    area.fill(&WHITE)?;
    let area = area.titled(title, font(18))?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..BITS as f64, 0.0..112.0)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(LINE)
        .axis_style(INK)
        .axis_desc_style(font(14))
        .label_style(font(12))
        .x_desc("flipped bit of an output: 31 sign, 30 to 23 exponent, 22 to 0 mantissa")
        .y_desc("caught, %")
        .x_labels(0)
        .y_label_formatter(&percent)
        .draw()?;
    for (colour, name, bits) in [
        (SIGN, "sign", 31..=31),
        (EXPONENT, "exponent", 23..=30),
        (MANTISSA, "mantissa", 0..=22),
    ] {
        let bars = bits.clone().map(|bit| bar(floor, bit, colour));
        let legend = move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled());
        chart.draw_series(bars)?.label(name).legend(legend);
        chart.draw_series(bits.map(label))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .border_style(TRANSPARENT)
        .label_font(font(12))
        .draw()
}

/// The axis ends above 100 to leave room for the numbers of the bits.
fn percent(value: &f64) -> String {
    if *value > 100.0 {
        String::new()
    } else {
        format!("{value:.0}")
    }
}

fn left_of(bit: usize) -> f64 {
    (BITS - 1 - bit) as f64
}

fn bar(floor: &Floor, bit: usize, colour: RGBColor) -> Rectangle<(f64, f64)> {
    let share = 100.0 * floor.share(bit).unwrap_or(0.0);
    let left = left_of(bit);
    Rectangle::new([(left + 0.1, 0.0), (left + 0.9, share)], colour.filled())
}

fn label(bit: usize) -> Text<'static, (f64, f64), String> {
    Text::new(bit.to_string(), (left_of(bit) + 0.25, 110.0), font(12))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Tolerance;

    #[test]
    fn the_picture_names_its_axes_and_fields() {
        let mut floor = Floor::default();
        let tolerance = Tolerance {
            atol: 1e-3,
            rtol: 0.0,
        };
        floor.add(&[1.0], &[1.0], tolerance);
        let text = floor_plot("detection floor of nano", &floor);
        for part in [
            "<svg",
            "detection floor of nano",
            "caught, %",
            "sign",
            "exponent",
            "mantissa",
            "</svg>",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(floor_plot("empty", &Floor::default()).contains("</svg>"));
    }
}
