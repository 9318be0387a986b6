//! The rates of all sites together, of each site and of each tier.

use console::grouped;
use maud::{Markup, html};

use super::super::markdown::{OUTCOMES, is_known, ranges, shown};
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
        name,
        colour: Some(colour),
    });
    let known = OUTCOMES
        .iter()
        .filter(|(event, _)| is_known(&report.settings, *event));
    let rows = known.map(|(event, name)| Row {
        cells: vec![(*name).to_owned()],
        rates: vec![
            report.total(*event, Among::All),
            report.total(*event, Among::Right),
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

/// Of each tier, among all of its samples.
pub(super) fn tiers(report: &CampaignReport) -> Markup {
    let rows = report.tiers.iter().map(|tier| {
        let name = match tier.upper_bound {
            Some(bound) => format!("{}: up to {bound}", tier.tier),
            None => tier.tier.to_string(),
        };
        Row {
            cells: vec![name, grouped(tier.samples as usize)],
            rates: shown_of(report, &tier.rates),
        }
    });
    let rows: Vec<Row<'_>> = rows.collect();
    table(&["tier", "samples"], &shown_series(report), &rows)
}

/// The rates that are shown of everything but the total.
fn shown_series(report: &CampaignReport) -> Vec<Series> {
    let colour = |event| match event {
        Event::Beyond => Some("bar"),
        Event::CriticalSdc => Some("mark"),
        Event::NonFinite => Some("nf"),
        _ => None,
    };
    let series = |(event, name)| Series {
        name,
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

fn faults_of(rates: &[RateRecord]) -> String {
    let faults = rates.iter().map(|rate| rate.faults).max();
    grouped(faults.unwrap_or(0) as usize)
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
