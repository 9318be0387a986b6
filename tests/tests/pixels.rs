//! Inputs that a bundle does not record come from its pixels; classes come from `tail`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::{
    Ended, Program, bundle, check, python, read_json, root, run, scratch, tiny_bundle, utf8, verify,
};

/// Compares outputs from files, where a runtime lies.
fn judge(runtime: Option<&str>, bundle: &Path, arguments: &[&str]) -> Ended {
    let mut verifier = Program::Verifier.command();
    if let Some(runtime) = runtime {
        verifier.env("ORT_DYLIB_PATH", runtime);
    }
    run(verifier.arg("check").arg(bundle).args(arguments))
}

#[test]
fn every_sample_of_full_head_and_tail_is_run() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 40);
    let report = folder.path().join("r.json");
    let run_part = |part: &str, more: &[&str]| {
        let arguments = ["--part", part, "--report", utf8(&report)];
        check(&bundle, &[&arguments[..], more].concat())
    };
    run_part("full", &["--atol", "1e-5"])
        .expect_status(0)
        .says("image from pixels by preprocess on cpu")
        .says("40 of 40 samples have the golden's class");
    let record = read_json(&report);
    let result = &record["result"];
    assert_eq!(result["recorded_in"], "pixels");
    let manifest = read_json(&bundle.join("manifest.json"));
    let correct = manifest["accuracy"]["correct"].as_u64();
    assert_eq!(
        result["top1"]["golden_correct"].as_u64(),
        correct,
        "{result:#}"
    );
    assert_eq!(result["top1"]["correct"].as_u64(), correct);

    run_part("head", &[])
        .expect_status(0)
        .says("golden, and not compared: residual")
        .says("40 samples");
    run_part("tail", &["--atol", "1e-5", "--range", "30", "40"])
        .expect_status(0)
        .says("residual from pixels by preprocess and head on cpu")
        .says("10 samples");
    let fault = [
        "--fault",
        "input:residual[37,0,0]^30",
        "--other-parts-on",
        "device",
    ];
    run_part("tail", &fault).expect_status(1).says("sample 37");
    // A few samples with every tensor.
    run_part("head", &["--test-data"])
        .expect_status(0)
        .says("recorded in test data sets")
        .says("3 samples");
}

#[test]
fn damaged_pixels_are_refused() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let pixels = bundle.join("npy/pixels.npy");
    let mut bytes = fs::read(&pixels).expect("read");
    *bytes.last_mut().expect("pixels") ^= 1;
    fs::write(&pixels, bytes).expect("write");
    check(&bundle, &["--part", "full"]).refuses(&["pixels.npy", "BLAKE3"]);
    check(&bundle, &[]).refuses(&["pixels.npy", "BLAKE3"]);
}

#[test]
fn the_class_of_a_faulty_sample_is_what_the_rest_of_the_model_makes_of_it() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let report = folder.path().join("r.json");
    let mut arguments = vec![
        "--report",
        utf8(&report),
        "--repeat",
        "2",
        "--batch-size",
        "3",
    ];
    let faults: Vec<String> = (0..8)
        .flat_map(|sample| {
            let places = [(0, 1, "-30"), (2, 5, "80"), (4, 0, "3e3")];
            places.map(|(token, feature, value)| {
                format!(
                    "output[{sample},{},{feature}]={value}",
                    (token + sample) % 5
                )
            })
        })
        .chain(["output[7,1,1]=nan".to_owned()])
        .collect();
    arguments.extend(faults.iter().flat_map(|fault| ["--fault", fault]));
    check(&bundle, &arguments)
        .expect_status(1)
        .says("1 not finite")
        .says("critical");
    let classes = &read_json(&report)["result"]["classes"];
    let counts = ["critical", "tolerable", "non_finite"].map(|name| classes[name].as_u64());
    assert_eq!(counts.into_iter().flatten().sum::<u64>(), 8, "{classes}");
    python("classes", &[&bundle, &report]).expect_status(0);

    check(&bundle, &[&arguments[..], &["--no-tail"]].concat()).expect_status(1);
    assert!(read_json(&report)["result"]["classes"].is_null());
    check(&bundle, &["--classify-all", "--report", utf8(&report)])
        .expect_status(0)
        .says("8 of 8 samples have the golden's class");

    // Logits have their classes in themselves.
    let wrong = [
        "--part",
        "full",
        "--fault",
        "output[2,0]=1e6",
        "--report",
        utf8(&report),
    ];
    check(&bundle, &wrong).expect_status(1);
    let faulty = &read_json(&report)["result"]["faulty"][0];
    assert_eq!(faulty["class"]["after"]["class"], Value::from(0));
}

#[test]
fn outputs_from_files_are_judged_without_pixels_and_classified_where_there_is_a_runtime() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let outputs = folder.path().join("outputs");
    let save = ["--part", "full", "--save-outputs", utf8(&outputs)];
    check(&bundle, &save).expect_status(0);
    let arguments = ["--part", "full", "--outputs", utf8(&outputs)];
    judge(None, &bundle, &arguments)
        .expect_status(0)
        .says("8 of 8 samples have the golden's class");

    let golden = bundle.join("npy/submodel_output.npy");
    let wrong = ["--outputs", utf8(&golden), "--fault", "output[3,1,1]=1e4"];
    judge(None, &bundle, &wrong)
        .expect_status(1)
        .says("; class ");
    judge(Some("/there/is/none"), &bundle, &wrong)
        .expect_status(1)
        .says("classes      not known");
}

#[test]
fn a_bundle_without_pixels_says_why_there_are_no_classes() {
    let folder = scratch();
    let old = root().join("tests/fixtures/tiny_bundle_1_0");
    let report = folder.path().join("r.json");
    let fault = ["--fault", "output[0,0,0]=1e4", "--report", utf8(&report)];
    check(&old, &[&fault[..], &["--no-calibration"]].concat())
        .expect_status(1)
        .says("the bundle has no pixels");
    let calibration = folder.path().join("c.json");
    let full = ["--part", "full", "--out", utf8(&calibration)];
    let new = tiny_bundle(folder.path());
    verify("calibrate", &new, &full).expect_status(0);
    let arguments = ["--part", "full", "--calibration", utf8(&calibration)];
    check(&new, &arguments).expect_status(0);
    run(Program::Verifier.command().arg("bench").arg(&new).args([
        "--part",
        "tail",
        "--device",
        "cpu",
        "--runs",
        "3",
        "--batch-size",
        "2",
    ]))
    .expect_status(0);
}
