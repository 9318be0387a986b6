//! What lies in a saved object, and where: its dicts, lists and tuples, down to some depth.

use crate::pickle::{Object, Pickle, Value};
use crate::printable::printable;

/// Weights lie in one or two dicts; an optimizer's state goes three deep.
const DEEPEST: usize = 6;

/// How many entries a message lists.
const LISTED: usize = 6;

/// The keys and values of a dict, in order.
pub type Entries<'a> = &'a [(Value<'a>, Value<'a>)];

pub struct Tree<'a> {
    pub pickle: &'a Pickle<'a>,
    /// The saved object first, then from top to bottom.
    nodes: Vec<Node<'a>>,
    /// Classes, functions, and what they would make; tensors of kinds that are not read.
    pub inert: Vec<Inert<'a>>,
}

/// A dict, list or tuple, or something else that was saved.
#[derive(Debug, Clone, Copy)]
struct Node<'a> {
    /// The dict, list or tuple that it lies in, and under which key.
    parent: Option<(usize, Value<'a>)>,
    value: Value<'a>,
    depth: usize,
}

/// A value of which the name alone is kept.
#[derive(Debug, Clone, Copy)]
pub struct Inert<'a> {
    /// The dict, list or tuple that it lies in.
    pub node: usize,
    pub key: Value<'a>,
    pub value: Value<'a>,
}

impl<'a> Tree<'a> {
    pub fn of(pickle: &'a Pickle<'a>) -> Self {
        let root = Node {
            parent: None,
            value: pickle.root,
            depth: 0,
        };
        let mut tree = Self {
            pickle,
            nodes: vec![root],
            inert: vec![],
        };
        // Each object once, wherever it is first met.
        let mut seen = vec![false; pickle.object_count()];
        if let Value::Object(index) = pickle.root {
            seen[index] = true;
        }
        let mut next = 0;
        while let Some(&node) = tree.nodes.get(next) {
            match pickle.object(node.value) {
                _ if node.depth == DEEPEST => {}
                Some(Object::Dict(entries)) => {
                    for &(key, value) in entries {
                        tree.add(next, key, value, &mut seen);
                    }
                }
                Some(Object::List(items) | Object::Tuple(items)) => {
                    for (index, &value) in (0..).zip(items) {
                        tree.add(next, Value::Int(index), value, &mut seen);
                    }
                }
                _ => {}
            }
            next += 1;
        }
        tree
    }

    fn add(&mut self, node: usize, key: Value<'a>, value: Value<'a>, seen: &mut [bool]) {
        let Value::Object(index) = value else {
            return;
        };
        if std::mem::replace(&mut seen[index], true) {
            return;
        }
        match self.pickle.object(value) {
            Some(Object::Dict(_) | Object::List(_) | Object::Tuple(_)) => self.nodes.push(Node {
                parent: Some((node, key)),
                value,
                depth: self.nodes[node].depth + 1,
            }),
            Some(Object::Named(_) | Object::Inert(_) | Object::Unread(_)) => {
                self.inert.push(Inert { node, key, value });
            }
            _ => {}
        }
    }

    /// The dicts, from top to bottom: the number of each, and its entries.
    pub fn dicts(&self) -> impl Iterator<Item = (usize, Entries<'a>)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(node, _)| Some((node, self.entries(node)?)))
    }

    /// Every entry of a dict, and every object in a list, that holds nothing more: the keys that
    /// lead to it, and its value. Dicts and lists without anything are among them.
    pub fn leaves(&self) -> impl Iterator<Item = (String, Value<'a>)> {
        (0..self.nodes.len()).flat_map(|node| {
            let value = self.nodes[node].value;
            let entries: Vec<(Value<'a>, Value<'a>)> = match self.pickle.object(value) {
                Some(Object::Dict(entries)) => entries.clone(),
                Some(Object::List(items) | Object::Tuple(items)) => {
                    let items = (0..).map(Value::Int).zip(items.iter().copied());
                    items
                        .filter(|(_, item)| matches!(item, Value::Object(_)))
                        .collect()
                }
                _ => vec![],
            };
            let path = self.path(node);
            let leaves = entries
                .into_iter()
                .filter(|&(_, value)| self.is_leaf(value));
            let leaves = leaves.map(move |(key, value)| (key, value, path.clone()));
            leaves.map(|(key, value, path)| (joined(&path, &self.key(key)), value))
        })
    }

    fn is_leaf(&self, value: Value<'a>) -> bool {
        match self.pickle.object(value) {
            Some(Object::Dict(entries)) => entries.is_empty(),
            Some(Object::List(items) | Object::Tuple(items)) => {
                !items.iter().any(|item| matches!(item, Value::Object(_)))
            }
            _ => true,
        }
    }

    /// The entries of a dict.
    pub fn entries(&self, node: usize) -> Option<Entries<'a>> {
        self.pickle.dict(self.nodes[node].value)
    }

    /// A dict, and those that it lies in.
    pub fn with_parents(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |&node| {
            self.nodes[node].parent.map(|(parent, _)| parent)
        })
    }

    /// The keys that lead to a node, apart by dots; a dot alone is the saved object itself.
    pub fn path(&self, node: usize) -> String {
        let keys = self.with_parents(node);
        let mut keys: Vec<String> = keys
            .filter_map(|node| self.nodes[node].parent)
            .map(|(_, key)| self.key(key))
            .collect();
        keys.reverse();
        match keys.is_empty() {
            true => ".".to_owned(),
            false => keys.join("."),
        }
    }

    /// The keys that lead to an entry, and what it is.
    pub fn describe(&self, node: usize, (key, value): (Value<'a>, Value<'a>)) -> String {
        let path = joined(&self.path(node), &self.key(key));
        format!("`{path}` ({})", self.pickle.describe(value))
    }

    fn key(&self, key: Value<'a>) -> String {
        match key {
            Value::Text(text) => printable(text),
            Value::Int(number) => number.to_string(),
            other => self.pickle.describe(other),
        }
    }
}

/// A path and what follows it.
pub fn joined(path: &str, rest: &str) -> String {
    match (path, rest) {
        (path, "") => path.to_owned(),
        (".", rest) => rest.to_owned(),
        (path, rest) => format!("{path}.{rest}"),
    }
}

/// The first few, and how many more there are.
pub fn listed<T>(mut entries: impl Iterator<Item = T>, text: impl Fn(T) -> String) -> Vec<String> {
    let mut list: Vec<String> = entries.by_ref().take(LISTED).map(text).collect();
    match entries.count() {
        0 => {}
        more => list.push(format!("{more} more")),
    }
    list
}
