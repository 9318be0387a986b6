//! The network's numbers: everything that changes its results, the presets, and the parameters they
//! imply.

mod parameters;
mod preset;
mod vit;

#[cfg(test)]
mod tests;

pub use parameters::{Parameter, ParameterKind};
pub use preset::Preset;
pub use vit::{ConfigError, Pool, VitConfig};
