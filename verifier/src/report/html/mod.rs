//! The record to look at: one page with pictures, that needs nothing beside itself and no script.

mod bits;
mod histogram;
pub(super) mod image;
mod map;
mod matrix;
mod result;
mod sample;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::check::Check;
use super::matrix::Matrix;
use super::record::{Body, Record, Verdict};

const STYLE: &str = include_str!("style.css");

/// The page of a check.
pub(super) fn check(record: &Record<Check>) -> String {
    let options = &record.body.options;
    let sections = record.body.result.as_ref();
    let sections = sections.map(|result| result::sections(record, result));
    let what = format!("{} on {}", options.part, options.computed_by());
    page(
        record,
        &what,
        &record.sentence(),
        sections,
        &record.full_setting(),
    )
}

/// The page of several engines.
pub(super) fn matrix(record: &Record<Matrix>) -> String {
    let Matrix {
        options,
        configurations,
        ..
    } = &record.body;
    let what = format!(
        "{} by {} configurations",
        options.part,
        configurations.len()
    );
    let sections = matrix::sections(&record.body);
    page(
        record,
        &what,
        &record.sentence(),
        Some(sections),
        &record.full_setting(),
    )
}

fn page<B: Body>(
    record: &Record<B>,
    what: &str,
    sentence: &str,
    sections: Option<Markup>,
    rows: &[(&str, String)],
) -> String {
    let verdict = shout(record.verdict);
    let heading = html! {
        header class=(record.verdict.name()) {
            h1 { (verdict) }
            p { (sentence) }
        }
        @if let Some(error) = &record.error { p.notice { (error) } }
    };
    let body = html! {
        @if let Some(sections) = sections { (sections) }
        (setting(rows))
    };
    let footer = format!(
        "vit-part verifier {}, record layout {}",
        record.verifier, record.record_version
    );
    document(&format!("{verdict}: {what}"), &heading, &body, &footer)
}

/// A page in one file, in the style that all have.
pub(super) fn document(title: &str, heading: &Markup, body: &Markup, footer: &str) -> String {
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
                    (heading)
                    (body)
                    footer { (footer) }
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

fn setting(rows: &[(&str, String)]) -> Markup {
    html! {
        h2 { "What ran, and where" }
        table {
            tbody {
                @for (name, value) in rows {
                    tr { th { (name) } td { (value) } }
                }
            }
        }
    }
}
