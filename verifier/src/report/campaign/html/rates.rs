//! The rates of all sites together, of each site and of each tier.

use console::grouped;
use maud::{Markup, html};

use super::super::markdown::{faults_of, of_right, outcomes, ranges, shown};
use super::super::{CampaignReport, RateRecord, rate};
use super::whiskers::{Row, Series, table};
use crate::campaign::statistics::{Among, Event};

/// Each outcome, among all samples and among those that are classified correctly.
pub(super) fn totals(report: &CampaignReport) -> Markup {
    let series = [
        ("of all samples", "bar"),
        ("of those classified correctly", "good"),
    ];
    let series = series.map(|(name, colour)| Series {
        name: name.to_owned(),
        colour: Some(colour),
    });
    let rows = outcomes(report).into_iter().map(|(event, name)| Row {
        cells: vec![name.to_owned()],
        rates: vec![
            report.total(event, Among::All),
            report.total(event, Among::Right),
        ],
    });
    table(&["outcome"], &series, &rows.collect::<Vec<_>>())
}

/// Of each site, among all samples.
pub(super) fn sites(report: &CampaignReport) -> Markup {
    let rows = report.sites.iter().map(|site| Row {
        cells: vec![site.site.clone(), faults_of(&site.rates)],
        rates: shown_of(report, &site.rates),
    });
    let rows: Vec<Row<'_>> = rows.collect();
    table(&["site", "faults"], &shown_series(report), &rows)
}

/// Of each tier, among all of its samples, and one rate among those classified correctly.
pub(super) fn tiers(report: &CampaignReport) -> Markup {
    let (event, name) = of_right(report);
    let rows = report.tiers.iter().map(|tier| {
        let name = match tier.upper_bound {
            Some(bound) => format!("{}: up to {bound}", tier.tier),
            None => tier.tier.to_string(),
        };
        let [samples, right] = [tier.samples, tier.right].map(|count| grouped(count as usize));
        let of_right = rate(&tier.rates, event, Among::Right);
        Row {
            cells: vec![name, samples, right, faults_of(&tier.rates)],
            rates: [shown_of(report, &tier.rates), vec![of_right]].concat(),
        }
    });
    let rows: Vec<Row<'_>> = rows.collect();
    let mut series = shown_series(report);
    series.push(Series { name, colour: None });
    let head = ["tier", "samples", "classified correctly", "faults"];
    table(&head, &series, &rows)
}

/// The rates that are shown of everything but the total.
fn shown_series(report: &CampaignReport) -> Vec<Series> {
    let colour = |event| match event {
        Event::Beyond => Some("bar"),
        Event::CriticalSdc => Some("mark"),
        Event::NonFinite => Some("nf"),
        _ => None,
    };
    let series = |(event, name): (Event, &str)| Series {
        name: name.to_owned(),
        colour: colour(event),
    };
    shown(report).into_iter().map(series).collect()
}

fn shown_of<'r>(report: &CampaignReport, rates: &'r [RateRecord]) -> Vec<Option<&'r RateRecord>> {
    let events = shown(report).into_iter();
    events
        .map(|(event, _)| rate(rates, event, Among::All))
        .collect()
}

/// How many faults moved the logits so far, as bars.
pub(super) fn lead_changes(report: &CampaignReport) -> Markup {
    let most = report.lead_changes.iter().map(|own| own.faults).max();
    let most = most.unwrap_or(0).max(1) as f64;
    html! {
        figure {
            table.bars { tbody {
                @for (own, range) in report.lead_changes.iter().zip(ranges(report)) {
                    @let width = format!("width:{:.1}%", 100.0 * own.faults as f64 / most);
                    tr {
                        th { (range) }
                        td.plot { div.bar style=(width) {} }
                        td.n { (grouped(own.faults as usize)) }
                    }
                }
            } }
            figcaption {
                "Faults beyond the tolerance by how much they change p(class without the fault) − \
                 p(best other class). Faults of weights and logits that are not finite are not \
                 among them."
            }
        }
    }
}
