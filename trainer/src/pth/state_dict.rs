//! Tensors by name in a dict, and whether they are those of a network.

use std::collections::{HashMap, HashSet};

use proto::checkpoint::{Entries, Tree, joined};
use proto::config::{Parameter, Preset, VitConfig};
use proto::pickle::{Pickle, Value, View};
use proto::printable::printable;

use super::error::Difference;
use super::names::{Names, is_count};

/// A dict whose keys end like the names of parameters, and what stands before these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    /// The dict's number in the tree.
    pub(super) node: usize,
    /// With its last dot; empty if the names begin at once.
    pub(super) prefix: &'a str,
    /// How many names of parameters there are after the prefix.
    pub(super) names: usize,
}

impl<'a> Candidate<'a> {
    /// Those of a dict, in the order of its keys.
    pub(super) fn in_dict(
        node: usize,
        entries: Entries<'a>,
        parameters: &[Parameter],
    ) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        let mut positions: HashMap<&str, usize> = HashMap::new();
        for &(key, _) in entries {
            let Some(prefix) = prefix(key, parameters) else {
                continue;
            };
            let position = *positions.entry(prefix).or_insert(found.len());
            if position == found.len() {
                let names = 0;
                found.push(Self {
                    node,
                    prefix,
                    names,
                });
            }
            found[position].names += 1;
        }
        found
    }

    /// The keys that lead to it, and its prefix.
    pub(super) fn path(&self, tree: &Tree<'a>) -> String {
        let prefix = printable(self.prefix.trim_end_matches('.'));
        joined(&tree.path(self.node), &prefix)
    }
}

/// What stands before the name of a parameter, if a key ends with one.
pub(super) fn prefix<'a>(key: Value<'a>, parameters: &[Parameter]) -> Option<&'a str> {
    let Value::Text(key) = key else {
        return None;
    };
    parameters
        .iter()
        .filter_map(|parameter| key.strip_suffix(parameter.name.as_str()))
        .find(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// The tensors that a file names.
pub(super) struct StateDict<'a> {
    pickle: &'a Pickle<'a>,
    pub(super) candidate: Candidate<'a>,
    /// Names after the prefix, in the file's order.
    entries: Vec<(&'a str, Value<'a>)>,
    values: HashMap<&'a str, Value<'a>>,
    /// Names that stand twice.
    twice: HashSet<&'a str>,
    /// Entries of the dict without the prefix.
    pub(super) beside: Vec<(Value<'a>, Value<'a>)>,
}

impl<'a> StateDict<'a> {
    /// What stands behind the longer prefix of another one of all, such as averages beside the
    /// weights, is not of it.
    pub(super) fn of(tree: &Tree<'a>, candidate: Candidate<'a>, all: &[Candidate<'a>]) -> Self {
        let mut state_dict = Self {
            pickle: tree.pickle,
            candidate,
            entries: Vec::new(),
            values: HashMap::new(),
            twice: HashSet::new(),
            beside: Vec::new(),
        };
        let own = candidate.prefix;
        let longer: Vec<&str> = all
            .iter()
            .filter(|other| other.node == candidate.node)
            .map(|other| other.prefix)
            .filter(|other| other.len() > own.len() && other.starts_with(own))
            .collect();
        for &(key, value) in tree.entries(candidate.node).unwrap_or_default() {
            let name = match key {
                Value::Text(key) if !longer.iter().any(|&other| key.starts_with(other)) => {
                    key.strip_prefix(candidate.prefix)
                }
                _ => None,
            };
            let Some(name) = name else {
                state_dict.beside.push((key, value));
                continue;
            };
            state_dict.entries.push((name, value));
            if state_dict.values.insert(name, value).is_some() {
                state_dict.twice.insert(name);
            }
        }
        state_dict
    }

    /// A parameter's tensor.
    pub(super) fn tensor(&self, name: &str) -> Option<&'a View<'a>> {
        self.pickle.tensor(*self.values.get(name)?)
    }

    /// The first parameter that is not here as the config implies; if all are, the first tensor
    /// that is no parameter.
    pub(super) fn difference(&self, config: &VitConfig) -> Option<Difference> {
        let parameters = config.parameters();
        let mut differences = parameters.iter();
        if let Some(difference) = differences.find_map(|parameter| self.differs(parameter)) {
            return Some(difference);
        }
        let known: HashSet<&str> = parameters
            .iter()
            .map(|parameter| parameter.name.as_str())
            .collect();
        let mut others = self
            .entries
            .iter()
            .filter(|(name, _)| !known.contains(name) && !is_count(name));
        let (name, view) =
            others.find_map(|&(name, value)| Some((name, self.pickle.tensor(value)?)))?;
        Some(Difference::Extra {
            name: printable(name),
            found: view.shape.clone(),
        })
    }

    fn differs(&self, parameter: &Parameter) -> Option<Difference> {
        let (name, expected) = (parameter.name.clone(), parameter.shape.clone());
        let Some(&value) = self.values.get(name.as_str()) else {
            return Some(Difference::Missing { name, expected });
        };
        if self.twice.contains(name.as_str()) {
            return Some(Difference::Twice(name));
        }
        match self.pickle.tensor(value) {
            Some(view) if view.shape == expected => None,
            Some(view) => Some(Difference::Shape {
                name,
                expected,
                found: view.shape.clone(),
            }),
            None => Some(self.no_tensor(name, value)),
        }
    }

    /// What stands in the place of a parameter's tensor.
    fn no_tensor(&self, name: String, value: Value<'a>) -> Difference {
        let found = self.pickle.describe(value);
        if let Some(unread) = self.pickle.unread(value) {
            let plain = unread.made_plain();
            return Difference::Unread { name, found, plain };
        }
        match self.pickle.name(value) {
            Some(called) if called.is_numpy() => Difference::NumPy { name, found },
            Some(_) => Difference::Called {
                name,
                called: found,
            },
            None => Difference::NotTensor { name, found },
        }
    }

    /// The first parameter of a network with any number of blocks that is no tensor.
    pub(super) fn first_no_tensor(&self, names: &Names) -> Option<Difference> {
        let is_no_tensor = |&&(name, value): &&(&str, Value<'a>)| {
            self.pickle.tensor(value).is_none() && names.has(name)
        };
        let &(name, value) = self.entries.iter().find(is_no_tensor)?;
        Some(self.no_tensor(name.to_owned(), value))
    }

    /// A preset other than the config that has these names and shapes.
    pub(super) fn fitting_preset(&self, config: &VitConfig) -> Option<Preset> {
        Preset::ALL
            .into_iter()
            .filter(|preset| preset.config() != *config)
            .find(|preset| self.difference(&preset.config()).is_none())
    }

    /// Whether the parameters are the same numbers in the file as those of another.
    pub(super) fn is_same(&self, other: &Self, parameters: &[Parameter]) -> bool {
        parameters
            .iter()
            .all(|parameter| self.tensor(&parameter.name) == other.tensor(&parameter.name))
    }

    /// Entries under the prefix that are no parameters and no tensors.
    pub(super) fn others(&self, parameters: &[Parameter]) -> Vec<(&'a str, Value<'a>)> {
        let known: HashSet<&str> = parameters
            .iter()
            .map(|parameter| parameter.name.as_str())
            .collect();
        let entries = self.entries.iter().copied();
        entries.filter(|(name, _)| !known.contains(name)).collect()
    }
}
