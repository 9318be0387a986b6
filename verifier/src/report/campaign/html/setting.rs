//! How faults were drawn, from which population, and what ran them.

use maud::{Markup, html};

use super::super::CampaignReport;
use super::super::setting::{identity, percent_of, setting};
use crate::campaign::settings::Asked;

/// The table, and how to read the intervals.
pub(super) fn table(report: &CampaignReport) -> Markup {
    let level = percent_of(report.settings.confidence);
    html! {
        p { (rounds(report)) }
        p {
            "Faults are drawn without replacement from all (sample, place, bit) of the sites, each \
             as likely as another; fault number i follows from the plan alone. Rates over several \
             strata (site, bit and tier) are weighted by the sizes of these. "
            (intervals(report)) " A level of " (level) " holds for each rate by itself: of "
            (cells(report)) " cells of a heat map, some " (missing(report)) " may miss."
        }
        table { tbody {
            @for (name, value) in setting(report).into_iter().chain(identity(report)) {
                tr { th { (name) } td { (value) } }
            }
        } }
    }
}

fn rounds(report: &CampaignReport) -> &'static str {
    match report.settings.sampling {
        Asked::Faults(_) => "Every fault of the population was equally likely to be drawn.",
        Asked::PerStratum(_) => "Each stratum, site by bit by tier, got as many faults.",
        Asked::Margin(_) => {
            "In rounds: a pilot, then faults where they most narrow the intervals of the rates \
             asked for. The pilot plans, and is not counted where there are later rounds."
        }
    }
}

/// How the intervals are made.
fn intervals(report: &CampaignReport) -> String {
    let is_uniform = matches!(report.settings.sampling, Asked::Faults(_));
    let one_proportion = "Wilson's for one proportion, corrected for the finite population, with \
                          each limit moved out to the exact one (Clopper and Pearson) where that \
                          lies further out";
    match (is_uniform, &report.population.weight_samples) {
        (true, None) => format!("Intervals are {one_proportion}."),
        (true, Some(_)) => format!(
            "Intervals of rates without faults of weights are {one_proportion}; those of rates \
             with such faults are of a mean of shares of samples, corrected for skewness."
        ),
        (false, _) => format!(
            "The interval of a single stratum of samples is {one_proportion}; those of sums over \
             strata, and of weights, are stratified ones, corrected for the finite population and \
             for skewness; those by head and by token are Wilson's, for the effective number of \
             faults."
        ),
    }
}

fn cells(report: &CampaignReport) -> usize {
    report.sites.len() * report.bits.len().max(1)
}

/// Cells of a heat map whose interval is expected not to hold the rate, at most.
fn missing(report: &CampaignReport) -> String {
    format!(
        "{:.0}",
        (1.0 - report.settings.confidence) * cells(report) as f64
    )
}
