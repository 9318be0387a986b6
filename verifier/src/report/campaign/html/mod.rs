//! The report of a campaign to look at: one page with charts and images, that needs nothing beside
//! itself and no script.

mod examples;
mod figures;
mod heat;
mod heat_maps;
mod percent;
mod rates;
mod setting;
mod whiskers;

#[cfg(test)]
mod tests;

use maud::{Markup, html};

pub use self::examples::ImagesByPosition;

use super::super::html::document;
use super::CampaignReport;
use super::setting::LIMITS;
use crate::campaign::summary::Axis;

/// The page. Of an example whose image is not among `images`, the rest is shown.
pub fn html_page(report: &CampaignReport, images: &ImagesByPosition) -> String {
    let title = format!(
        "Campaign: {}, {}",
        report.bundle.preset, report.settings.part
    );
    let heading = html! {
        header.campaign {
            h1 { "Rates of faults" }
            p { (figures::sentence(report)) }
        }
    };
    let footer = format!(
        "vit-part verifier {}, report layout {}",
        report.settings.verifier, report.report_version
    );
    document(&title, &heading, &sections(report, images), &footer)
}

fn sections(report: &CampaignReport, images: &ImagesByPosition) -> Markup {
    html! {
        @if let Some(note) = report.note_on_weights() { p.notice { (note) } }
        (figures::figures(report))
        h2 { "All sites" }
        (rates::totals(report))
        h2 { "By site" }
        (rates::sites(report))
        @if !report.bits.is_empty() {
            h2 { "By site and bit" }
            (heat_maps::bits(report))
        }
        h2 { "By tier of confidence" }
        (rates::tiers(report))
        @for (axis, title) in [(Axis::Head, "By head"), (Axis::Token, "By token")] {
            @if let Some(maps) = heat_maps::positions(report, axis) {
                h2 { (title) }
                (maps)
            }
        }
        h2 { "Error patterns" }
        (heat_maps::patterns(report))
        @if !report.lead_changes.is_empty() {
            h2 { "How far the logits move" }
            (rates::lead_changes(report))
        }
        @if !report.examples.is_empty() {
            h2 { "Faults that changed the class" }
            (examples::cards(report, images))
        }
        h2 { "How it was sampled" }
        (setting::table(report))
        h2 { "What these rates leave out" }
        p { (LIMITS) }
    }
}
