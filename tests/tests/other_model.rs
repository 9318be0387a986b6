//! Another model in the place of the bundle's own: the same golden, its own numbers.

use tests::{check, python, read_json, scratch, tiny_bundle, utf8, verify};

#[test]
fn another_model_is_matched_by_name_and_compared_with_the_same_golden() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    python("other_models", &[&bundle, folder.path()]).expect_status(0);
    let path = |name: &str| utf8(&folder.path().join(name)).to_owned();
    let report = path("report.json");
    let judge = |name: &str, more: &[&str]| {
        let model = path(name);
        check(
            &bundle,
            &[&["--model", &model, "--report", &report], more].concat(),
        )
    };

    // A batch of 3 for 8 samples: the last one is padded.
    judge("batch_3.onnx", &[])
        .expect_status(0)
        .says("not the bundle's own");
    let record = read_json(report.as_ref());
    assert_eq!(record["options"]["batch_size"], 3);
    assert_eq!(record["result"]["samples"], 8);
    let files = &record["runtime"]["other_model"]["files"];
    assert!(files[0]["blake3"].is_string(), "{files}");
    judge("batch_3.onnx", &["--batch-size", "4"]).refuses(&["has a batch of 3"]);
    let fault = ["--fault", "input[7,0,0]^30", "--expect-detected"];
    judge("batch_3.onnx", &fault)
        .expect_status(0)
        .says("1 detected");

    judge("external/model.onnx", &[])
        .expect_status(0)
        .says("weights.bin BLAKE3");
    let weight = ["--fault", "weight:to_qkv_weight[0,0]^30"];
    judge("external/model.onnx", &weight).refuses(&["its weights cannot be changed"]);
    judge("doubled.onnx", &[])
        .expect_status(1)
        .says("8 of 8 samples are faulty");
    judge("renamed.onnx", &[]).refuses(&["renamed.onnx: outputs", "found other"]);
    judge("none.onnx", &[]).refuses(&["none.onnx"]);

    judge("float16.onnx", &[]).expect_status(1);
    let calibration = path("float16.calibration.json");
    let model = path("float16.onnx");
    let calibrate = ["--model", &model, "--out", &calibration];
    verify("calibrate", &bundle, &calibrate).expect_status(0);
    judge("float16.onnx", &["--calibration", &calibration]).expect_status(0);
    // It is of that model alone.
    check(&bundle, &["--calibration", &calibration]).refuses(&["none is of this setting"]);
}
