//! Writing a bundle: every part in turn into a hidden sibling folder, which gets its name when all
//! is there.

mod models;
mod origin;
mod request;
mod weights;

pub use request::{BundleError, PARTS, Request, write};
