//! Manifests are what their schema says, by another program's judgement.

use std::path::Path;

use proto::bundle::Bundle;
use proto::bundle::subset::{self, Request};
use proto::manifest::{Choice, MANIFEST_FILE};
use tests::{python, root, scratch};

fn write_subset(bundle: &Bundle, choice: Choice, out: &Path) {
    let request = Request {
        bundle,
        choice,
        raw: true,
        out,
        replace: false,
        readme: |_manifest, _raw| String::new(),
    };
    subset::write(&request, |_bytes| true).expect("a subset");
}

#[test]
fn manifests_of_bundles_and_subsets_are_valid() {
    let folder = scratch();
    let tiny = root().join("tests/fixtures/tiny_bundle");
    let bundle = Bundle::open(&tiny).expect("a bundle");
    let (by_range, by_confidence) = (folder.path().join("range"), folder.path().join("conf"));
    write_subset(&bundle, Choice::Range { start: 2, end: 5 }, &by_range);
    let group_sizes = vec![1, 1];
    write_subset(&bundle, Choice::Conf { group_sizes }, &by_confidence);

    let schema = root().join("proto/manifest.schema.json");
    let [whole, range, conf] = [tiny, by_range, by_confidence].map(|at| at.join(MANIFEST_FILE));
    let of_1_0 = root().join("tests/fixtures/tiny_bundle_1_0/manifest.json");
    python(
        "judge_manifests",
        &[&schema, &of_1_0, &whole, &range, &conf],
    )
    .expect_status(0)
    .says("valid whole")
    .says("valid range")
    .says("valid conf");
}
