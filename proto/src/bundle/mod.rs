//! Bundles: opening one safely, writing one whole or not at all, choosing samples of one.
//!
//! | file | holds |
//! |---|---|
//! | `open`, `parse`, `path`, `test_data` | [`Bundle`]: manifest, models and arrays, all checked |
//! | `write`, `replace` | [`BundleWriter`]: every file hashed as it passes |
//! | `samples` | what a bundle knows of its samples: confidence, correct or not |
//! | `subset`, `choose` | a bundle of some of another one's samples |
//!
//! ```
//! use proto::bundle::Bundle;
//! use proto::manifest::{dataset, part};
//!
//! let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/tiny_bundle");
//! let bundle = Bundle::open(folder.as_ref())?;
//! bundle.verify_files(&[], |_bytes| true)?;
//! let golden = bundle.dataset::<f32>(dataset::SUBMODEL_OUTPUT)?;
//! assert_eq!(golden.rows(0..4)?.view().shape(), [4, 17, 16]);
//! assert_eq!(bundle.graph(part::TAIL)?.input_names(), ["residual", "submodel_output"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod choose;
mod error;
mod open;
mod parse;
mod path;
mod replace;
mod samples;
pub mod subset;
mod test_data;
mod write;

#[cfg(test)]
mod tests;

pub use choose::{ChoiceError, Chosen, choose};
pub use error::{BundleError, NoRoom, WriteError};
pub use open::{Bundle, ModelFiles, PartModel};
pub use path::around;
pub use samples::{Samples, SamplesError};
pub use write::{BundleWriter, README_FILE};
