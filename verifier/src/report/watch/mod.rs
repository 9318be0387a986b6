//! A watch for a person: one line to glance at, and the summary with rates and cross sections.

mod line;
mod notes;
mod others;
mod rows;
mod summary;
#[cfg(test)]
mod tests;
mod words;

pub use line::line;
pub use others::rows_of_others;
pub use summary::Summary;
pub use words::clock;
