//! PyTorch's names of a model's weights, which faults may be written with.

use std::collections::BTreeMap;

use proto::manifest::{Initializer, Part};

/// Which initializer holds which parameter.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    /// By the initializer's name.
    initializers: BTreeMap<String, Initializer>,
    /// The module that was cut out, and a dot: what its own parameters are also named without.
    prefix: String,
}

impl Parameters {
    /// Those of a part of a bundle; `module` is what was cut out as the submodel.
    pub fn new(part: &Part, module: &str) -> Self {
        Self {
            initializers: part.initializers.clone(),
            prefix: format!("{module}."),
        }
    }

    /// The initializer that holds a parameter, and whether transposed. The name is that of
    /// `state_dict()` of the whole network, or of the module alone.
    pub fn find(&self, name: &str) -> Option<(&str, bool)> {
        let mut all = self.initializers.iter();
        let bears_it = |origin: &Initializer| {
            origin.parameter == name || self.local(&origin.parameter) == Some(name)
        };
        let (initializer, origin) = all.find(|(_, origin)| bears_it(origin))?;
        Some((initializer.as_str(), origin.transposed))
    }

    /// What an initializer's parameter is called, by the shorter of its names, and whether the
    /// initializer holds it transposed.
    pub fn name_of(&self, initializer: &str) -> Option<(&str, bool)> {
        let origin = self.initializers.get(initializer)?;
        let name = self.local(&origin.parameter).unwrap_or(&origin.parameter);
        Some((name, origin.transposed))
    }

    /// The name of a parameter of the module without the module's.
    fn local<'a>(&self, parameter: &'a str) -> Option<&'a str> {
        parameter.strip_prefix(&self.prefix)
    }
}
