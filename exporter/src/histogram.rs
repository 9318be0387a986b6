//! The confidences of a bundle's samples as a picture: a histogram, correct and incorrect apart,
//! with the tiers' bounds.

use plotters::prelude::*;

use crate::samples::Samples;

const SIZE: (u32, u32) = (880, 420);
const BINS: usize = 50;
const CORRECT: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const INCORRECT: RGBColor = RGBColor(0xd9, 0x5f, 0x0e);
const BOUND: RGBColor = RGBColor(0x60, 0x66, 0x70);

/// Draws the histogram as SVG.
pub fn svg(title: &str, samples: &Samples, tiers: usize) -> String {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        // A string can take any drawing; nothing else can fail.
        draw(&root, title, samples, tiers).expect("drawing into a string");
        root.present().expect("drawing into a string");
    }
    text
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(root: &Area<'a>, title: &str, samples: &Samples, tiers: usize) -> Drawn<'a> {
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 18))?;
    // A bin's lower bound is open and its upper closed, like a tier's.
    let bins = samples.tiers(BINS);
    let most = bins
        .correct
        .iter()
        .zip(&bins.incorrect)
        .map(|(a, b)| a + b)
        .max()
        .unwrap_or(0)
        .max(1) as f64
        * 1.08;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..1.0, 0.0..most)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.08))
        .x_desc("confidence")
        .y_desc("samples")
        .x_label_formatter(&|value| format!("{value:.1}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    let bars = |from: Vec<f64>, height: &[usize], colour: RGBColor| {
        let bar = move |(bin, (from, &height)): (usize, (f64, &usize))| {
            let (left, right) = (bin as f64 / BINS as f64, (bin + 1) as f64 / BINS as f64);
            Rectangle::new(
                [(left + 0.001, from), (right - 0.001, from + height as f64)],
                colour.filled(),
            )
        };
        from.into_iter()
            .zip(height)
            .enumerate()
            .map(bar)
            .collect::<Vec<_>>()
    };
    let tops = bins.correct.iter().map(|&count| count as f64).collect();
    let legend = |colour: RGBColor| {
        move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled())
    };
    chart
        .draw_series(bars(vec![0.0; BINS], &bins.correct, CORRECT))?
        .label(format!("correct ({})", bins.correct.iter().sum::<usize>()))
        .legend(legend(CORRECT));
    chart
        .draw_series(bars(tops, &bins.incorrect, INCORRECT))?
        .label(format!(
            "incorrect ({})",
            bins.incorrect.iter().sum::<usize>()
        ))
        .legend(legend(INCORRECT));
    let bounds = (1..tiers).map(|tier| tier as f64 / tiers as f64);
    let bound = |x: f64| PathElement::new([(x, 0.0), (x, most)], BOUND.mix(0.6).stroke_width(1));
    chart.draw_series(bounds.map(bound))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperMiddle)
        .border_style(TRANSPARENT)
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_names_its_axes_and_counts() {
        let samples = Samples {
            confidence: vec![0.1, 0.9, 0.95],
            correct: vec![false, true, true],
        };
        let text = svg("confidence of nano", &samples, 4);
        for part in [
            "<svg",
            "confidence of nano",
            "samples",
            "correct (2)",
            "incorrect (1)",
            "</svg>",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(
            svg(
                "empty",
                &Samples {
                    confidence: vec![],
                    correct: vec![]
                },
                1
            )
            .contains("</svg>")
        );
    }
}
