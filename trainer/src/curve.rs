//! A training run as a picture: loss and accuracy over the epochs, as SVG.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::train::EpochRow;

const SIZE: (u32, u32) = (880, 380);
const TRAIN: RGBColor = RGBColor(0x90, 0x96, 0xa0);
const TEST: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const BEST: RGBColor = RGBColor(0xd9, 0x5f, 0x0e);

/// Draws the epochs so far: loss on the left, test accuracy on the right with the best epoch
/// marked.
pub fn svg(title: &str, history: &[EpochRow], epochs: usize) -> String {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        // A string can take any drawing; nothing else can fail.
        draw(&root, title, history, epochs).expect("drawing into a string");
        root.present().expect("drawing into a string");
    }
    text
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(root: &Area<'a>, title: &str, history: &[EpochRow], epochs: usize) -> Drawn<'a> {
    root.fill(&WHITE)?;
    let root = root.titled(title, ("sans-serif", 18))?;
    let (left, right) = root.split_horizontally(SIZE.0 / 2);
    let train = points(history, |row| row.train_loss);
    let test = points(history, |row| row.test_loss);
    let most = train
        .iter()
        .chain(&test)
        .map(|point| point.1)
        .fold(0.1, f64::max);
    panel(
        &left,
        "loss (nats)",
        epochs,
        most * 1.05,
        &[("train", TRAIN, &train), ("test", TEST, &test)],
        None,
    )?;

    let accuracy = points(history, |row| 100.0 * row.test_accuracy());
    let best = accuracy
        .iter()
        .copied()
        .reduce(|best, point| if point.1 > best.1 { point } else { best });
    panel(
        &right,
        "test accuracy (%)",
        epochs,
        100.0,
        &[("test", TEST, &accuracy)],
        best,
    )
}

/// A number of every epoch, over the epochs.
fn points(history: &[EpochRow], number: fn(&EpochRow) -> f64) -> Vec<(f64, f64)> {
    history
        .iter()
        .map(|row| (row.epoch as f64, number(row)))
        .collect()
}

type Line<'a> = (&'a str, RGBColor, &'a [(f64, f64)]);

fn panel<'a>(
    area: &Area<'a>,
    name: &str,
    epochs: usize,
    most: f64,
    lines: &[Line<'_>],
    best: Option<(f64, f64)>,
) -> Drawn<'a> {
    let decimals = if most < 20.0 { 1 } else { 0 };
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..epochs.max(1) as f64, 0.0..most)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.08))
        .x_desc("epoch")
        .y_desc(name)
        .x_labels(epochs.clamp(1, 10) + 1)
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .y_label_formatter(&|value| format!("{value:.decimals$}"))
        .draw()?;
    for &(label, colour, points) in lines {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(2);
        chart
            .draw_series(line)?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    if let Some((epoch, value)) = best {
        let style = ("sans-serif", 14)
            .into_font()
            .color(&BEST)
            .pos(Pos::new(HPos::Center, VPos::Bottom));
        let mark = EmptyElement::at((epoch, value))
            + Circle::new((0, 0), 4, BEST.filled())
            + Text::new(format!("best {value:.2} %"), (0, -8), style);
        chart.draw_series([mark])?;
    }
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .border_style(TRANSPARENT)
            .draw()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_names_its_axes_and_marks_the_best_epoch() {
        let row = |epoch, train_loss, test_correct| EpochRow {
            epoch,
            learning_rate: 1e-3,
            train_loss,
            test_loss: train_loss + 0.1,
            test_correct,
            test_samples: 1000,
        };
        let text = svg(
            "nano on CIFAR-10",
            &[row(1, 2.0, 400), row(2, 1.5, 612), row(3, 1.4, 600)],
            3,
        );
        for part in [
            "<svg",
            "nano on CIFAR-10",
            "loss (nats)",
            "test accuracy (%)",
            "best 61.20 %",
            "</svg>",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(svg("before the first epoch", &[], 3).contains("</svg>"));
    }
}
