//! The network's numbers: everything that changes its results, the presets, and the parameters they
//! imply.

mod network;
mod parameters;
mod preset;
mod shapes;
mod vit;

#[cfg(test)]
mod tests;

pub use network::{Network, NetworkError};
pub use parameters::{Parameter, ParameterKind};
pub use preset::Preset;
pub use shapes::{Shapes, ShapesError, Told, refuse_other_networks};
pub use vit::{ConfigError, Pool, VitConfig};
