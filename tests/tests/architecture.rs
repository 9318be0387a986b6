//! The rules about the sources: which crate may lead to libtorch or to ONNX Runtime, which file may
//! use which other, and how large files and functions may be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use tests::architecture::{
    circles, code_alone, entry_of_src, functions, rust_files, uses_against_order, uses_in,
};
use tests::root;

/// The entries of `verifier/src` from low to high: each uses itself and those of lower levels.
const ENTRIES: [&[&str]; 8] = [
    &["samples"],
    &["engine"],
    &["compare"],
    &["inject"],
    &["check", "calibrate", "bench", "matrix", "campaign"],
    &["report"],
    &["commands", "cli"],
    &["main"],
];
/// The uses within a level that are allowed: the first uses the second.
const WITHIN_A_LEVEL: [(&str, &str); 4] = [
    ("bench", "check"),
    ("calibrate", "check"),
    ("campaign", "check"),
    ("commands", "cli"),
];

const MOST_ENTRIES_OF_THE_VERIFIER: usize = 14;
const LONGEST_LINE: usize = 100;
const LONG_FUNCTION: usize = 60;
const LONG_FILE: usize = 400;
/// How many functions, and how many files, may be longer than that.
const MOST_LONG_ONES: usize = 10;

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .exec()
        .expect("cargo metadata")
}

/// Everything that a package's normal and build dependencies lead to.
fn tree(package: &str) -> BTreeSet<String> {
    let metadata = metadata();
    let names: BTreeMap<&PackageId, &str> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.as_str()))
        .collect();
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let edges: BTreeMap<&PackageId, Vec<&PackageId>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let shipped = node.deps.iter().filter(|dep| {
                dep.dep_kinds
                    .iter()
                    .any(|kind| kind.kind != DependencyKind::Development)
            });
            (&node.id, shipped.map(|dep| &dep.pkg).collect())
        })
        .collect();
    let start = metadata
        .workspace_packages()
        .into_iter()
        .find(|found| found.name == package)
        .expect("a member");
    let (mut seen, mut queue) = (BTreeSet::new(), VecDeque::from([&start.id]));
    while let Some(id) = queue.pop_front() {
        if seen.insert(id) {
            queue.extend(&edges[id]);
        }
    }
    seen.into_iter().map(|id| names[id].to_owned()).collect()
}

/// The members of the workspace, each with its folder of sources.
fn crates() -> Vec<(String, PathBuf)> {
    let source = |package: &&Package| {
        let folder = package.manifest_path.parent().expect("a folder");
        (package.name.to_string(), folder.join("src").into())
    };
    metadata().workspace_packages().iter().map(source).collect()
}

/// The text of every source file without comments and strings, by its path in the project.
fn sources() -> Vec<(PathBuf, String)> {
    let folders = crates().into_iter().map(|(_, src)| src);
    let files = folders.flat_map(|src| rust_files(&src));
    files
        .filter(|file| !file.ends_with("onnx/generated.rs"))
        .map(|file| {
            let text = std::fs::read_to_string(&file).expect("read");
            let within = file
                .strip_prefix(root())
                .expect("in the project")
                .to_owned();
            (within, text)
        })
        .collect()
}

fn expect_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

fn expect_few(what: &str, found: &[String]) {
    assert!(
        found.len() <= MOST_LONG_ONES,
        "{}: expected at most {MOST_LONG_ONES} {what}:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn only_the_trainer_and_the_exporter_lead_to_libtorch() {
    for (package, _) in crates() {
        let found = tree(&package);
        let leads_to_libtorch = found.contains("torch-sys") || found.contains("tch");
        let may = ["trainer", "exporter"].contains(&package.as_str());
        assert_eq!(leads_to_libtorch, may, "{package}");
    }
}

#[test]
fn only_the_verifier_leads_to_onnx_runtime() {
    for (package, _) in crates() {
        assert_eq!(
            tree(&package).contains("ort"),
            package == "verifier",
            "{package}"
        );
    }
}

#[test]
fn ort_is_named_by_the_engine_for_onnx_runtime_only() {
    let home = Path::new("verifier/src/engine/onnxruntime");
    let naming: Vec<String> = sources()
        .into_iter()
        .filter(|(file, text)| !file.starts_with(home) && names_ort(&code_alone(text)))
        .map(|(file, _)| file.display().to_string())
        .collect();
    expect_none("these files name `ort`", &naming);
}

fn names_ort(code: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices("ort::")
        .any(|(at, _)| !code[..at].ends_with(is_word))
}

#[test]
fn no_files_and_no_folders_use_each_other_in_a_circle() {
    let found: Vec<String> = crates()
        .iter()
        .flat_map(|(name, src)| {
            let circles = circles(&uses_in(name, src)).into_iter();
            circles.map(move |circle| format!("{name}: {circle}"))
        })
        .collect();
    expect_none("circles", &found);
}

#[test]
fn the_entries_of_the_verifier_use_lower_ones_only() {
    let mut uses = uses_in("verifier", &root().join("verifier/src"));
    // The library's root declares the entries.
    uses.remove(Path::new("lib.rs"));
    let unknown: BTreeSet<String> = uses
        .keys()
        .map(|file| entry_of_src(file))
        .filter(|entry| !ENTRIES.concat().contains(&entry.as_str()))
        .collect();
    expect_none("these are no entries", &Vec::from_iter(unknown));
    expect_none(
        "uses upwards",
        &uses_against_order(&uses, &ENTRIES, &WITHIN_A_LEVEL),
    );
}

#[test]
fn the_verifier_can_be_drawn_from_its_folder() {
    let entries = std::fs::read_dir(root().join("verifier/src"))
        .expect("list")
        .count();
    assert!(entries <= MOST_ENTRIES_OF_THE_VERIFIER, "{entries} entries");
}

#[test]
fn few_functions_are_long() {
    let mut long = Vec::new();
    for (file, text) in sources() {
        for function in functions(&code_alone(&text)) {
            if function.lines > LONG_FUNCTION {
                let (name, line, lines) = (function.name, function.line, function.lines);
                long.push(format!("{}:{line}: {name}, {lines} lines", file.display()));
            }
        }
    }
    expect_few("functions of more than 60 lines", &long);
}

#[test]
fn few_files_are_long() {
    let is_test =
        |file: &Path| file.ends_with("tests.rs") || file.iter().any(|part| part == "tests");
    let long: Vec<String> = sources()
        .iter()
        .filter(|(file, _)| !is_test(file))
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > LONG_FILE)
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();
    expect_few("files of more than 400 lines", &long);
}

#[test]
fn no_line_is_longer_than_the_formatter_would_make_it() {
    let mut long = Vec::new();
    for (file, text) in sources() {
        for (number, line) in (1..).zip(text.lines()) {
            if line.chars().count() > LONGEST_LINE {
                long.push(format!("{}:{number}", file.display()));
            }
        }
    }
    expect_none("these lines have more than 100 columns", &long);
}
