//! One typed, versioned record for each command, written and read back as JSON, and rendered as a
//! page, a table, a list or text.

pub mod bench;
mod by_bit;
pub mod campaign;
mod chart;
pub mod check;
pub mod command;
mod csv;
pub mod floor_plot;
mod html;
pub mod injected;
mod junit;
mod markdown;
pub mod matrix;
pub mod other_model;
pub mod outputs;
pub mod record;
mod render;
mod sample;
mod schema;
pub mod table;
pub mod text;
pub mod watch;

#[cfg(test)]
mod tests;

pub use html::watch::page as watch_page;
pub use record::{Body, Format, Record, Verdict, unix_seconds};
pub use schema::{calibration_schema, campaign_schema, record_schema, watch_schema};
