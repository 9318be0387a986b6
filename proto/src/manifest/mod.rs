//! `manifest.json`: what a bundle is, in one file that every tool can read.

mod check;
mod layout;
mod names;
mod schema;
mod text;

pub use check::is_identifier;
pub use layout::{
    Accuracy, Axis, Choice, Dataset, Deployment, Float64Golden, Golden, Initializer, Manifest,
    Model, Part, Producer, RecordedElsewhere, Role, Selection, Split, Subset, Tensor,
};
pub use names::{FORMAT_VERSION, MANIFEST_FILE, SHA256SUMS_FILE, dataset, part};
