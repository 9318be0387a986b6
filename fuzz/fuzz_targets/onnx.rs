//! An ONNX model: its data are inside, or in the file that the manifest names; a weight fault finds
//! its place, or none.

#![no_main]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use proto::manifest::Part;
use tempfile::TempDir;
use verifier::inject::Fault;
use verifier::inject::weights::Model;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("w.bin"), [0; 64]).expect("write");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("model.onnx");
    fs::write(&path, bytes).expect("write");
    for external_data in [None, Some("w.bin".to_owned())] {
        let part = Part {
            file: "model.onnx".to_owned(),
            inputs: vec![],
            outputs: vec![],
            initializers: [].into(),
            external_data,
            test_data_sets: vec![],
        };
        for text in [
            "weight:w[3,3]^30",
            "weight:w[4294967296,4294967296]^0",
            "weight:w[4611686018427387904]=1",
        ] {
            let fault: Fault = text.parse().expect("a fault");
            let _ = Model::open(&path, &part).and_then(|model| model.with_weight_faults(&[fault]));
        }
    }
});
