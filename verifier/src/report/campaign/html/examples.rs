//! Some faults that changed the class of their sample: the image, the classes, and the fault as
//! `--fault` takes it.

use std::collections::BTreeMap;

use console::grouped;
use maud::{Markup, html};
use ndarray::Array3;

use super::super::super::html::image;
use super::super::super::sample::class;
use super::super::{CampaignReport, ExampleRecord};

/// Images by their position in the split of CIFAR-10, `[rows, columns, 3]` each: row, column,
/// channel R, G, B.
pub type ImagesByPosition = BTreeMap<i64, Array3<u8>>;

/// A card for each.
pub(super) fn cards(report: &CampaignReport, images: &ImagesByPosition) -> Markup {
    html! {
        p.soft {
            "The first " (report.examples.len()) " by number. "
            code { "verifier campaign replay DIR NUMBER" } " runs one again; "
            code { "verifier check --fault FAULT" } " puts it into a check."
        }
        div.samples { @for example in &report.examples { (card(example, images)) } }
    }
}

fn card(record: &ExampleRecord, images: &ImagesByPosition) -> Markup {
    let example = &record.example;
    let position = record.sample_index;
    html! {
        article {
            h3 { "Fault " (grouped(example.number as usize)) }
            div.about {
                @if let Some(pixels) = images.get(&position) {
                    (image::image(pixels, &format!("image {position} of the split")))
                }
                dl {
                    dt { "image" } dd { (position) }
                    @if let Some(label) = record.label { dt { "label" } dd { (class(label)) } }
                    dt { "before" } dd { (record.class_before.map_or("–".to_owned(), class)) }
                    dt { "after" }
                    dd { (example.class.map_or("–".to_owned(), |after| class(after.into()))) }
                }
            }
            dl {
                dt.line { "fault" } dd.line { code { (example.fault) } }
                dt.line { "change of p(class before) − p(best other class)" }
                dd.line { (format!("{:+.3}", example.lead_change)) }
            }
        }
    }
}
