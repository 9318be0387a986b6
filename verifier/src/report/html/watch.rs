//! A watch on a page that is written again and again, and reloads itself.

use maud::{DOCTYPE, PreEscaped, html};

use super::STYLE;
use crate::report::watch::Summary;

/// The page: a title, a line to glance at, when it was written, the latest events, the summary.
pub fn page([title, line, written]: [&str; 3], latest: &[String], summary: &Summary) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content="60";
                link rel="icon" href="data:,";
                title { "watch: " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header {
                        h1 { (title) }
                        p { (line) }
                        p { "Since this watch was started. Written " (written) }
                    }
                    h2 { "Rates" }
                    table {
                        thead { tr { @for name in &summary.header { th { (name) } } } }
                        tbody {
                            @for row in &summary.rates {
                                tr { @for cell in row { td { (cell) } } }
                            }
                        }
                    }
                    h2 { "Latest events" }
                    @if latest.is_empty() { p { "none" } }
                    ul { @for event in latest { li { (event) } } }
                    h2 { "Sums" }
                    table {
                        tbody {
                            @for (name, value) in &summary.rows {
                                tr { th { (name) } td { (value) } }
                            }
                        }
                    }
                    @for note in &summary.notes { p.notice { (note) } }
                }
            }
        }
    };
    page.into_string()
}
