//! The committed ONNX types are what prost makes of the committed schema; `UPDATE=1 cargo test -p
//! proto` renews them.

use std::path::Path;
use std::{env, fs};

#[test]
fn the_generated_types_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = protox::compile([root.join("onnx/onnx.proto")], [root.join("onnx")])
        .expect("the schema compiles");
    let out = tempfile::tempdir().expect("folder");
    prost_build::Config::new()
        .out_dir(out.path())
        // The schema's comments are indented lists, which rustdoc would take for Rust examples.
        .disable_comments(["."])
        .compile_fds(schema)
        .expect("prost generates");
    let expected = fs::read_to_string(out.path().join("onnx.rs")).expect("prost wrote onnx.rs");

    let committed = root.join("src/onnx/generated.rs");
    if env::var_os("UPDATE").is_some() {
        fs::write(&committed, &expected).expect("write");
    }
    let found = fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        found == expected,
        "src/onnx/generated.rs is not current: run UPDATE=1 cargo test -p proto"
    );
}
