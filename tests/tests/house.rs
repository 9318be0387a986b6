//! The shape of the house: libtorch under the trainer and the exporter alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cargo_metadata::{DependencyKind, MetadataCommand, PackageId};

/// Everything that a package's normal and build dependencies lead to.
fn tree(package: &str) -> BTreeSet<String> {
    let metadata = MetadataCommand::new()
        .manifest_path(tests::root().join("Cargo.toml"))
        .exec()
        .expect("cargo metadata");
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

#[test]
fn libtorch_is_under_the_trainer_and_the_exporter_alone() {
    for package in ["trainer", "exporter"] {
        assert!(
            tree(package).contains("torch-sys"),
            "{package} uses libtorch"
        );
    }
    for package in ["proto", "verifier", "tests"] {
        let found = tree(package);
        assert!(
            !found.contains("torch-sys") && !found.contains("tch"),
            "{package} must not depend on libtorch"
        );
    }
}

#[test]
fn the_data_crate_has_no_runtime_and_the_verifier_alone_has_onnx_runtime() {
    assert!(tree("verifier").contains("ort"));
    for package in ["proto", "trainer", "exporter", "tests"] {
        assert!(
            !tree(package).contains("ort"),
            "{package} must not depend on ort"
        );
    }
}

fn names_ort(source: &str) -> bool {
    source
        .match_indices("ort::")
        .any(|(at, _)| !source[..at].ends_with(|before: char| before.is_alphanumeric()))
}

#[test]
fn one_file_of_the_verifier_names_ort() {
    let mut naming = Vec::new();
    let mut folders = vec![tests::root().join("verifier/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("list") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if names_ort(&std::fs::read_to_string(&path).expect("read")) {
                naming.push(path.file_name().expect("a name").to_owned());
            }
        }
    }
    assert_eq!(naming, ["onnxruntime.rs"]);
}
