//! The words of one file as what its modules define, import and use.

use std::collections::{BTreeMap, BTreeSet};

/// The names of a module, from outer to inner.
pub(super) type Names = Vec<String>;

#[derive(Default)]
pub(super) struct Contents {
    /// Items that are defined here.
    pub(super) items: BTreeSet<String>,
    /// Names that a `use` brings here, with the path that it names.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// Paths of `use …::*`.
    pub(super) globs: Vec<Vec<String>>,
    /// Paths that use what they lead to.
    pub(super) paths: Vec<Vec<String>>,
}

/// What a file says of modules, by their names from the file's own module on.
pub(super) struct Scan {
    /// The file's own module and those written out in it.
    pub(super) written: BTreeMap<Names, Contents>,
    /// Those declared with a semicolon, which have files of their own.
    pub(super) declared: Vec<Names>,
    /// The modules that the words are inside of, each with the depth of its brace.
    inside: Vec<(String, usize)>,
    /// Names that the file has outside of `use`.
    mentioned: BTreeSet<String>,
}

impl Scan {
    pub(super) fn of(words: &[&str]) -> Self {
        let mut scan = Self {
            written: BTreeMap::from([(Names::new(), Contents::default())]),
            declared: Vec::new(),
            inside: Vec::new(),
            mentioned: mentioned(words),
        };
        scan.read(words);
        scan
    }

    fn read(&mut self, words: &[&str]) {
        let (mut at, mut depth) = (0, 0);
        while at < words.len() {
            match (words[at], words.get(at + 1), words.get(at + 2)) {
                ("mod", Some(name), Some(&";")) => {
                    let names = [self.names(), vec![(*name).to_owned()]].concat();
                    self.declared.push(names);
                    at += 2;
                }
                ("mod", Some(name), Some(&"{")) => {
                    self.inside.push(((*name).to_owned(), depth));
                    at += 1;
                }
                ("use", ..) => at = self.import(words, at),
                ("{", ..) => depth += 1,
                ("}", ..) => {
                    depth = depth.saturating_sub(1);
                    self.inside.pop_if(|(_, opened_at)| *opened_at == depth);
                }
                (word, Some(&"::"), _) if is_name(word) => at = self.path(words, at),
                (keyword, Some(name), _) if defines(keyword) => self.define(name),
                ("macro_rules", Some(&"!"), Some(name)) => self.define(name),
                _ => {}
            }
            at += 1;
        }
    }

    /// The module that the words are in.
    fn names(&self) -> Names {
        self.inside.iter().map(|(name, _)| name.clone()).collect()
    }

    fn here(&mut self) -> &mut Contents {
        self.written.entry(self.names()).or_default()
    }

    fn define(&mut self, name: &str) {
        self.here().items.insert(name.to_owned());
    }

    /// Reads a path, and gives the position of its last word.
    fn path(&mut self, words: &[&str], start: usize) -> usize {
        let (mut path, mut at) = (vec![words[start].to_owned()], start);
        while words.get(at + 1) == Some(&"::")
            && words.get(at + 2).is_some_and(|word| is_name(word))
        {
            path.push(words[at + 2].to_owned());
            at += 2;
        }
        // What follows `>::` belongs to a type, not to a module.
        let continues = start > 0 && words[start - 1] == "::";
        if !continues {
            self.here().paths.push(path);
        }
        at
    }

    /// Reads a `use`, and gives the position of its semicolon.
    fn import(&mut self, words: &[&str], start: usize) -> usize {
        let length = words[start..].iter().position(|word| *word == ";");
        let Some(end) = length.map(|length| start + length) else {
            return words.len(); // `use` within a signature: nothing that a module imports
        };
        let is_public = start > 0 && (words[start - 1] == "pub" || words[start - 1] == ")");
        for (path, name) in leaves(&words[start + 1..end]) {
            if name == "*" {
                self.here().globs.push(path);
                continue;
            }
            if !is_public || self.mentioned.contains(&name) {
                self.here().paths.push(path.clone());
            }
            self.here().imports.insert(name, path);
        }
        end
    }
}

/// Names of types that stand outside of `use`, and names of functions and modules that lead to
/// something there: `name(`, `name::`. A variable may have the name of a function.
fn mentioned(words: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_use = false;
    for (at, word) in words.iter().enumerate() {
        in_use |= *word == "use";
        let is_type = word.starts_with(|first: char| first.is_uppercase());
        let leads_on = matches!(words.get(at + 1), Some(&("(" | "::" | "!")));
        let is_new = at > 0 && matches!(words[at - 1], "." | "fn");
        if !in_use && (is_type || leads_on && !is_new) {
            found.insert((*word).to_owned());
        }
        in_use &= *word != ";";
    }
    found
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn defines(keyword: &str) -> bool {
    matches!(
        keyword,
        "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union"
    )
}

/// The paths of a `use`, groups resolved, each with the name that it brings, or `*`.
fn leaves(tree: &[&str]) -> Vec<(Vec<String>, String)> {
    let opening = tree.iter().position(|word| *word == "{");
    let Some(opening) = opening else {
        return leaf(tree).into_iter().collect();
    };
    let prefix: Vec<String> = names_in(&tree[..opening]);
    let body = &tree[opening + 1..tree.len() - 1];
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, word) in body.iter().chain([&","]).enumerate() {
        match *word {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                found.extend(leaves(&body[start..at.min(body.len())]));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
        .into_iter()
        .map(|(path, name)| with_prefix(&prefix, path, name))
        .collect()
}

fn names_in(words: &[&str]) -> Vec<String> {
    let names = words.iter().filter(|word| is_name(word));
    names.map(|name| (*name).to_owned()).collect()
}

/// `a::{self}` brings `a`, and `a::{b::C}` brings `C` of `a::b`.
fn with_prefix(prefix: &[String], path: Vec<String>, name: String) -> (Vec<String>, String) {
    if path == ["self"] {
        let own = prefix.last().cloned().unwrap_or_default();
        return (prefix.to_vec(), if name == "self" { own } else { name });
    }
    ([prefix, &path].concat(), name)
}

/// A path without groups, and the name that it brings; `None` of nothing and of `use a as _`.
fn leaf(words: &[&str]) -> Option<(Vec<String>, String)> {
    let renamed = words.iter().position(|word| *word == "as");
    let path = names_in(&words[..renamed.unwrap_or(words.len())]);
    if words.last() == Some(&"*") {
        return Some((path, "*".to_owned()));
    }
    let name = match renamed {
        Some(at) => (*words.get(at + 1)?).to_owned(),
        None => path.last()?.clone(),
    };
    Some((path, name))
}
