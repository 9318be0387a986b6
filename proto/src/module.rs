//! The cut: which module of the network is the submodel.

use std::fmt;

use crate::config::VitConfig;

/// A module of the network, named as in the Python model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// `transformer.layers.K.0.fn`: the attention of block `K`, without its LayerNorm.
    Attention {
        /// The block, from 0.
        layer: usize,
    },
}

/// The name is not that of a module which can be cut out.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown module `{name}`: expected transformer.layers.K.0.fn with K from 0 to {last_layer}\n\
     hint: transformer.layers.0.0.fn is the first attention"
)]
pub struct UnknownModule {
    /// The name as given.
    pub name: String,
    /// The network's last block.
    pub last_layer: usize,
}

impl Module {
    /// The name that the command line uses when none is given: the first attention.
    pub const DEFAULT_NAME: &str = "transformer.layers.0.0.fn";

    /// Finds the module with this name in a network.
    pub fn parse(name: &str, config: &VitConfig) -> Result<Self, UnknownModule> {
        (0..config.layers)
            .map(|layer| Self::Attention { layer })
            .find(|module| module.to_string() == name)
            .ok_or_else(|| UnknownModule { name: name.to_owned(), last_layer: config.layers.saturating_sub(1) })
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attention { layer } => write!(f, "transformer.layers.{layer}.0.fn"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;

    #[test]
    fn only_modules_of_the_network_are_found() {
        let nano = Preset::Nano.config();
        let found = |name| Module::parse(name, &nano).ok();
        assert_eq!(found(Module::DEFAULT_NAME), Some(Module::Attention { layer: 0 }));
        assert_eq!(found("transformer.layers.3.0.fn"), Some(Module::Attention { layer: 3 }));
        for name in ["transformer.layers.4.0.fn", "transformer.layers.00.0.fn", "transformer.layers.0.0.fn ", ""] {
            assert_eq!(found(name), None, "{name:?}");
        }
    }
}
