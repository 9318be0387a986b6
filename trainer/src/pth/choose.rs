//! Which of the dicts in a file are the weights of a network.

use std::collections::HashMap;

use proto::checkpoint::{Tree, listed};
use proto::config::{Parameter, VitConfig};
use proto::pickle::{Pickle, Value};
use proto::printable::printable;

use super::error::{Difference, PthFault, TwoValues};
use super::names::is_count;
use super::no_weights::no_weights;
use super::prefixes::differing;
use super::state_dict::{Candidate, StateDict, prefix};

/// How many places that have every name are looked at.
const MOST_COMPARED: usize = 16;

/// The weights of a network in a file.
pub(super) struct Chosen<'a> {
    pub(super) state_dict: StateDict<'a>,
    /// The keys that lead to them; none if the file holds nothing else.
    pub(super) key: Option<String>,
    pub(super) epoch: Option<i64>,
    /// Entries that were not understood or not needed, each with what it is.
    pub(super) skipped: Vec<String>,
}

/// Finds the weights that fit a network, under a key if one is given.
pub(super) fn choose<'a>(
    pickle: &'a Pickle<'a>,
    config: &VitConfig,
    key: Option<&str>,
) -> Result<Chosen<'a>, PthFault> {
    let tree = Tree::of(pickle);
    let parameters = config.parameters();
    let mut candidates: Vec<Candidate<'a>> = tree
        .dicts()
        .flat_map(|(node, entries)| Candidate::in_dict(node, entries, &parameters))
        .collect();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.names));
    let all = candidates.clone();
    if let Some(key) = key {
        candidates.retain(|candidate| candidate.path(&tree) == key);
        if candidates.is_empty() {
            let in_dict = |candidate: &&Candidate<'a>| tree.path(candidate.node) == key;
            candidates = all.iter().filter(in_dict).copied().collect();
        }
        if candidates.is_empty() {
            return Err(PthFault::NoKey {
                key: key.to_owned(),
                found: paths(&tree, &all),
            });
        }
    }
    let Some(&best) = candidates.first() else {
        return Err(no_weights(&tree));
    };
    let complete = candidates
        .iter()
        .take_while(|candidate| candidate.names >= parameters.len())
        .take(MOST_COMPARED);
    let mut fitting: Vec<StateDict<'a>> = complete
        .map(|&candidate| StateDict::of(&tree, candidate, &all))
        .filter(|state_dict| state_dict.difference(config).is_none())
        .collect();
    if fitting.is_empty() {
        return Err(difference(&tree, best, &all, config));
    }
    let first = fitting.remove(0);
    if fitting
        .iter()
        .any(|other| !first.is_same(other, &parameters))
    {
        let all = std::iter::once(&first).chain(&fitting);
        let all: Vec<Candidate<'a>> = all.map(|state_dict| state_dict.candidate).collect();
        return Err(PthFault::Several(paths(&tree, &all)));
    }
    let is_meant = key == Some(first.candidate.path(&tree).as_str());
    if !is_meant && let Some(fault) = second_value(&tree, &first, &parameters) {
        return Err(fault);
    }
    Ok(chosen(&tree, first, &parameters))
}

fn paths<'a>(tree: &Tree<'a>, candidates: &[Candidate<'a>]) -> String {
    let path = |candidate: &Candidate<'a>| format!("`{}`", candidate.path(tree));
    listed(candidates.iter(), path).join(", ")
}

fn difference<'a>(
    tree: &Tree<'a>,
    best: Candidate<'a>,
    all: &[Candidate<'a>],
    config: &VitConfig,
) -> PthFault {
    let state_dict = StateDict::of(tree, best, all);
    let Some(difference) = state_dict.difference(config) else {
        unreachable!("a dict that fits is among the complete ones")
    };
    if let Difference::Missing { name, .. } = &difference
        && let Some(fault) = differing(tree, best, name)
    {
        return fault;
    }
    let path = best.path(tree);
    PthFault::Difference {
        at: (path != ".").then_some(path),
        difference: Box::new(difference),
        fits: state_dict.fitting_preset(config),
    }
}

/// A tensor in the dict of the weights, but behind another prefix, that may as well be the value of
/// a parameter.
fn second_value<'a>(
    tree: &Tree<'a>,
    first: &StateDict<'a>,
    parameters: &[Parameter],
) -> Option<PthFault> {
    let Candidate {
        node, prefix: own, ..
    } = first.candidate;
    let shapes: HashMap<&str, &[usize]> = parameters
        .iter()
        .map(|parameter| (parameter.name.as_str(), parameter.shape.as_slice()))
        .collect();
    tree.entries(node)?.iter().find_map(|&(key, value)| {
        let other = prefix(key, parameters).filter(|&other| other != own)?;
        let Value::Text(key) = key else { return None };
        let (name, view) = (&key[other.len()..], tree.pickle.tensor(value)?);
        let fits = shapes.get(name) == Some(&view.shape.as_slice());
        let differs = first.tensor(name) != Some(view);
        let two = || TwoValues {
            name: name.to_owned(),
            chosen: printable(&format!("{own}{name}")),
            other: printable(key),
            key: first.candidate.path(tree),
        };
        (fits && differs).then(|| PthFault::TwoValues(Box::new(two())))
    })
}

fn chosen<'a>(tree: &Tree<'a>, state_dict: StateDict<'a>, parameters: &[Parameter]) -> Chosen<'a> {
    let node = state_dict.candidate.node;
    let epoch = tree.with_parents(node).find_map(|node| {
        let mut entries = tree.entries(node)?.iter();
        entries.find_map(|&(key, value)| match (key, value) {
            (Value::Text("epoch"), Value::Int(epoch)) => Some(epoch),
            _ => None,
        })
    });
    let skipped = skipped(tree, &state_dict, parameters);
    let path = tree.path(node);
    Chosen {
        state_dict,
        key: (path != ".").then_some(path),
        epoch,
        skipped,
    }
}

/// What of a file is not in the weights: entries of their own dict, and wherever a class or
/// function is named.
fn skipped<'a>(
    tree: &Tree<'a>,
    state_dict: &StateDict<'a>,
    parameters: &[Parameter],
) -> Vec<String> {
    let node = state_dict.candidate.node;
    let (counts, others): (Vec<_>, Vec<_>) = state_dict
        .others(parameters)
        .into_iter()
        .partition(|(name, _)| is_count(name));
    let own = others
        .into_iter()
        .map(|(name, value)| (Value::Text(name), value))
        .chain(state_dict.beside.iter().copied())
        .map(|entry| (node, entry));
    let elsewhere = tree.inert.iter().filter(|inert| inert.node != node);
    let elsewhere = elsewhere.map(|inert| (inert.node, (inert.key, inert.value)));
    let mut skipped = listed(own.chain(elsewhere), |(node, entry)| {
        tree.describe(node, entry)
    });
    if let [(name, _), ..] = counts[..] {
        let (count, name) = (counts.len(), printable(name));
        skipped.push(format!("{count} counts of a profiler, such as `{name}`"));
    }
    skipped
}
