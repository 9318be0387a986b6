//! Which tensors a checkpoint has, and whether they are those of a network.

use std::collections::{HashMap, HashSet};

use proto::config::{Parameter, Preset, VitConfig};

use super::error::{Difference, PthFault};
use super::pickle::{Pickle, Value, View};
use super::printable::printable;

/// The key of the state dict in a checkpoint of the Python repository.
const STATE_DICT_KEY: &str = "model_state_dict";

/// The tensors that a pickle names.
pub(super) struct StateDict<'a> {
    /// In the file's order.
    names: Vec<&'a str>,
    pub(super) tensors: HashMap<&'a str, &'a View<'a>>,
}

impl<'a> StateDict<'a> {
    /// The state dict that a pickle is or holds, and the epoch beside it.
    pub(super) fn of(pickle: &'a Pickle<'a>) -> Result<(Self, Option<i64>), PthFault> {
        let root = entries(pickle, pickle.root)?;
        let (entries, epoch) = match value_of(root, STATE_DICT_KEY) {
            Some(value) => (entries(pickle, value)?, value_of(root, "epoch")),
            None => (root, None),
        };
        let mut state_dict = Self {
            names: Vec::new(),
            tensors: HashMap::new(),
        };
        for &(key, value) in entries {
            let Value::Text(name) = key else {
                return Err(PthFault::Name(pickle.type_name(key)));
            };
            let found = pickle.type_name(value);
            let view = pickle.tensor(value).ok_or_else(|| PthFault::NotTensor {
                name: printable(name),
                found,
            })?;
            state_dict.names.push(name);
            if state_dict.tensors.insert(name, view).is_some() {
                return Err(PthFault::Twice(printable(name)));
            }
        }
        let epoch = epoch.and_then(|value| match value {
            Value::Int(epoch) => Some(epoch),
            _ => None,
        });
        Ok((state_dict, epoch))
    }

    /// The first parameter that is not here as the config implies; if all are, the first tensor
    /// that is no parameter.
    pub(super) fn difference(&self, config: &VitConfig) -> Option<Difference> {
        let parameters = config.parameters();
        for Parameter {
            name,
            shape: expected,
            ..
        } in &parameters
        {
            let (name, expected) = (name.clone(), expected.clone());
            match self.tensors.get(name.as_str()) {
                None => return Some(Difference::Missing { name, expected }),
                Some(View { shape, .. }) if *shape != expected => {
                    return Some(Difference::Shape {
                        name,
                        expected,
                        found: shape.clone(),
                    });
                }
                Some(View { storage, .. }) if storage.dtype != "float32" => {
                    return Some(Difference::Dtype {
                        name,
                        found: storage.dtype,
                    });
                }
                Some(_) => {}
            }
        }
        let known: HashSet<&str> = parameters
            .iter()
            .map(|parameter| parameter.name.as_str())
            .collect();
        let extra = self.names.iter().find(|name| !known.contains(*name))?;
        Some(Difference::Extra {
            name: printable(extra),
            found: self.tensors[extra].shape.clone(),
        })
    }

    /// A preset other than the config that has these names and shapes.
    pub(super) fn fitting_preset(&self, config: &VitConfig) -> Option<Preset> {
        Preset::ALL
            .into_iter()
            .filter(|preset| preset.config() != *config)
            .find(|preset| {
                let parameters = preset.config().parameters();
                parameters.len() == self.names.len()
                    && parameters.iter().all(|parameter| self.has(parameter))
            })
    }
    /// Whether there is a tensor of this name and shape.
    fn has(&self, parameter: &Parameter) -> bool {
        self.tensors
            .get(parameter.name.as_str())
            .is_some_and(|view| view.shape == parameter.shape)
    }
}

type Entries<'a> = &'a [(Value<'a>, Value<'a>)];

fn entries<'a>(pickle: &'a Pickle<'a>, value: Value<'a>) -> Result<Entries<'a>, PthFault> {
    pickle
        .dict(value)
        .ok_or_else(|| PthFault::NoStateDict(pickle.type_name(value)))
}

fn value_of<'a>(entries: Entries<'a>, wanted: &str) -> Option<Value<'a>> {
    entries
        .iter()
        .find(|(key, _)| matches!(key, Value::Text(text) if *text == wanted))
        .map(|(_, value)| *value)
}
