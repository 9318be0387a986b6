//! Which heat maps a campaign has: bits, heads and tokens by site, and error patterns.

use console::grouped;
use maud::{Markup, html};

use super::super::{BitRecord, CampaignReport, RateRecord, SiteRecord, rate};
use super::heat::{Cell, Columns, Row, legend, map};
use super::percent::{line, percent};
use crate::campaign::statistics::{Among, Event};
use crate::campaign::summary::Axis;

/// The power of ten of the palest rate above 0; the darkest is of 1.
const PALEST: i32 = -4;

/// A cell of fewer faults than this is marked.
const FEW: u64 = 10;

/// What is drawn, and in which colour.
const DRAWN: [(Event, &str, &str); 2] = [
    (Event::CriticalSdc, "mark", "Critical SDC"),
    (Event::Beyond, "bar", "Beyond the tolerance"),
];

/// A map of each event by site and bit.
pub(super) fn bits(report: &CampaignReport) -> Markup {
    let bits: Vec<u16> = report.bits.iter().rev().map(|own| own.bit).collect();
    let of_bit = |own: &BitRecord, event| cell(rate(&own.rates, event, Among::All), event);
    let row = |site: &SiteRecord, event| Row {
        name: site.site.clone(),
        cells: site
            .bits
            .iter()
            .rev()
            .map(|own| of_bit(own, event))
            .collect(),
    };
    let columns = Columns {
        groups: fields(&bits),
        names: bits.iter().map(ToString::to_string).collect(),
    };
    let rest = "The bits of a float32 from the sign to the lowest of the mantissa; where several \
                bits side by side change, the lowest of them.";
    maps(report, &columns, &row, rest)
}

/// The fields of a float32 that bits from high to low are in, with the number of bits of each.
fn fields(bits: &[u16]) -> Vec<(String, usize)> {
    let field = |bit: &u16| match bit {
        31 => "sign",
        23.. => "exponent",
        _ => "mantissa",
    };
    let runs = bits.chunk_by(|a, b| field(a) == field(b));
    runs.map(|run| (field(&run[0]).to_owned(), run.len()))
        .collect()
}

/// A map of each event by site and position; `None` where no site has such positions.
pub(super) fn positions(report: &CampaignReport, axis: Axis) -> Option<Markup> {
    let own = |site: &SiteRecord| site.positions.iter().filter(|own| own.axis == axis).count();
    let all = report.sites.iter().flat_map(|site| &site.positions);
    let last = all
        .filter(|own| own.axis == axis)
        .map(|own| own.position)
        .max()?;
    let row = |site: &SiteRecord, event| {
        let mut cells = vec![cell(None, event); last + 1];
        for own in site.positions.iter().filter(|own| own.axis == axis) {
            cells[own.position] = cell(rate(&own.rates, event, Among::All), event);
        }
        Row {
            name: site.site.clone(),
            cells: if own(site) > 0 { cells } else { vec![] },
        }
    };
    let columns = Columns {
        groups: vec![],
        names: (0..=last).map(|position| position.to_string()).collect(),
    };
    let rest = match axis {
        Axis::Head => "Sites that have an axis of heads.",
        Axis::Token => {
            "Sites that have an axis of tokens: 0 is the class token, the others are patches in \
             the order of their rows. Of scores and softmax, the token of the query."
        }
    };
    Some(maps(report, &columns, &row, rest))
}

/// A map of each event with a legend, and what is said of both; rows without cells are left out.
fn maps(
    report: &CampaignReport,
    columns: &Columns,
    row: &dyn Fn(&SiteRecord, Event) -> Row,
    rest: &str,
) -> Markup {
    let is_drawn = |event| report.settings.classes_known || event == Event::Beyond;
    html! {
        p.soft {
            (rest) " Numbers are percent; hatched where no fault was run, with a dark corner where "
            "fewer than " (FEW) " were."
        }
        div.maps {
            @for (event, colour, name) in DRAWN.into_iter().filter(|(event, ..)| is_drawn(*event)) {
                @let rows = report.sites.iter().map(|site| row(site, event));
                @let rows: Vec<Row> = rows.filter(|row| !row.cells.is_empty()).collect();
                figure {
                    h3 { (name) }
                    (map(colour, columns, &rows))
                    figcaption { (rate_legend(colour)) }
                }
            }
        }
    }
}

fn cell(rate: Option<&RateRecord>, event: Event) -> Cell {
    let known = rate.and_then(|rate| Some((rate, rate.estimate?)));
    let Some((rate, estimate)) = known else {
        return Cell {
            heat: None,
            text: String::new(),
            title: "no fault was run".to_owned(),
            is_few: false,
        };
    };
    debug_assert_eq!(rate.event, event);
    let text = match 100.0 * estimate {
        0.5.. => format!("{:.0}", 100.0 * estimate),
        _ => String::new(),
    };
    Cell {
        heat: Some(heat(estimate)),
        text,
        title: format!("{}; {} faults", line(rate), grouped(rate.faults as usize)),
        is_few: rate.faults < FEW,
    }
}

/// Even in powers of ten; what is seen at all is never as pale as nothing.
fn heat(rate: f64) -> f64 {
    if rate <= 0.0 {
        return 0.0;
    }
    let palest = f64::from(PALEST);
    ((rate.log10() - palest) / -palest).clamp(0.04, 1.0)
}

fn rate_legend(colour: &str) -> Markup {
    let steps = (PALEST..=0).map(|power| 10f64.powi(power));
    let steps = steps.map(|rate| (heat(rate), percent(rate)));
    let none = (0.0, "none seen".to_owned());
    legend(
        colour,
        &std::iter::once(none).chain(steps).collect::<Vec<_>>(),
    )
}

/// The share of each pattern among the errors of a site.
pub(super) fn patterns(report: &CampaignReport) -> Markup {
    let counted = report.sites.iter().map(|site| (site, site.patterns.rows()));
    let rows = counted.filter(|(_, counts)| counts.iter().any(|(_, count)| *count > 0));
    let rows: Vec<Row> = rows
        .map(|(site, counts)| pattern_row(&site.site, &counts))
        .collect();
    if rows.is_empty() {
        return html! { p { "No fault in a single sample went beyond the tolerance." } };
    }
    let names = report.sites[0]
        .patterns
        .rows()
        .map(|(name, _)| name.to_owned());
    let columns = Columns {
        groups: vec![],
        names: names.to_vec(),
    };
    html! {
        figure {
            (map("bar counts", &columns, &rows))
            figcaption {
                "Shapes that the elements beyond the tolerance make in the part's output, token by \
                 feature: faults, and as colour their share of the site's. Faults of weights are \
                 not among them."
            }
        }
    }
}

fn pattern_row(name: &str, counts: &[(&'static str, u64)]) -> Row {
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let cell = |&(pattern, count): &(&str, u64)| {
        let share = count as f64 / all as f64;
        Cell {
            heat: Some(share),
            text: grouped(count as usize),
            title: format!("{pattern}: {}", percent(share)),
            is_few: false,
        }
    };
    Row {
        name: name.to_owned(),
        cells: counts.iter().map(cell).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_float_span_their_bits_and_what_is_missing_shortens_the_sign() {
        let named = |bits: &[u16]| {
            let fields = fields(bits).into_iter();
            let texts: Vec<String> = fields
                .map(|(name, bits)| format!("{name} {bits}"))
                .collect();
            texts.join(", ")
        };
        let all: Vec<u16> = (0..32).rev().collect();
        assert_eq!(named(&all), "sign 1, exponent 8, mantissa 23");
        assert_eq!(named(&all[3..]), "exponent 6, mantissa 23");
    }

    #[test]
    fn colours_are_even_in_powers_of_ten_and_nothing_has_none() {
        let heats = [0.0, 1e-9, 1e-4, 1e-2, 1.0].map(heat);
        assert_eq!(heats, [0.0, 0.04, 0.04, 0.5, 1.0]);
    }
}
