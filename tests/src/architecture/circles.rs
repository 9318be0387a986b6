//! Circles among files and folders, and uses against an order of the entries of `src`.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use super::modules::Uses;

/// Circles among files and among folders, each as the way round: `a.rs → b.rs → a.rs`.
pub fn circles(uses: &Uses) -> Vec<String> {
    let mut found = rings(uses);
    let folders: BTreeSet<&Path> = uses.keys().filter_map(|file| file.parent()).collect();
    let with_parents = folders.iter().flat_map(|folder| folder.ancestors());
    let all: BTreeSet<&Path> = with_parents.collect();
    for folder in all {
        let entries = uses_of_entries(uses, folder);
        let has_folder = |ring: &String| ring.split(" → ").any(|name| !name.ends_with(".rs"));
        found.extend(rings(&entries).into_iter().filter(has_folder));
    }
    found
}

/// The uses among the files and folders directly below a folder; a file `a.rs` is one with `a/`.
fn uses_of_entries(uses: &Uses, folder: &Path) -> Uses {
    let mut entries = Uses::new();
    for (file, used) in uses {
        let Some(from) = entry_of(uses, folder, file) else {
            continue;
        };
        let others = used.iter().filter_map(|file| entry_of(uses, folder, file));
        let others: BTreeSet<PathBuf> = others.filter(|other| *other != from).collect();
        entries.entry(from).or_default().extend(others);
    }
    entries
}

fn entry_of(uses: &Uses, folder: &Path, file: &Path) -> Option<PathBuf> {
    let first = file.strip_prefix(folder).ok()?.components().next()?;
    let entry = folder.join(first);
    let beside = entry.with_extension("");
    let has_folder = uses.keys().any(|file| file.starts_with(&beside));
    Some(if has_folder { beside } else { entry })
}

/// A shortest way round through every entry that is on one, each ring once.
fn rings(uses: &Uses) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut rings = Vec::new();
    for start in uses.keys() {
        let Some(ring) = way_round(uses, start) else {
            continue;
        };
        if seen.insert(ring.iter().cloned().collect::<BTreeSet<_>>()) {
            let names = ring.iter().chain([start]);
            let names: Vec<_> = names.map(|path| path.display().to_string()).collect();
            rings.push(names.join(" → "));
        }
    }
    rings
}

/// The shortest way from an entry back to itself.
fn way_round(uses: &Uses, start: &PathBuf) -> Option<Vec<PathBuf>> {
    let mut ways = VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let last = way.last().expect("a beginning");
        for next in uses.get(last).into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                ways.push_back([&way[..], std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

/// The uses among the entries of `src` that an order does not allow. The order is from low
/// to high; entries of one level may not use each other but for the exceptions, `(user, used)`.
pub fn uses_against_order(
    uses: &Uses,
    order: &[&[&str]],
    exceptions: &[(&str, &str)],
) -> Vec<String> {
    let level = |entry: &str| order.iter().position(|entries| entries.contains(&entry));
    let mut refused = Vec::new();
    for (file, used) in uses {
        for other in used {
            let (from, to) = (entry_of_src(file), entry_of_src(other));
            if from == to || exceptions.contains(&(&from, &to)) {
                continue;
            }
            match (level(&from), level(&to)) {
                (Some(high), Some(low)) if high > low => {}
                _ => refused.push(format!("{} → {}", file.display(), other.display())),
            }
        }
    }
    refused
}

/// The entry of `src` that a file is in, without an extension.
pub fn entry_of_src(file: &Path) -> String {
    let first = file.iter().next().map(Path::new).expect("a name");
    first.with_extension("").display().to_string()
}
