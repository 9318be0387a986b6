//! Rates as dots and their intervals as whiskers, row under row on one logarithmic axis, with the
//! numbers beside them.

use maud::{Markup, html};

use super::super::RateRecord;
use super::percent::{interval, line, percent};

/// What one column of numbers is of.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    /// What the style sheet calls the colour of its dots; `None` if it has numbers alone.
    pub(super) colour: Option<&'static str>,
}

/// One line of the table.
pub(super) struct Row<'r> {
    /// What it is of, and what else is said of it.
    pub(super) cells: Vec<String>,
    /// Of each series.
    pub(super) rates: Vec<Option<&'r RateRecord>>,
}

/// The axis: powers of ten, from this one to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    least: i32,
}

/// The axis has at most so many powers of ten.
const LONGEST: i32 = 6;

/// Height of a series in a row, in pixels.
const LANE: usize = 9;

impl Axis {
    /// From below the least rate; a lower limit may lie further down.
    fn of(rows: &[Row<'_>]) -> Self {
        let rates = rows.iter().flat_map(|row| row.rates.iter().flatten());
        let shown = rates.filter_map(|rate| rate.estimate.filter(|&estimate| estimate > 0.0));
        let least = shown.fold(0.1, f64::min).log10().floor();
        Self {
            least: (least as i32).max(-LONGEST),
        }
    }

    /// Where a rate stands, in percent of the width; what lies below the axis, at its left end.
    fn x(self, rate: f64) -> f64 {
        let power = rate.max(f64::MIN_POSITIVE).log10();
        100.0 * (1.0 - power / f64::from(self.least)).clamp(0.0, 1.0)
    }
}

/// The table; `head` names the first columns.
pub(super) fn table(head: &[&str], series: &[Series], rows: &[Row<'_>]) -> Markup {
    let axis = Axis::of(rows);
    html! {
        figure {
            div.wide { table.rates {
                thead { tr {
                    @for name in head { th { (name) } }
                    th {}
                    @for own in series { th.n { (own.name) } }
                } }
                tbody { @for row in rows { (table_row(row, series, axis)) } }
                tfoot { tr {
                    td colspan=(head.len()) {}
                    td.plot { (numbers(axis)) }
                    td colspan=(series.len()) {}
                } }
            } }
            figcaption {
                "Dots are rates, whiskers their intervals, on a logarithmic axis; a ring at its \
                 left end: none was seen."
                @for own in series {
                    @if let Some(colour) = own.colour {
                        " " span.key { span class={ "swatch " (colour) } {} (own.name) }
                    }
                }
            }
        }
    }
}

fn table_row(row: &Row<'_>, series: &[Series], axis: Axis) -> Markup {
    let (name, rest) = row.cells.split_first().expect("a row is of something");
    html! {
        tr {
            th { (name) }
            @for cell in rest { td { (cell) } }
            td.plot { (plot(row, series, axis)) }
            @for rate in &row.rates { td.n { (number(*rate)) } }
        }
    }
}

fn number(rate: Option<&RateRecord>) -> Markup {
    let known = rate.and_then(|rate| Some((rate, rate.estimate?)));
    html! {
        @match known {
            Some((rate, estimate)) => {
                (percent(estimate)) div.interval { (interval(rate)) }
            }
            None => "–",
        }
    }
}

/// The dots and whiskers of a row. Lengths along the axis are in percent, so that the drawing is
/// as wide as its column.
fn plot(row: &Row<'_>, series: &[Series], axis: Axis) -> Markup {
    let drawn = row.rates.iter().zip(series);
    let drawn = drawn.filter_map(|(rate, series)| Some((series.colour?, *rate)));
    let drawn: Vec<_> = drawn.collect();
    let height = format!("height:{}px", LANE * (drawn.len() + 1));
    html! {
        svg.whiskers style=(height) role="img" aria-label=(spoken(row, series)) {
            @for power in axis.least..=0 {
                @let x = at(axis.x(10f64.powi(power)));
                line.grid x1=(x) x2=(x) y1="0" y2="100%" {}
            }
            @for (lane, (colour, rate)) in drawn.iter().enumerate() {
                @if let Some(rate) = rate {
                    g class=(colour) { (dot(rate, LANE * (lane + 1), axis)) }
                }
            }
        }
    }
}

fn dot(rate: &RateRecord, y: usize, axis: Axis) -> Markup {
    let [low, high] = [rate.low, rate.high].map(|limit| at(axis.x(limit)));
    let seen = rate.estimate.filter(|&estimate| estimate > 0.0);
    let class = if seen.is_some() { "dot" } else { "none" };
    html! {
        title { (line(rate)) }
        @if rate.estimate.is_some() {
            line x1=(low) x2=(high) y1=(y) y2=(y) {}
            circle class=(class) cx=(at(axis.x(seen.unwrap_or(0.0)))) cy=(y) r="3" {}
        }
    }
}

/// The axis below the rows.
fn numbers(axis: Axis) -> Markup {
    let place = |power: i32| match power {
        0 => "end",
        power if power == axis.least => "start",
        _ => "middle",
    };
    html! {
        svg.whiskers style="height:18px" {
            @for power in axis.least..=0 {
                @let rate = 10f64.powi(power);
                text x=(at(axis.x(rate))) y="13" text-anchor=(place(power)) { (tick(power)) }
            }
        }
    }
}

/// A power of ten in percent; the last one has the sign.
fn tick(power: i32) -> String {
    match power {
        0 => "100 %".to_owned(),
        -5.. => 10f64.powi(power + 2).to_string(),
        _ => format!("1e{}", power + 2),
    }
}

fn at(percent: f64) -> String {
    format!("{percent:.2}%")
}

fn spoken(row: &Row<'_>, series: &[Series]) -> String {
    let rates = series.iter().zip(&row.rates);
    let rates = rates.filter_map(|(series, rate)| Some((&series.name, (*rate)?)));
    let rates: Vec<String> = rates
        .map(|(name, rate)| format!("{name} {}", line(rate)))
        .collect();
    format!("{}: {}", row.cells[0], rates.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::statistics::{Among, Event};

    fn rate(estimate: f64) -> RateRecord {
        RateRecord {
            event: Event::Beyond,
            among: Among::All,
            estimate: Some(estimate),
            low: estimate / 2.0,
            high: 0.2,
            faults: 40,
        }
    }

    fn row(rate: &RateRecord) -> Row<'_> {
        Row {
            cells: vec!["edge:softmax".to_owned()],
            rates: vec![Some(rate)],
        }
    }

    #[test]
    fn the_axis_begins_at_the_power_of_ten_below_the_least_rate() {
        let least =
            |rates: &[RateRecord]| Axis::of(&rates.iter().map(row).collect::<Vec<_>>()).least;
        assert_eq!(least(&[rate(0.5), rate(0.0)]), -1);
        assert_eq!(least(&[rate(0.5), rate(0.002)]), -3);
        assert_eq!(least(&[rate(1e-30)]), -LONGEST);
        let axis = Axis { least: -2 };
        let places = [1.0, 0.1, 0.01, 1e-9, 0.0].map(|rate| axis.x(rate));
        assert_eq!(places, [100.0, 50.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn what_was_never_seen_is_a_ring_and_what_is_not_known_nothing() {
        let series = [Series {
            name: "critical SDC".to_owned(),
            colour: Some("mark"),
        }];
        let page = |rate: &RateRecord| table(&["site"], &series, &[row(rate)]).into_string();
        assert!(page(&rate(0.1)).contains("<circle class=\"dot\" cx=\"0.00%\""));
        assert!(page(&rate(0.0)).contains("<circle class=\"none\""));
        let unknown = RateRecord {
            estimate: None,
            ..rate(0.1)
        };
        let page = page(&unknown);
        assert!(!page.contains("<circle") && page.contains("–"), "{page}");
    }
}
