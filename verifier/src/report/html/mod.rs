//! The record to look at: one page with pictures, that needs nothing beside itself and no script.

mod bits;
mod histogram;
mod image;
mod map;
mod result;
mod sample;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::check::Check;
use super::record::{Record, Verdict};

const STYLE: &str = include_str!("style.css");

/// The page of a check.
pub(super) fn page(record: &Record<Check>) -> String {
    let options = &record.body.options;
    let verdict = shout(record.verdict);
    let title = format!("{verdict}: {} on {}", options.part, options.computed_by());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Some browsers ask for an icon; this page asks nobody for anything.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header class=(record.verdict.name()) {
                        h1 { (verdict) }
                        p { (record.sentence()) }
                    }
                    @if let Some(error) = &record.error { p.notice { (error) } }
                    @if let Some(result) = &record.body.result {
                        (result::sections(record, result))
                    }
                    (setting(record))
                    footer {
                        "vit-part verifier " (record.verifier)
                        ", record layout " (record.record_version)
                    }
                }
            }
        }
    };
    page.into_string()
}

fn shout(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓ PASS",
        Verdict::Fail => "✗ FAIL",
        Verdict::Error => "? NO RESULT",
    }
}

fn setting(record: &Record<Check>) -> Markup {
    html! {
        h2 { "What ran, and where" }
        table {
            tbody {
                @for (name, value) in record.full_setting() {
                    tr { th { (name) } td { (value) } }
                }
            }
        }
    }
}
