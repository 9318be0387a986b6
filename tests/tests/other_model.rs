//! Another model in the place of the bundle's own: the same golden, its own numbers.

use std::path::Path;

use tests::{check, python, read_json, scratch, tiny_bundle, utf8, verify};

fn judge(bundle: &Path, model: &Path, more: &[&str]) -> tests::Ended {
    check(bundle, &[&["--model", utf8(model)], more].concat())
}

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
    judge("external/model.onnx", &weight).refuses(&["its weights are in other files"]);
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

#[test]
fn the_same_network_written_in_other_ways_passes() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    python("other_models", &[&bundle, folder.path()]).expect_status(0);
    for name in ["simplified.onnx", "opset_21.onnx", "ir_9.onnx"] {
        judge(&bundle, &folder.path().join(name), &[])
            .expect_status(0)
            .says("other model  not the bundle's own")
            .says(name);
    }
}

#[test]
fn an_int8_model_fails_and_gets_a_tolerance_of_its_own() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    python("other_models", &[&bundle, folder.path()]).expect_status(0);
    let model = folder.path().join("int8.onnx");
    judge(&bundle, &model, &[])
        .expect_status(1)
        .says("8 of 8 samples are faulty");
    let calibration = folder.path().join("int8.calibration.json");
    let flags = ["--model", utf8(&model), "--out", utf8(&calibration)];
    let all = [&flags[..], &["--least-caught", "0"]].concat();
    verify("calibrate", &bundle, &all)
        .expect_status(0)
        .says("other model  not the bundle's own");
    let given = ["--calibration", utf8(&calibration)];
    judge(&bundle, &model, &given).expect_status(0);
}

#[test]
fn a_model_with_a_fixed_batch_is_timed_with_it() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    python("other_models", &[&bundle, folder.path()]).expect_status(0);
    let (model, report) = (
        folder.path().join("batch_3.onnx"),
        folder.path().join("times.json"),
    );
    let flags = [
        "--model",
        utf8(&model),
        "--runs",
        "2",
        "--report",
        utf8(&report),
    ];
    verify("bench", &bundle, &flags)
        .expect_status(0)
        .says("other model  not the bundle's own");
    let timings = read_json(&report)["timings"].clone();
    assert_eq!(timings[0]["batch_size"], 3);
    assert!(timings[1].is_null(), "{timings}");
    let other = [&flags[..], &["--batch-size", "2"]].concat();
    verify("bench", &bundle, &other).refuses(&["has a batch of 3"]);
}
