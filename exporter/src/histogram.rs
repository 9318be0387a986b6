//! The confidences of a bundle's samples as a picture: a histogram, correct and incorrect apart,
//! with the tiers' bounds.

use plotters::prelude::*;
use proto::bundle::Samples;

const SIZE: (u32, u32) = (880, 420);
const BINS: usize = 50;
/// Half the space between two bars, in units of confidence.
const GAP: f64 = 0.001;
/// Height of the chart over its highest bar.
const HEADROOM: f64 = 1.08;
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
    let counts = bins.correct.iter().zip(&bins.incorrect);
    let most = counts.map(|(a, b)| a + b).max().unwrap_or(0).max(1) as f64 * HEADROOM;
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
    let (correct, incorrect) = (total(&bins.correct), total(&bins.incorrect));
    chart
        .draw_series(bars(&[0; BINS], &bins.correct, CORRECT))?
        .label(format!("correct ({correct})"))
        .legend(|at| legend(at, CORRECT));
    chart
        .draw_series(bars(&bins.correct, &bins.incorrect, INCORRECT))?
        .label(format!("incorrect ({incorrect})"))
        .legend(|at| legend(at, INCORRECT));
    let bounds = (1..tiers).map(|tier| tier as f64 / tiers as f64);
    let style = BOUND.mix(0.6).stroke_width(1);
    chart.draw_series(bounds.map(|x| PathElement::new([(x, 0.0), (x, most)], style)))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperMiddle)
        .border_style(TRANSPARENT)
        .draw()
}

/// One bar a bin, each upon the one of `below`.
fn bars(below: &[usize], counts: &[usize], colour: RGBColor) -> Vec<Rectangle<(f64, f64)>> {
    let bar = |(bin, (&below, &count)): (usize, (&usize, &usize))| {
        let (left, right) = (bin as f64 / BINS as f64, (bin + 1) as f64 / BINS as f64);
        let (from, to) = (below as f64, below as f64 + count as f64);
        Rectangle::new([(left + GAP, from), (right - GAP, to)], colour.filled())
    };
    below.iter().zip(counts).enumerate().map(bar).collect()
}

fn legend((x, y): (i32, i32), colour: RGBColor) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled())
}

fn total(counts: &[usize]) -> usize {
    counts.iter().sum()
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
