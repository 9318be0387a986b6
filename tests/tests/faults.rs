//! Faults of every kind on a real model, and what a check keeps and reports of them.

use std::fs;
use std::path::Path;

use tests::{Ended, Program, bundle, check, interrupt, python, read_json, scratch, utf8};

/// A check with faults that it must detect where they change the output enough.
fn expect_detected(bundle: &Path, faults: &[&str]) -> Ended {
    let faults: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
    check(bundle, &[&faults[..], &["--expect-detected"]].concat())
}

#[test]
fn faults_of_every_kind_are_detected_missed_or_tolerated() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 8);
    let before = fs::read(bundle.join("onnx/submodel/model.onnx")).expect("read");
    let with = |faults: &[&str]| expect_detected(&bundle, faults);
    with(&["weight:to_qkv_weight[10,20]^30"])
        .expect_status(0)
        .says("1 faults: 1 detected, 0 missed, 0 within tolerance, 0 masked");
    with(&["weight:to_qkv_weight[10,20]^0"])
        .expect_status(0)
        .says("1 faults: 0 detected, 0 missed, 1 within tolerance, 0 masked");
    with(&["input[3,0,7]^30", "output[5,1,1]=1", "golden[6,0,0]=inf"])
        .expect_status(0)
        .says("3 detected");
    with(&["output[5,1,1]^0"])
        .expect_status(0)
        .says("1 within tolerance");
    // The golden is given the value that the output is given: nothing can be seen.
    with(&["output[2,0,0]=9", "golden[2,0,0]=9"])
        .expect_status(1)
        .says("0 detected, 2 missed");
    check(&bundle, &["--fault", "input[3,0,7]^30"])
        .expect_status(1)
        .says("FAIL: 1 of 8 samples are faulty");
    assert_eq!(
        fs::read(bundle.join("onnx/submodel/model.onnx")).expect("read"),
        before
    );
}

#[test]
fn faults_of_nothing_and_of_nowhere_are_refused() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 8);
    let refusals: [(&str, &[&str]); 5] = [
        (
            "weight:nobody[0]=1",
            &["no weight `nobody`", "to_qkv_weight"],
        ),
        (
            "weight:to_qkv_weight[96,0]=1",
            &["outside `to_qkv_weight`", "[96, 288]"],
        ),
        ("weight:to_qkv_weight[1]=1", &["has 1 indices", "2 axes"]),
        (
            "output[8,0,0]=1",
            &["outside `submodel_output`", "[8, 65, 96]"],
        ),
        (
            "input:residual[0,0,0]=1",
            &["no input `residual`", "submodel_input"],
        ),
    ];
    for (fault, texts) in refusals {
        check(&bundle, &["--fault", fault]).refuses(texts);
    }
    check(
        &bundle,
        &["--range", "2", "4", "--fault", "golden[4,0,0]=1"],
    )
    .refuses(&["samples 2 to 3 are checked"]);
    check(&bundle, &["--expect-detected"]).refuses(&["without a fault"]);
}

#[test]
fn a_weight_is_named_as_in_the_graph_or_as_in_pytorch() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 8);
    let error_with = |fault: &str| {
        let report = folder.path().join("r.json");
        check(&bundle, &["--fault", fault, "--report", utf8(&report)]).expect_status(1);
        let result = &read_json(&report)["result"];
        assert_eq!(result["faults"][0]["fault"], fault);
        result["max_abs_error"].clone()
    };
    let by_onnx = error_with("weight:to_qkv_weight[10,200]^30");
    for name in ["to_qkv.weight", "transformer.layers.0.0.fn.to_qkv.weight"] {
        assert_eq!(error_with(&format!("weight:{name}[200,10]^30")), by_onnx);
    }
    expect_detected(&bundle, &["weight:scale[]^30"])
        .expect_status(0)
        .says("1 detected");
    expect_detected(&bundle, &["weight:to_out.0.bias[3]=0x7fc00000"])
        .expect_status(0)
        .says("1 detected");
    check(&bundle, &["--fault", "weight:to_qkv.weight[10,200]^30"])
        .refuses(&["outside `to_qkv.weight`", "[288, 96]"]);
    let shapes = check(&bundle, &["--fault", "weight:nobody[0]=1"]);
    assert!(!shapes.stderr.contains("_shape"), "{shapes}");
}

#[test]
fn every_part_is_checked_and_ranges_and_repeats_are() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 8);
    for part in ["full", "head", "tail"] {
        check(&bundle, &["--part", part])
            .expect_status(0)
            .says("8 samples");
        check(&bundle, &["--part", part, "--test-data"])
            .expect_status(0)
            .says("recorded in test data sets")
            .says("3 samples");
    }
    check(&bundle, &["--part", "neck"]).refuses(&["no part `neck`", "`submodel`"]);
    check(
        &bundle,
        &["--part", "tail", "--fault", "input:residual[1,0,0]^30"],
    )
    .expect_status(1)
    .says("1 of 8 samples");
    // A part with two inputs: which one is meant has to be said.
    check(&bundle, &["--part", "tail", "--fault", "input[1,0,0]^30"]).refuses(&[
        "which input? The part has 2: residual, submodel_output",
        "input:residual[",
    ]);
    check(&bundle, &["--range", "3", "8"])
        .expect_status(0)
        .says("5 samples");
    check(&bundle, &["--range", "3", "9"]).refuses(&["samples 3 to 8 are asked for, there are 8"]);
    check(&bundle, &["--range", "5", "5"]).refuses(&["asked for"]);
    check(&bundle, &["--repeat", "3", "--batch-size", "3"])
        .expect_status(0)
        .says("gave the same bits");
    let stopping = [
        "--fail-fast",
        "--batch-size",
        "2",
        "--fault",
        "golden[2,0,0]=1",
    ];
    check(&bundle, &stopping)
        .expect_status(1)
        .says("stopped after 4 of 8");
}

#[test]
fn a_fault_that_changes_no_bit_is_masked() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 8);
    let saved = folder.path().join("outputs");
    check(&bundle, &["--save-outputs", utf8(&saved)]).expect_status(0);
    let outputs = fs::read(saved.join("submodel_output.npy")).expect("read");
    // Element [5, 1, 1] of [8, 65, 96], behind a header of 128 bytes.
    let at = 128 + ((5 * 65 + 1) * 96 + 1) * 4;
    let value = f32::from_le_bytes(outputs[at..at + 4].try_into().expect("4 bytes"));
    expect_detected(&bundle, &[&format!("output[5,1,1]={value:e}")])
        .expect_status(0)
        .says("1 faults: 0 detected, 0 missed, 0 within tolerance, 1 masked");
}

#[test]
fn a_fault_that_a_stopped_run_did_not_reach_says_so() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 8);
    let report = folder.path().join("r.json");
    let faults = ["--fault", "golden[2,0,0]=1", "--fault", "golden[7,0,0]=1"];
    let stopping = [
        "--fail-fast",
        "--batch-size",
        "2",
        "--report",
        utf8(&report),
    ];
    check(&bundle, &[&faults[..], &stopping].concat()).expect_status(1);
    let report = read_json(&report);
    let faults = report["result"]["faults"].as_array().expect("a list");
    let outcomes: Vec<_> = faults.iter().map(|fault| &fault["outcome"]).collect();
    assert_eq!(outcomes, ["detected", "not-reached"], "{report:#}");
}

#[test]
fn faulty_samples_are_kept_and_reported_in_every_format() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 8);
    let dump = folder.path().join("dump");
    let reports = ["r.json", "r.md", "r.csv", "r.xml"].map(|name| folder.path().join(name));
    let reports = reports.each_ref().map(|report| ["--report", utf8(report)]);
    let faults = [
        "--fault",
        "golden[5,64,95]=nan",
        "--fault",
        "output[6,1,2]^30",
    ];
    let dumping = ["--dump-faulty", utf8(&dump)];
    let arguments = [&dumping, &faults[..], reports.as_flattened()].concat();
    check(&bundle, &arguments)
        .expect_status(1)
        .says("kept         2 faulty samples");
    check(&bundle, &arguments).refuses(&["--dump-faulty", "not empty"]);
    let inside = bundle.join("dump").join("further");
    check(&bundle, &["--dump-faulty", utf8(&inside)]).refuses(&["inside the bundle"]);

    fs::remove_dir_all(&dump).expect("remove");
    check(&bundle, &arguments).expect_status(1);
    python("reports_agree", &[&bundle, folder.path()])
        .expect_status(0)
        .says("all agree");
}

#[test]
fn an_interrupted_check_says_that_it_is_partial() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 8);
    let report = folder.path().join("r.json");
    let mut command = Program::Verifier.command();
    command.arg("check").arg(&bundle).args(["--device", "cpu"]);
    command.args(["--batch-size", "1", "--repeat", "1000000", "--report"]);
    // It prints its setting when it begins to compare.
    let (status, stderr) = interrupt(command.arg(&report), "device");
    assert_eq!(status, Some(2));
    assert!(stderr.contains("interrupted"), "{stderr}");
    assert!(stderr.contains("partial"), "{stderr}");
    let report = read_json(&report);
    assert_eq!(report["verdict"], "error");
    assert_eq!(report["result"]["stopped"], "interrupted");
    let samples = report["result"]["samples"].as_u64();
    assert!(samples.is_some_and(|samples| samples < 8), "{report:#}");
}
