//! One of the worst samples: its image, what the bundle says of it, and where it is wrong.

use maud::{Markup, html};

use super::super::{sample, text};
use super::{image, map};
use crate::check::worst::WorstSample;

/// A card.
pub(super) fn article(worst: &WorstSample) -> Markup {
    let output = &worst.output;
    let element = &output.worst;
    html! {
        article {
            h3 { "Sample " (output.sample) @if output.run > 0 { ", run " (output.run) } }
            (about(worst))
            (map::picture(worst))
            dl {
                dt { "output" } dd { (output.output) }
                dt { "outside" }
                dd { (text::outside(output)) }
                dt { "worst at" } dd { (format!("{:?}", &element.index[1..])) }
                dt { "golden" } dd { (format!("{:e}", element.golden)) }
                dt { "actual" } dd { (format!("{:e}", element.actual)) }
                @if let Some(xor) = element.xor {
                    dt.line { "bits that differ: sign, exponent, mantissa" }
                    dd.line { (bits(xor)) }
                }
            }
        }
    }
}

/// The image, beside what is known of it.
fn about(worst: &WorstSample) -> Markup {
    let output = &worst.output;
    html! {
        div.about {
            @if let Some(pixels) = &worst.image {
                @let position = output.info.sample_index;
                (image::image(pixels, &format!("image {position} of the split")))
            }
            dl {
                @for (name, value) in sample::facts(&output.info) {
                    dt { (name) } dd { (value) }
                }
                @if let Some(change) = &output.class {
                    dt { "with the error" } dd { (text::class_change(change)) }
                }
            }
        }
    }
}

/// The bits that differ, as sign, exponent and mantissa.
fn bits(xor: u32) -> Markup {
    let text = format!("{xor:032b}");
    html! {
        div.bits {
            @for part in [&text[..1], &text[1..9], &text[9..]] {
                span { @for bit in part.chars() { @if bit == '1' { b { "1" } } @else { "·" } } }
            }
        }
    }
}
