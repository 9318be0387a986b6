//! The detection floor as a picture: for each bit, the share of its flips that are caught.

use plotters::prelude::*;

use super::{BITS, Floor};

const SIZE: (u32, u32) = (880, 420);
const SIGN: RGBColor = RGBColor(0x6a, 0x3d, 0x9a);
const EXPONENT: RGBColor = RGBColor(0xd9, 0x5f, 0x0e);
const MANTISSA: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// Draws it as SVG; bit 31 stands on the left, as in the number.
pub fn svg(title: &str, floor: &Floor) -> String {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        // A string can take any drawing; nothing else can fail.
        draw(&root, title, floor).expect("drawing into a string");
        root.present().expect("drawing into a string");
    }
    text
}

fn draw<'a>(root: &Area<'a>, title: &str, floor: &Floor) -> Drawn<'a> {
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 18))?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..BITS as f64, 0.0..112.0)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.08))
        .x_desc("flipped bit of an output: 31 sign, 30 to 23 exponent, 22 to 0 mantissa")
        .y_desc("caught, %")
        .x_labels(0)
        .y_label_formatter(&|value| {
            if *value > 100.0 {
                String::new()
            } else {
                format!("{value:.0}")
            }
        })
        .draw()?;
    for (colour, name, bits) in [
        (SIGN, "sign", 31..=31),
        (EXPONENT, "exponent", 23..=30),
        (MANTISSA, "mantissa", 0..=22),
    ] {
        let bars = bits.clone().map(|bit| {
            let left = (BITS - 1 - bit) as f64;
            let share = 100.0 * floor.share(bit).unwrap_or(0.0);
            Rectangle::new([(left + 0.1, 0.0), (left + 0.9, share)], colour.filled())
        });
        let legend = move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled());
        chart.draw_series(bars)?.label(name).legend(legend);
        let labels = bits.map(|bit| {
            Text::new(
                bit.to_string(),
                ((BITS - 1 - bit) as f64 + 0.25, 110.0),
                ("sans-serif", 12),
            )
        });
        chart.draw_series(labels)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .border_style(TRANSPARENT)
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Tolerance;

    #[test]
    fn the_picture_names_its_axes_and_fields() {
        let mut floor = Floor::default();
        floor.add(
            &[1.0],
            &[1.0],
            Tolerance {
                atol: 1e-3,
                rtol: 0.0,
            },
        );
        let text = svg("detection floor of nano", &floor);
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
        assert!(svg("empty", &Floor::default()).contains("</svg>"));
    }
}
