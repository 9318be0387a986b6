//! ONNX Runtime as an [`Engine`](super::Engine): the only folder that names `ort`.
//!
//! Three checks stand between a device asked for and a result: the provider must be created, no
//! node may be left to the CPU, and the profile of a first run must show every node on the
//! provider.

mod environment;
mod error;
mod guarded;
mod library;
pub mod locate;
mod options;
mod ports;
mod provider;
mod session;

pub use environment::prepare_environment;
pub use error::LoadError;
pub use library::{Library, LibraryInfo};
pub use options::{Optimization, Options};
pub use ports::{Expected, Ports};
pub use session::{Session, Source};
