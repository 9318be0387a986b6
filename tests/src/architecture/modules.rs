//! Which file of a crate uses which other, read out of the sources.
//!
//! A use is a path that leads to an item of another file: in a `use`, or wherever it is written.
//! Names are followed to where they are defined, through the re-exports of the files between. A
//! re-export is no use of its own unless its file has the name in other places too. Tests are left
//! out. What macros write and what methods lead to is not seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::scan::{Contents, Names, Scan};
use super::text::{code_alone, without_tests, words};

/// For each file, below `src` and by its path from there, the files whose items it uses.
pub type Uses = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

/// How deep re-exports of re-exports are followed.
const DEEPEST: usize = 8;

/// The uses among the files of a crate; `read` gives a file's text if there is such a file.
pub fn uses(crate_name: &str, read: &dyn Fn(&Path) -> Option<String>) -> Uses {
    let library = Tree::read("lib.rs", read);
    let program = Tree::read("main.rs", read);
    let mut uses = Uses::new();
    library.add_uses(&mut uses, &library, crate_name);
    program.add_uses(&mut uses, &library, crate_name);
    uses
}

/// [`uses`] of a crate on disk.
pub fn uses_in(crate_name: &str, src: &Path) -> Uses {
    uses(crate_name, &|file| {
        std::fs::read_to_string(src.join(file)).ok()
    })
}

/// A crate's modules: its library's or its program's. Their names begin at the crate's root:
/// `["report", "html"]`.
#[derive(Default)]
struct Tree {
    modules: BTreeMap<Names, Module>,
}

struct Module {
    file: PathBuf,
    contents: Contents,
}

impl Tree {
    fn read(root: &str, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut tree = Self::default();
        let mut queue = VecDeque::from([(Names::new(), PathBuf::from(root))]);
        while let Some((names, file)) = queue.pop_front() {
            let Some(text) = read(&file) else { continue };
            let code = without_tests(&code_alone(&text));
            let scan = Scan::of(&words(&code));
            for declared in scan.declared {
                let folder = folder_of_children(&file).join(declared.join("/"));
                let candidates = [folder.with_extension("rs"), folder.join("mod.rs")];
                if let Some(found) = candidates.into_iter().find(|file| read(file).is_some()) {
                    queue.push_back(([names.clone(), declared].concat(), found));
                }
            }
            for (inner, contents) in scan.written {
                let file = file.clone();
                let module = Module { file, contents };
                tree.modules.insert([names.clone(), inner].concat(), module);
            }
        }
        tree
    }

    fn add_uses(&self, uses: &mut Uses, library: &Self, crate_name: &str) {
        for (names, module) in &self.modules {
            let used = uses.entry(module.file.clone()).or_default();
            for path in &module.contents.paths {
                let found = if path[0] == crate_name {
                    library.file_of(&Names::new(), &path[1..], DEEPEST)
                } else {
                    self.absolute(names, path)
                        .and_then(|(from, rest)| self.file_of(&from, &rest, DEEPEST))
                };
                used.extend(found.filter(|found| *found != module.file));
            }
        }
    }

    /// The module that a path written in `here` begins at, and what of it is left; `None` of
    /// another crate's.
    fn absolute(&self, here: &Names, path: &[String]) -> Option<(Names, Vec<String>)> {
        let mut from = here.clone();
        let mut at = 0;
        while let Some(word) = path.get(at) {
            match word.as_str() {
                "crate" => from.clear(),
                "self" => {}
                "super" => drop(from.pop()),
                _ => break,
            }
            at += 1;
        }
        let rest = path[at..].to_vec();
        let known = at > 0 || rest.first().is_some_and(|first| self.knows(here, first));
        known.then_some((from, rest))
    }

    fn knows(&self, here: &Names, name: &str) -> bool {
        self.modules[here].contents.imports.contains_key(name)
            || self.modules.contains_key(&child(here, name))
    }

    /// The file that defines what a path leads to; `None` of a module as a whole and of what is
    /// not of this crate.
    fn file_of(&self, from: &Names, path: &[String], depth: usize) -> Option<PathBuf> {
        let (first, rest) = path.split_first()?;
        let module = self.modules.get(from)?;
        let inner = child(from, first);
        let contents = &module.contents;
        let import = contents.imports.get(first);
        let is_module = self.modules.contains_key(&inner);
        if is_module && (!rest.is_empty() || import.is_none()) {
            return self.file_of(&inner, rest, depth);
        }
        if contents.items.contains(first) {
            return Some(module.file.clone());
        }
        let depth = depth.checked_sub(1)?;
        if let Some(import) = import {
            let (from, start) = self.absolute(from, import)?;
            return self.file_of(&from, &[&start, rest].concat(), depth);
        }
        let through_glob = contents.globs.iter().find_map(|glob| {
            let (from, start) = self.absolute(from, glob)?;
            self.file_of(&from, &[&start[..], path].concat(), depth)
        });
        // A name that nothing here defines: a macro may have.
        through_glob.or_else(|| contents.globs.is_empty().then(|| module.file.clone()))
    }
}

fn child(names: &Names, name: &str) -> Names {
    let mut names = names.clone();
    names.push(name.to_owned());
    names
}

/// Where the files of the modules that a file declares are.
fn folder_of_children(file: &Path) -> PathBuf {
    let is_root = ["lib.rs", "main.rs", "mod.rs"]
        .iter()
        .any(|name| file.ends_with(name));
    if is_root {
        file.parent().expect("a folder").to_owned()
    } else {
        file.with_extension("")
    }
}
