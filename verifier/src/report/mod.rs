//! The verdict in files: everything a reader needs to repeat the run, in the format that the file's
//! ending names.

mod csv;
mod fill;
mod html;
mod junit;
mod layout;
mod markdown;
pub(crate) mod table;

use std::io::{self, Write};
use std::path::Path;

use proto::staging;

pub use fill::unix_seconds;
pub use layout::*;

/// The formats a report can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Everything.
    Json,
    /// For people: a page of text.
    Markdown,
    /// To look at: a page with pictures, in one file.
    Html,
    /// One line for each output of a faulty sample.
    Csv,
    /// For test runners: a test case for the run itself, for each output and for each fault.
    Junit,
}

impl Format {
    /// By a file's ending.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "md" => Some(Self::Markdown),
            "html" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            "xml" => Some(Self::Junit),
            _ => None,
        }
    }
}

impl Report {
    /// The verdict in words.
    pub fn sentence(&self) -> String {
        let Some(result) = &self.result else {
            return "Nothing was compared, so nothing can be concluded.".to_owned();
        };
        let samples = grouped(result.samples);
        match (self.heading.verdict, self.options.expect_detected) {
            ("pass", false) => {
                format!("Every element of {samples} samples is within the tolerance.")
            }
            ("pass", true) => {
                format!(
                    "Every fault beyond the tolerance was flagged, and no other of {samples} samples."
                )
            }
            ("fail", true) => "A fault was missed, or a sample without one was flagged.".to_owned(),
            ("fail", false) => {
                format!(
                    "{} of {samples} samples have an element outside.",
                    grouped(result.faulty_samples)
                )
            }
            _ => format!("{samples} samples were compared, but the check did not come to its end."),
        }
    }

    /// Writes the report in the format of the file's ending; the file is whole or as it was.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let format =
            Format::of(path).ok_or_else(|| io::Error::other("no format has this ending"))?;
        staging::write_file(path, |writer| match format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut *writer, self)?;
                writer.write_all(b"\n")
            }
            Format::Markdown => writer.write_all(markdown::page(self).as_bytes()),
            Format::Html => writer.write_all(html::page(self).as_bytes()),
            Format::Csv => csv::write(self, writer),
            Format::Junit => writer.write_all(junit::document(self)?.as_bytes()),
        })
    }
}

/// Samples from the first one to the one before the end.
pub fn range_text([start, end]: [usize; 2]) -> String {
    format!("{start} to {}", end.saturating_sub(1))
}

/// A number with its thousands apart.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(
            [0, 999, 1000, 62_400_000].map(grouped),
            ["0", "999", "1,000", "62,400,000"]
        );
    }
}
