//! The committed schemas are those of the types; `UPDATE=1 cargo test -p verifier` renews them.

use std::path::Path;
use std::{env, fs};

use verifier::report::{calibration_schema, campaign_schema, record_schema, watch_schema};

#[test]
fn the_schemas_are_current() {
    for (name, schema) in [
        ("record.schema.json", record_schema()),
        ("calibration.schema.json", calibration_schema()),
        ("campaign.schema.json", campaign_schema()),
        ("watch.schema.json", watch_schema()),
    ] {
        let expected = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
        let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        if env::var_os("UPDATE").is_some() {
            fs::write(&committed, &expected).expect("write");
        }
        let found = fs::read_to_string(&committed).unwrap_or_default();
        assert!(
            found == expected,
            "{name} is not that of the types: UPDATE=1 cargo test -p verifier renews it"
        );
    }
}
