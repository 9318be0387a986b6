//! Every module that can be cut out: head, submodel and tail joined compute what the full model
//! computes.

use tests::{Program, export_command, fresh_weights, images, python, run, scratch};

const KINDS: [&str; 5] = [".0.fn", ".0", ".1.fn", ".1", ""];

/// Writes a bundle of every kind of module at some layers, then compares the joined parts with the
/// whole in ONNX Runtime.
fn joined_parts_are_the_full_model(preset: &str, layers: [usize; 3], samples: usize) {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), preset);
    for layer in layers {
        for kind in KINDS {
            let module = format!("transformer.layers.{layer}{kind}");
            let bundle = folder.path().join("bundles").join(&module);
            let mut command = export_command(&weights, &bundle);
            command.args(["--samples", &samples.to_string(), "--module", &module]);
            run(&mut command).expect_status(0);
        }
    }
    let bundles = folder.path().join("bundles");
    python(
        "joined_parts",
        &[&bundles, &images().join("test_batch.bin")],
    )
    .expect_status(0)
    .says("15 cuts");
}

#[test]
fn every_cut_of_nano_joins_to_the_full_model() {
    joined_parts_are_the_full_model("nano", [0, 2, 3], 200);
}

#[test]
fn every_cut_of_tiny_joins_to_the_full_model() {
    // More take minutes: TINY_SAMPLES=200 cargo test --release --workspace --test cuts
    let samples = std::env::var("TINY_SAMPLES").map_or(4, |number| {
        number.parse().expect("TINY_SAMPLES is a number")
    });
    joined_parts_are_the_full_model("tiny", [0, 6, 11], samples);
}

#[test]
fn a_wrong_module_gets_the_list_and_the_nearest() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let mut command = Program::Exporter.command();
    command
        .arg("bundle")
        .arg("--weights")
        .arg(&weights)
        .args(["--module", "transformer.layer.3.1.fn"]);
    run(command.arg("--out").arg(folder.path().join("bundle"))).refuses(&[
        "unknown module",
        "K from 0 to 3",
        "transformer.layers.K.1.fn",
        "nearest is transformer.layers.3.1.fn",
    ]);
    assert!(!folder.path().join("bundle").exists());
}
