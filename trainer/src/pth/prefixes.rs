//! What stands before the names of a network's parameters, where it is not the same before all.

use std::collections::{HashMap, HashSet};

use proto::checkpoint::{Tree, listed};
use proto::pickle::Value;
use proto::printable::printable;

use super::error::{Prefixes, PthFault};
use super::names::Names;
use super::state_dict::Candidate;

/// How many prefixes are taken off in one line of Python.
const MOST_NAMED: usize = 4;

/// The names behind one prefix.
struct Group<'a> {
    prefix: &'a str,
    /// How many there are.
    count: usize,
    /// One of them.
    such: &'a str,
}

/// Says which prefixes there are in a dict, if a name that is missing behind one of them stands
/// behind another.
///
/// Tensors behind several prefixes are not put together: they may be parts of several networks.
pub(super) fn differing<'a>(
    tree: &Tree<'a>,
    candidate: Candidate<'a>,
    missing: &str,
) -> Option<PthFault> {
    let names = Names::of_any_size();
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut positions: HashMap<&str, usize> = HashMap::new();
    let (mut seen, mut twice) = (HashSet::new(), None);
    for &(key, _) in tree.entries(candidate.node)? {
        let Value::Text(key) = key else { continue };
        let Some((prefix, name)) = names.split(key) else {
            continue;
        };
        if !seen.insert(name) {
            twice = Some(name);
        }
        let position = *positions.entry(prefix).or_insert(groups.len());
        if position == groups.len() {
            groups.push(Group {
                prefix,
                count: 0,
                such: name,
            });
        }
        groups[position].count += 1;
    }
    let is_elsewhere = seen.contains(missing);
    let path = tree.path(candidate.node);
    let prefixes = || Prefixes {
        at: (path != ".").then_some(path),
        found: listed(groups.iter(), describe).join(", "),
        hint: hint(&groups, twice),
    };
    is_elsewhere.then(|| PthFault::Prefixes(Box::new(prefixes())))
}

fn describe(group: &Group<'_>) -> String {
    let Group {
        prefix,
        count,
        such,
    } = group;
    let prefix = match *prefix {
        "" => "nothing".to_owned(),
        prefix => format!("`{}`", printable(prefix)),
    };
    let such = printable(such);
    match count {
        1 => format!("{prefix} before `{such}`"),
        count => format!("{prefix} before {count} names such as `{such}`"),
    }
}

/// How to rename the tensors, if each name stands once.
fn hint(groups: &[Group<'_>], twice: Option<&str>) -> String {
    if let Some(name) = twice {
        return format!(
            "save the tensors that belong together under names without a prefix; `{}` stands twice",
            printable(name)
        );
    }
    let prefixes = groups.iter().map(|group| group.prefix);
    let mut prefixes: Vec<&str> = prefixes.filter(|prefix| !prefix.is_empty()).collect();
    if prefixes.len() > MOST_NAMED || prefixes.iter().any(|prefix| printable(prefix) != *prefix) {
        return "if they are of one network, rename them in Python".to_owned();
    }
    // A longer one may begin as a shorter one does.
    prefixes.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
    let removed = |prefix: &&str| format!(".removeprefix(\"{prefix}\")");
    let removed: String = prefixes.iter().map(removed).collect();
    format!(
        "if they are of one network, in Python: torch.save({{name{removed}: tensor for name, \
         tensor in torch.load(FILE).items()}}, NEW)"
    )
}
