//! Which formats the record of each command has, and what renders it.

use std::io;

use super::bench::Bench;
use super::check::Check;
use super::matrix::Matrix;
use super::record::{Body, Format, Record};
use super::{csv, html, junit, markdown};

impl Body for Check {
    const COMMAND: &'static str = "check";
    const FORMATS: &'static [Format] = &[
        Format::Html,
        Format::Json,
        Format::Markdown,
        Format::Csv,
        Format::Junit,
    ];

    fn render(record: &Record<Self>, format: Format) -> io::Result<String> {
        match format {
            Format::Csv => csv::faulty_outputs(record),
            Format::Junit => junit::document(record),
            Format::Html => Ok(html::check(record)),
            _ => Ok(markdown::check(record)),
        }
    }
}

impl Body for Matrix {
    const COMMAND: &'static str = "compare";
    const FORMATS: &'static [Format] = &[Format::Html, Format::Json, Format::Markdown];

    fn render(record: &Record<Self>, format: Format) -> io::Result<String> {
        match format {
            Format::Html => Ok(html::matrix(record)),
            _ => Ok(markdown::matrix(record)),
        }
    }
}

impl Body for Bench {
    const COMMAND: &'static str = "bench";
    const FORMATS: &'static [Format] = &[Format::Json, Format::Markdown, Format::Csv];

    fn render(record: &Record<Self>, format: Format) -> io::Result<String> {
        match format {
            Format::Csv if record.body.processes.is_empty() => csv::rows(&record.body.timings),
            Format::Csv => csv::rows(&record.body.processes),
            _ => Ok(markdown::bench(record)),
        }
    }
}
