//! The committed schema is that of the report's types; `UPDATE=1 cargo test -p verifier` renews it.

use std::path::Path;
use std::{env, fs};

use verifier::report::Report;

#[test]
fn the_schema_is_current() {
    let expected = serde_json::to_string_pretty(&Report::schema()).expect("JSON") + "\n";
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("report.schema.json");
    if env::var_os("UPDATE").is_some() {
        fs::write(&committed, &expected).expect("write");
    }
    let found = fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        found == expected,
        "report.schema.json is not current: run UPDATE=1 cargo test -p verifier"
    );
}
