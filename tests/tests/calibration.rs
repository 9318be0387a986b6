//! A calibrated tolerance is found, written beside the bundle, and used for the very setting that
//! it is of.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::{Ended, Program, bundle, check, read_json, run, scratch, tiny_bundle, utf8, verify};

fn calibrate(bundle: &Path, arguments: &[&str]) -> Ended {
    verify("calibrate", bundle, arguments)
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn a_calibration_holds_what_was_measured() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 40);
    let plot = folder.path().join("floor.svg");
    calibrate(&bundle, &["--passes", "3", "--plot", utf8(&plot)])
        .expect_status(0)
        .says("3 without a fault, each of 40 samples")
        .says("a further pass over the same samples: 0 flagged")
        .says("same bits")
        .says("sign 100.0 %");
    assert!(fs::read_to_string(&plot).expect("plot").starts_with("<svg"));

    let file = read_json(&folder.path().join("bundle.calibration.json"));
    let entry = &file["calibrations"][0];
    let (atol, least) = (
        number(&entry["tolerance"]["atol"]),
        number(&entry["smallest_atol"]),
    );
    assert!(atol > 0.0, "{entry}");
    assert!((atol / least - 2.0).abs() < 1e-6, "{atol} {least}");
    let error = number(&entry["max_abs_error"]["value"]);
    assert!(
        (error - least).abs() <= 1e-6 * least,
        "with rtol 0 they are the same: {entry}"
    );
    let caught = entry["caught_by_bit"].as_array().expect("an array");
    let caught: Vec<f64> = caught.iter().map(number).collect();
    assert_eq!(caught.len(), 32);
    assert!(
        caught[30] == 1.0 && caught[0] < 0.01 && caught[22] > 0.9,
        "{caught:?}"
    );
}

#[test]
fn a_check_uses_the_calibration_of_its_own_setting_and_of_no_other() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 40);
    calibrate(&bundle, &["--passes", "3"]).expect_status(0);
    let file = folder.path().join("bundle.calibration.json");
    let report = folder.path().join("report.json");
    check(&bundle, &["--report", utf8(&report)])
        .expect_status(0)
        .says("calibrated in 3 passes");
    let options = &read_json(&report)["options"];
    let calibrated = &read_json(&file)["calibrations"][0]["tolerance"]["atol"];
    assert_eq!(options["tolerance_origin"], "calibration");
    assert_eq!(number(&options["atol"]), number(calibrated));
    let used = &options["calibration"];
    assert_eq!(used["passes"], 3);
    assert_eq!(used["samples"], serde_json::json!([0, 40]));
    assert_eq!(used["margin"], 2.0);
    let path = used["file"].as_str().map(Path::new);
    assert_eq!(path, file.canonicalize().ok().as_deref());

    check(&bundle, &["--batch-size", "8"])
        .expect_status(0)
        .says("the default")
        .says("which is for batch_size 64");
    check(&bundle, &["--atol", "1"])
        .expect_status(0)
        .says("atol 1e0, rtol 1e-5 (given)");
    check(&bundle, &["--no-calibration"])
        .expect_status(0)
        .says("(the default)");

    // Another setting stands beside it, the same one takes its place.
    calibrate(&bundle, &["--passes", "1", "--batch-size", "8"]).expect_status(0);
    calibrate(&bundle, &["--passes", "1", "--margin", "4"]).expect_status(0);
    let entries = read_json(&file)["calibrations"].as_array().map(Vec::len);
    assert_eq!(entries, Some(2));
    for arguments in [&[][..], &["--batch-size", "8"]] {
        check(&bundle, arguments)
            .expect_status(0)
            .says("calibrated in 1 pass of");
    }
}

#[test]
fn a_calibration_that_is_asked_for_must_be_of_the_setting() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 40);
    let [all, few] = ["bundle.calibration.json", "few.json"].map(|name| folder.path().join(name));
    calibrate(&bundle, &["--passes", "3"]).expect_status(0);
    check(&bundle, &["--calibration", utf8(&all)])
        .expect_status(0)
        .says("calibrated in 3 passes of samples 0 to 39");
    check(&bundle, &["--calibration", utf8(&all), "--batch-size", "8"])
        .refuses(&["none is of this setting", "for batch_size 64"]);
    // One of other samples says so.
    let of_few = [
        "--range",
        "0",
        "5",
        "--passes",
        "1",
        "--margin",
        "100",
        "--out",
        utf8(&few),
    ];
    calibrate(&bundle, &of_few).expect_status(0);
    check(&bundle, &["--calibration", utf8(&few)])
        .expect_status(0)
        .says("of samples 0 to 4")
        .says("found on 5 samples of this bundle, others than the 40 checked here");
}

#[test]
fn with_a_calibration_a_flip_of_a_high_bit_is_detected_and_one_of_the_lowest_is_tolerated() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 40);
    calibrate(&bundle, &["--passes", "1"]).expect_status(0);
    for (fault, said) in [
        ("output[3,4,5]^22", "1 detected"),
        ("output[3,4,5]^0", "1 within tolerance"),
    ] {
        check(&bundle, &["--fault", fault, "--expect-detected"])
            .expect_status(0)
            .says(said);
    }
}

#[test]
fn a_subset_has_the_model_of_its_bundle_and_its_calibration() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let subset = folder.path().join("subset");
    let mut command = Program::Exporter.command();
    command
        .arg("subset")
        .arg(&bundle)
        .args(["--mode", "range", "--range", "2", "5", "--out"]);
    run(command.arg(&subset)).expect_status(0);
    calibrate(&bundle, &["--passes", "1"]).expect_status(0);
    let calibration = folder.path().join("tiny.calibration.json");
    check(&subset, &["--calibration", utf8(&calibration)])
        .expect_status(0)
        .says("calibrated in 1 pass of")
        .says("found on 8 samples of another bundle, others than the 3 checked here");
}

#[test]
fn what_is_no_calibration_is_refused() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let file = folder.path().join("bundle.calibration.json");
    let without_hash = r#"{"calibration_version": "2.0", "calibrations": []}"#;
    for (text, reason) in [
        ("{", "EOF"),
        (
            r#"{"calibration_version": "1.0", "calibrations": []}"#,
            "expected \"2.0\"",
        ),
        (without_hash, "missing field"),
    ] {
        fs::write(&file, text).expect("write");
        check(&bundle, &[]).refuses(&["bundle.calibration.json", reason, "--no-calibration"]);
        calibrate(&bundle, &[]).refuses(&["bundle.calibration.json", reason]);
        assert_eq!(fs::read_to_string(&file).expect("still there"), text);
    }
    check(&bundle, &["--no-calibration"]).expect_status(0);
    fs::remove_file(&file).expect("remove");
    check(&bundle, &["--calibration", "/nonexistent.json"])
        .refuses(&["--calibration /nonexistent.json: no such file"]);
    let inside = bundle.join("c.json");
    calibrate(&bundle, &["--out", utf8(&inside)]).refuses(&["--out", "inside the bundle"]);
    calibrate(&bundle, &["--margin", "0.5"]).refuses(&["expected a finite number from 1"]);
    calibrate(&bundle, &["--range", "3", "9"])
        .refuses(&["samples 3 to 8 are asked for, there are 4"]);
}
