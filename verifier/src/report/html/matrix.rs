//! Several engines against the golden and against each other: a table, and how far every two are
//! apart as colours.

use maud::{Markup, html};

use super::super::matrix::{COLUMNS, Matrix, cells};
use crate::compare::Difference;
use crate::matrix::{Configuration, Outcome};

/// Powers of ten of the largest difference at the two ends of the colours.
const LEAST: f64 = -8.0;
const MOST: f64 = 0.0;

/// Everything below the verdict and above the setting.
pub(super) fn sections(matrix: &Matrix) -> Markup {
    let ran: Vec<&Configuration> = matrix
        .configurations
        .iter()
        .filter(|configuration| matches!(configuration.outcome, Outcome::Ran(_)))
        .collect();
    html! {
        h2 { "Each against the golden" }
        (table(matrix))
        @for configuration in &matrix.configurations {
            @if let Some(reason) = configuration.reason() {
                p.notice { (configuration.number) ": " (reason) }
            }
            @for text in configuration.conversions() {
                p.notice { (configuration.number) ": " (text) }
            }
        }
        @if !ran.is_empty() {
            h2 { "How far every two are apart" }
            (heat_map(matrix, &ran))
            p { (matrix.same_bits_text()) }
        }
        @if !matrix.output_files().is_empty() {
            h2 { "Files of outputs" }
            table { tbody {
                @for (number, file) in matrix.output_files() {
                    tr {
                        th { (number) }
                        td { (file.path.display()) }
                        td { code { "BLAKE3 " (file.blake3) } }
                    }
                }
            } }
        }
        @if !matrix.runtimes().is_empty() {
            h2 { "ONNX Runtime libraries" }
            table { tbody {
                @for (number, runtime, sha256) in matrix.runtimes() {
                    tr { th { (number) } td { (runtime) } td { code { (sha256) } } }
                }
            } }
        }
    }
}

fn table(matrix: &Matrix) -> Markup {
    html! {
        div.wide { table {
            thead { tr { @for name in COLUMNS { th { (name) } } } }
            tbody {
                @for configuration in &matrix.configurations {
                    tr { @for cell in cells(configuration) { td { (cell) } } }
                }
            }
        } }
    }
}

/// A row and a column for the golden and for each that ran.
fn heat_map(matrix: &Matrix, ran: &[&Configuration]) -> Markup {
    html! {
        figure {
            div.wide { table.heat {
                thead { tr {
                    th {} th { "golden" }
                    @for configuration in ran { th { (configuration.number) } }
                } }
                tbody {
                    @for row in ran {
                        tr {
                            th { (row.number) " " (row.name()) }
                            (heat_cell(of_golden(row)))
                            @for column in ran { (heat_cell(between(matrix, row, column))) }
                        }
                    }
                }
            } }
            figcaption {
                "The largest absolute difference of any element; = stands for the same bits in all "
                "of them. " (legend())
            }
        }
    }
}

fn of_golden(configuration: &Configuration) -> Option<&Difference> {
    match &configuration.outcome {
        Outcome::Ran(ran) => Some(&ran.golden),
        Outcome::Cannot { .. } | Outcome::Failed { .. } => None,
    }
}

/// Of two configurations in either order; `None` of one with itself.
fn between<'m>(matrix: &'m Matrix, a: &Configuration, b: &Configuration) -> Option<&'m Difference> {
    let numbers = [a.number.min(b.number), a.number.max(b.number)];
    let mut pairs = matrix.pairs.iter();
    let pair = pairs.find(|pair| pair.configurations == numbers)?;
    Some(&pair.difference)
}

fn heat_cell(difference: Option<&Difference>) -> Markup {
    let Some(difference) = difference else {
        return html! { td.same {} };
    };
    if difference.identical_elements == Some(difference.elements) {
        return html! { td.same { "=" } };
    }
    let largest = difference.max_abs_difference;
    let style = format!("--heat:{:.0}%", 100.0 * heat(largest));
    html! {
        td style=(style) {
            (format!("{largest:.1e}"))
            @if difference.non_finite_elements > 0 { " and not finite" }
        }
    }
}

/// From 0 to 1, even in powers of ten.
fn heat(difference: f64) -> f64 {
    ((difference.max(f64::MIN_POSITIVE).log10() - LEAST) / (MOST - LEAST)).clamp(0.0, 1.0)
}

fn legend() -> Markup {
    let powers = (LEAST as i32..=MOST as i32).step_by(2);
    html! {
        span.legend {
            @for power in powers {
                span style=(format!("--heat:{:.0}%", 100.0 * heat(10f64.powi(power)))) {
                    (format!("1e{power}"))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_even_in_powers_of_ten_and_end_at_both_ends() {
        assert_eq!([1e-8, 1e-4, 1.0].map(heat), [0.0, 0.5, 1.0]);
        assert_eq!([0.0, 1e-12, 1e9].map(heat), [0.0, 0.0, 1.0]);
    }
}
