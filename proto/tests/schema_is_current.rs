//! The committed schema is that of the manifest's type; `UPDATE=1 cargo test -p proto` renews it.

use std::path::Path;
use std::{env, fs};

use proto::manifest::Manifest;

#[test]
fn the_manifests_schema_is_current() {
    let expected = serde_json::to_string_pretty(&Manifest::schema()).expect("JSON") + "\n";
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifest.schema.json");
    if env::var_os("UPDATE").is_some() {
        fs::write(&committed, &expected).expect("write");
    }
    let found = fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        found == expected,
        "manifest.schema.json is not current: run UPDATE=1 cargo test -p proto"
    );
}
