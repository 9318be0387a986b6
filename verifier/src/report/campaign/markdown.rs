//! The report of a campaign as a page of text, and its first tables for a terminal.

use std::fmt::Write as _;

use console::grouped;

use super::super::table::{range_text, table};
use super::{CampaignReport, RateRecord, SiteRecord, rate};
use crate::campaign::settings::{Asked, Settings};
use crate::campaign::statistics::{Among, Event};
use crate::campaign::summary::Axis;

/// What rates are shown of sites, tiers and bits.
const SHOWN: [(Event, &str); 4] = [
    (Event::Beyond, "beyond tolerance"),
    (Event::TolerableSdc, "tolerable SDC"),
    (Event::CriticalSdc, "critical SDC"),
    (Event::NonFinite, "not finite"),
];

pub(super) const OUTCOMES: [(Event, &str); 6] = [
    (Event::Masked, "masked"),
    (Event::WithinTolerance, "within tolerance"),
    (Event::TolerableSdc, "tolerable SDC"),
    (Event::CriticalSdc, "critical SDC"),
    (Event::NonFinite, "not finite"),
    (Event::Beyond, "beyond tolerance, all together"),
];

/// What faults of this kind do not say; below every set of rates.
pub(super) const LIMITS: &str = "\
A fault here is a change of values between two operations of the network, as if they had been read
wrongly once. Faults in control, addresses, caches and registers that hold several values are not
among them, nor are crashes and hangs; how often a fault happens at all is not part of any rate.
Rates hold for these samples, this network and this model of faults.";

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
        let _ = write!(page, "\n## Change of the lead\n\n{}", leads(report));
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
    format!("{}\n{}", totals(report), sites(report))
}

pub(super) fn setting(report: &CampaignReport) -> Vec<(&'static str, String)> {
    let settings = &report.settings;
    let population = &report.population;
    let classes = match settings.classes_known {
        true => "by the rest of the model",
        false => "not computed: rates of SDC only",
    };
    let faults: Vec<String> = report
        .rounds
        .iter()
        .map(|&faults| grouped(faults as usize))
        .collect();
    vec![
        (
            "model",
            format!("{}, {}", report.bundle.preset, report.bundle.module),
        ),
        ("part", settings.part.clone()),
        (
            "samples",
            format!(
                "{}, {} of them classified correctly",
                range_text(settings.samples),
                grouped(population.right as usize)
            ),
        ),
        (
            "faults",
            format!("{} in one {}", settings.model.effect, settings.model.region),
        ),
        (
            "population",
            format!("{:.4e} in {} strata", population.members, population.strata),
        ),
        ("sampling", sampling(settings)),
        ("faults run", faults.join(" + ")),
        (
            "samples of a weight's fault",
            population.samples_of_weight_fault.to_string(),
        ),
        (
            "tolerance",
            format!(
                "atol {:e}, rtol {:e}",
                settings.tolerance.atol, settings.tolerance.rtol
            ),
        ),
        ("classes", classes.to_owned()),
        ("confidence of intervals", percent_of(settings.confidence)),
        ("seed", settings.seed.to_string()),
    ]
}

/// What ran, and by which hashes it is known.
pub(super) fn identity(report: &CampaignReport) -> Vec<(&'static str, String)> {
    let settings = &report.settings;
    let engine = &settings.engine;
    let name = format!("ONNX Runtime {} on {}", engine.version, engine.device);
    vec![
        ("engine", name),
        ("runtime SHA-256", engine.sha256.clone()),
        ("verifier", settings.verifier.clone()),
        ("bundle BLAKE3", settings.bundle.clone()),
        ("plan BLAKE3", report.plan.clone()),
    ]
}

fn sampling(settings: &Settings) -> String {
    match settings.sampling {
        Asked::Faults(_) => "uniform from the population".to_owned(),
        Asked::PerStratum(faults) => format!("{faults} of each stratum"),
        Asked::Margin(margin) => {
            let of: Vec<String> = settings.margin_of.iter().map(ToString::to_string).collect();
            format!(
                "in rounds, until ± {} of {}",
                percent_of(margin),
                of.join(", ")
            )
        }
    }
}

fn totals(report: &CampaignReport) -> String {
    let rows = OUTCOMES
        .iter()
        .filter(|(event, _)| is_known(&report.settings, *event))
        .map(|(event, name)| {
            let of = |among| text_of(report.total(*event, among));
            vec![(*name).to_owned(), of(Among::All), of(Among::Right)]
        });
    table(
        &["outcome", "of all samples", "of those classified correctly"],
        rows.collect(),
    )
}

/// Whether the rate of the event means something.
pub(super) fn is_known(settings: &Settings, event: Event) -> bool {
    settings.classes_known || !matches!(event, Event::TolerableSdc | Event::CriticalSdc)
}

pub(super) fn shown(report: &CampaignReport) -> Vec<(Event, &'static str)> {
    let shown = SHOWN.into_iter();
    shown
        .filter(|(event, _)| is_known(&report.settings, *event))
        .collect()
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
    let rows = report.tiers.iter().map(|own| {
        let bound = own
            .upper_bound
            .map_or("–".to_owned(), |bound| bound.to_string());
        let first = vec![own.tier.to_string(), bound, grouped(own.samples as usize)];
        [first, cells(report, &own.rates)].concat()
    });
    table(
        &header(&["tier", "confidence up to", "samples"], report),
        rows.collect(),
    )
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

/// A share as it was asked for, in percent: a product with 100 is not always as short.
pub(super) fn percent_of(share: f64) -> String {
    format!("{} %", (share * 1e14).round() / 1e12)
}

fn faults_of(rates: &[RateRecord]) -> String {
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
    fn shares_are_as_short_in_percent_as_they_were_asked_for() {
        for (share, text) in [(0.58, "58 %"), (0.001, "0.1 %"), (0.999_999, "99.9999 %")] {
            assert_eq!(percent_of(share), text);
        }
    }

    #[test]
    fn a_name_begins_no_element() {
        assert_eq!(plain("edge:<b>"), "edge:\\<b>");
    }
}
