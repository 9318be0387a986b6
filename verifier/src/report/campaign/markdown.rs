//! The report of a campaign as a page of text, and its first tables for a terminal.

use std::fmt::Write as _;

use console::grouped;

use super::super::table::table;
use super::setting::{LIMITS, identity, is_known, main_event, setting};
use super::{CampaignReport, RateRecord, SiteRecord, TierRecord, rate};
use crate::campaign::statistics::{Among, Event};
use crate::campaign::summary::Axis;

/// What rates are shown of sites, tiers and bits.
const SHOWN: [Event; 4] = [
    Event::Beyond,
    Event::TolerableSdc,
    Event::CriticalSdc,
    Event::NonFinite,
];

impl CampaignReport {
    /// As a page of text.
    pub fn to_markdown(&self) -> String {
        page(self)
    }

    /// The rates of the whole population and of sites, for a terminal.
    pub fn to_text(&self) -> String {
        text(self)
    }
}

/// The whole report.
fn page(report: &CampaignReport) -> String {
    let mut page = "# Campaign: rates of faults\n\n".to_owned();
    let rows = setting(report).into_iter().chain(identity(report));
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    page.push_str(&table(&["", ""], rows.collect()));
    if let Some(note) = report.note_on_weights() {
        let _ = write!(page, "\n**{note}**\n");
    }
    let _ = write!(page, "\n## All sites\n\n{}", totals(report));
    let _ = write!(page, "\n## Sites\n\n{}", sites(report));
    if !report.bits.is_empty() {
        let _ = write!(page, "\n## Bits\n\n{}", bits(report));
    }
    let _ = write!(page, "\n## Tiers of confidence\n\n{}", tiers(report));
    let _ = write!(page, "\n## Error patterns\n\n{}", patterns(report));
    let heads = positions(report, Axis::Head);
    if !heads.is_empty() {
        let mut head = vec!["site", "head", "faults", "beyond tolerance"];
        if report.settings.classes_known {
            head.push("critical SDC");
        }
        let _ = write!(page, "\n## Heads\n\n{}", table(&head, heads));
    }
    if !report.lead_changes.is_empty() {
        let _ = write!(page, "\n## How far the logits move\n\n{}", leads(report));
    }
    if !report.examples.is_empty() {
        let _ = write!(
            page,
            "\n## Some faults that changed the class\n\n{}",
            examples(report)
        );
    }
    let _ = write!(page, "\n## What these rates leave out\n\n{LIMITS}\n");
    page
}

/// For a terminal.
fn text(report: &CampaignReport) -> String {
    let note = report.note_on_weights();
    let note = note.map(|note| format!("\nnote: {note}\n"));
    let note = note.unwrap_or_default();
    format!("{}\n{}{note}", totals(report), sites(report))
}

fn totals(report: &CampaignReport) -> String {
    let rows = outcomes(report).into_iter().map(|(event, name)| {
        let of = |among| text_of(report.total(event, among));
        vec![name.to_owned(), of(Among::All), of(Among::Right)]
    });
    table(
        &["outcome", "of all samples", "of those classified correctly"],
        rows.collect(),
    )
}

/// Every event with its name in the table of totals.
pub(super) fn outcomes(report: &CampaignReport) -> Vec<(Event, &'static str)> {
    let name = |event: Event| match event {
        Event::Beyond => "beyond tolerance, all together",
        _ => event.name(),
    };
    let known = Event::ALL.into_iter();
    known
        .filter(|event| is_known(&report.settings, *event))
        .map(|event| (event, name(event)))
        .collect()
}

pub(super) fn shown(report: &CampaignReport) -> Vec<(Event, &'static str)> {
    let shown = SHOWN.into_iter();
    shown
        .filter(|event| is_known(&report.settings, *event))
        .map(|event| (event, event.name()))
        .collect()
}

/// The rate that tables of tiers have beside those of all samples.
pub(super) fn of_right(report: &CampaignReport) -> (Event, String) {
    let event = main_event(&report.settings);
    (
        event,
        format!("{} of those classified correctly", event.name()),
    )
}

fn header<'a>(first: &[&'a str], report: &CampaignReport) -> Vec<&'a str> {
    let names = shown(report).into_iter().map(|(_, name)| name);
    first.iter().copied().chain(names).collect()
}

fn cells(report: &CampaignReport, rates: &[RateRecord]) -> Vec<String> {
    let shown = shown(report).into_iter();
    shown
        .map(|(event, _)| text_of(rate(rates, event, Among::All)))
        .collect()
}

fn sites(report: &CampaignReport) -> String {
    let row = |site: &SiteRecord| {
        let first = vec![
            plain(&site.site),
            format!("{:?}", site.shape),
            faults_of(&site.rates),
        ];
        [first, cells(report, &site.rates)].concat()
    };
    table(
        &header(&["site", "shape", "faults"], report),
        report.sites.iter().map(row).collect(),
    )
}

fn bits(report: &CampaignReport) -> String {
    let mut events = shown(report);
    events.retain(|(event, _)| *event != Event::TolerableSdc);
    let rows = report.bits.iter().rev().map(|own| {
        let rates = events.iter();
        let rates = rates.map(|(event, _)| text_of(rate(&own.rates, *event, Among::All)));
        let first = [own.bit.to_string(), faults_of(&own.rates)];
        first.into_iter().chain(rates).collect()
    });
    let names = events.iter().map(|(_, name)| *name);
    let header: Vec<&str> = ["bit", "faults"].into_iter().chain(names).collect();
    table(&header, rows.collect())
}

fn tiers(report: &CampaignReport) -> String {
    let (event, name) = of_right(report);
    let row = |own: &TierRecord| {
        let bound = own.upper_bound.map(|bound| bound.to_string());
        let [samples, right] = [own.samples, own.right].map(|count| grouped(count as usize));
        let first = [
            own.tier.to_string(),
            bound.unwrap_or_else(|| "–".to_owned()),
            samples,
            right,
            faults_of(&own.rates),
        ];
        let last = text_of(rate(&own.rates, event, Among::Right));
        [&first[..], &cells(report, &own.rates), &[last]].concat()
    };
    let first = [
        "tier",
        "confidence up to",
        "samples",
        "classified correctly",
        "faults",
    ];
    let mut header = header(&first, report);
    header.push(&name);
    table(&header, report.tiers.iter().map(row).collect())
}

fn patterns(report: &CampaignReport) -> String {
    let rows = report
        .sites
        .iter()
        .filter(|site| site.patterns.rows().iter().any(|row| row.1 > 0));
    let rows = rows.map(|site| {
        let counts = site
            .patterns
            .rows()
            .map(|(_, count)| grouped(count as usize));
        [&[plain(&site.site)], counts.as_slice()].concat()
    });
    let header = ["site", "single", "row", "column", "block", "scattered"];
    table(&header, rows.collect())
}

fn positions(report: &CampaignReport, axis: Axis) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for site in &report.sites {
        for own in site.positions.iter().filter(|own| own.axis == axis) {
            let rate = |event| text_of(rate(&own.rates, event, Among::All));
            let mut row = vec![
                plain(&site.site),
                own.position.to_string(),
                grouped(own.faults as usize),
                rate(Event::Beyond),
            ];
            if report.settings.classes_known {
                row.push(rate(Event::CriticalSdc));
            }
            rows.push(row);
        }
    }
    rows
}

fn leads(report: &CampaignReport) -> String {
    let rows = report.lead_changes.iter().zip(ranges(report));
    let rows = rows.map(|(own, range)| vec![range, grouped(own.faults as usize)]);
    table(
        &["p(class) − p(best other class)", "faults"],
        rows.collect(),
    )
}

fn examples(report: &CampaignReport) -> String {
    let optional = |class: Option<String>| class.unwrap_or_else(|| "–".to_owned());
    let rows = report.examples.iter().map(|own| {
        vec![
            own.example.number.to_string(),
            format!("`{}`", own.example.fault),
            own.sample_index.to_string(),
            optional(own.label.map(|label| label.to_string())),
            optional(own.class_before.map(|class| class.to_string())),
            optional(own.example.class.map(|class| class.to_string())),
        ]
    });
    let header = ["number", "fault", "image", "label", "class before", "after"];
    table(&header, rows.collect())
}

/// A name whose `<` begins no element of HTML.
fn plain(name: &str) -> String {
    name.replace('<', "\\<")
}

/// What each class of changes of the lead reaches from and to.
pub(super) fn ranges(report: &CampaignReport) -> Vec<String> {
    let bounds = report.lead_changes.iter().map(|own| own.upper_bound);
    let lower = std::iter::once(None).chain(bounds.clone());
    let name = |bounds| match bounds {
        (None, Some(high)) => format!("up to {}", signed(high)),
        (Some(low), Some(high)) => format!("{} to {}", signed(low), signed(high)),
        (Some(low), None) => format!("above {}", signed(low)),
        (None, None) => "all".to_owned(),
    };
    lower.zip(bounds).map(name).collect()
}

fn signed(number: f64) -> String {
    number.to_string().replace('-', "−")
}

pub(super) fn faults_of(rates: &[RateRecord]) -> String {
    grouped(rates.iter().map(|rate| rate.faults).max().unwrap_or(0) as usize)
}

/// A rate and its interval in percent.
fn text_of(rate: Option<&RateRecord>) -> String {
    match rate {
        Some(RateRecord {
            estimate: Some(estimate),
            low,
            high,
            ..
        }) => {
            let [estimate, low, high] = [*estimate, *low, *high].map(|rate| 100.0 * rate);
            format!("{estimate:.3} % ({low:.3} to {high:.3})")
        }
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_begins_no_element() {
        assert_eq!(plain("edge:<b>"), "edge:\\<b>");
    }
}
