//! Modules of the network that can be cut out as the submodel.

use std::fmt;

use crate::config::VitConfig;

/// A module of one transformer block, named as in the Python model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    /// The block, `K`, from 0.
    pub layer: usize,
    /// Which part of the block.
    pub kind: ModuleKind,
}

/// The parts of a transformer block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleKind {
    /// `transformer.layers.K.0.fn`: attention, without its LayerNorm.
    Attention,
    /// `transformer.layers.K.0`: LayerNorm and attention.
    NormAttention,
    /// `transformer.layers.K.1.fn`: the feed-forward network, without its LayerNorm.
    FeedForward,
    /// `transformer.layers.K.1`: LayerNorm and the feed-forward network.
    NormFeedForward,
    /// `transformer.layers.K`: the whole block, its two residual sums included.
    Block,
}

/// The name is not that of a module which can be cut out.
#[derive(Debug, thiserror::Error)]
#[error(
    "unknown module `{name}`: expected one of these, K from 0 to {last_layer}\n{}\n\
     hint: the nearest is {nearest}",
    list()
)]
pub struct UnknownModule {
    /// The name as given.
    pub name: String,
    /// The network's last block.
    pub last_layer: usize,
    /// The valid name that differs least from it.
    pub nearest: String,
}

impl ModuleKind {
    /// All kinds, in the order they are listed to users.
    pub const ALL: [Self; 5] = [
        Self::Attention,
        Self::NormAttention,
        Self::FeedForward,
        Self::NormFeedForward,
        Self::Block,
    ];

    /// What follows `transformer.layers.K` in the module's name.
    fn suffix(self) -> &'static str {
        match self {
            Self::Attention => ".0.fn",
            Self::NormAttention => ".0",
            Self::FeedForward => ".1.fn",
            Self::NormFeedForward => ".1",
            Self::Block => "",
        }
    }

    /// What it is, for people.
    pub fn description(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::NormAttention => "LayerNorm and attention",
            Self::FeedForward => "feed-forward network",
            Self::NormFeedForward => "LayerNorm and feed-forward network",
            Self::Block => "whole block",
        }
    }
}

impl Module {
    /// The name that the command line uses when none is given: the first attention.
    pub const DEFAULT_NAME: &str = "transformer.layers.0.0.fn";

    /// Finds the module with this name in a network.
    pub fn parse(name: &str, config: &VitConfig) -> Result<Self, UnknownModule> {
        let all = || {
            (0..config.layers).flat_map(|layer| ModuleKind::ALL.map(|kind| Self { layer, kind }))
        };
        all()
            .find(|module| module.to_string() == name)
            .ok_or_else(|| {
                let distance =
                    |module: &Self| strsim::damerau_levenshtein(&module.to_string(), name);
                UnknownModule {
                    name: name.to_owned(),
                    last_layer: config.layers.saturating_sub(1),
                    nearest: all()
                        .min_by_key(distance)
                        .map_or_else(|| Self::DEFAULT_NAME.to_owned(), |found| found.to_string()),
                }
            })
    }

    /// Whether a tensor goes round the module, to be added to its output: not round a whole block.
    pub fn has_residual(self) -> bool {
        self.kind != ModuleKind::Block
    }

    /// The module with its LayerNorm, whose input is what goes round it; none round a whole block.
    pub fn with_norm(self) -> Option<Self> {
        let kind = match self.kind {
            ModuleKind::Attention | ModuleKind::NormAttention => ModuleKind::NormAttention,
            ModuleKind::FeedForward | ModuleKind::NormFeedForward => ModuleKind::NormFeedForward,
            ModuleKind::Block => return None,
        };
        Some(Self { kind, ..self })
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transformer.layers.{}{}", self.layer, self.kind.suffix())
    }
}

/// One line for each kind of module.
fn list() -> String {
    let line = |kind: ModuleKind| {
        format!(
            "  {:<27} {}",
            format!("transformer.layers.K{}", kind.suffix()),
            kind.description()
        )
    };
    ModuleKind::ALL.map(line).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preset;

    #[test]
    fn only_modules_of_the_network_are_found() {
        let nano = Preset::Nano.config();
        let found = |name| Module::parse(name, &nano).ok();
        let module = |layer, kind| Some(Module { layer, kind });
        assert_eq!(
            found(Module::DEFAULT_NAME),
            module(0, ModuleKind::Attention)
        );
        assert_eq!(
            found("transformer.layers.3.0"),
            module(3, ModuleKind::NormAttention)
        );
        assert_eq!(
            found("transformer.layers.1.1.fn"),
            module(1, ModuleKind::FeedForward)
        );
        assert_eq!(
            found("transformer.layers.1.1"),
            module(1, ModuleKind::NormFeedForward)
        );
        assert_eq!(found("transformer.layers.1"), module(1, ModuleKind::Block));
        for name in [
            "transformer.layers.4.0.fn",
            "transformer.layers.00.0.fn",
            "transformer.layers.0.0.fn ",
            "",
        ] {
            assert_eq!(found(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_wrong_name_gets_the_list_and_the_nearest() {
        let message = |name| {
            Module::parse(name, &Preset::Nano.config())
                .expect_err("unknown")
                .to_string()
        };
        let text = message("transformer.layer.2.1.fn");
        assert!(
            text.contains("the nearest is transformer.layers.2.1.fn"),
            "{text}"
        );
        assert!(
            text.contains("K from 0 to 3") && text.contains("transformer.layers.K.1.fn"),
            "{text}"
        );
        assert!(message("transformer.layers.12").contains("nearest is transformer.layers.1"));
    }
}
