//! A watch for a person: one line to glance at, and the summary with rates and cross sections.

mod document;
mod line;
mod notes;
mod others;
mod rates;
mod rows;
mod summary;
#[cfg(test)]
mod tests;
mod words;

pub use document::{CountsReport, WATCH_REPORT_VERSION, WatchReport};
pub use line::line;
pub use others::OthersReport;
pub use summary::Summary;
pub use words::clock;
