//! A calibrated tolerance is found, written beside the bundle, and used for the very setting that
//! it is of.

use std::fs;
use std::path::Path;

use tests::{Ended, Program, bundle, check, run, scratch};

fn calibrate(bundle: &Path, arguments: &[&str]) -> Ended {
    run(Program::Verifier
        .command()
        .arg("calibrate")
        .arg(bundle)
        .args(["--device", "cpu"])
        .args(arguments))
}

#[test]
fn a_check_uses_the_calibration_of_its_own_setting_and_of_no_other() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 40);
    let plot = folder.path().join("floor.svg");
    let ended = calibrate(
        &bundle,
        &["--passes", "3", "--plot", plot.to_str().expect("UTF-8")],
    )
    .expect_status(0);
    let ended = ended
        .says("3 without a fault, each of 40 samples")
        .says("a further pass over the same samples: 0 flagged");
    ended.says("same bits").says("sign 100.0 %");
    assert!(fs::read_to_string(&plot).expect("plot").starts_with("<svg"));

    let file = folder.path().join("bundle.calibration.json");
    let read = || -> serde_json::Value {
        serde_json::from_slice(&fs::read(&file).expect("file")).expect("JSON")
    };
    let entry = &read()["calibrations"][0];
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    let (atol, least) = (
        number(&entry["tolerance"]["atol"]),
        number(&entry["smallest_atol"]),
    );
    assert!(
        atol > 0.0 && (atol / least - 2.0).abs() < 1e-6,
        "{atol} {least}"
    );
    assert!(
        (number(&entry["max_abs_error"]["value"]) - least).abs() <= 1e-6 * least,
        "with rtol 0 they are the same"
    );
    let caught: Vec<f64> = entry["caught_by_bit"]
        .as_array()
        .expect("an array")
        .iter()
        .map(number)
        .collect();
    assert_eq!(caught.len(), 32);
    assert!(
        caught[30] == 1.0 && caught[0] < 0.01 && caught[22] > 0.9,
        "{caught:?}"
    );

    let report = folder.path().join("report.json");
    let ended = check(&bundle, &["--report", report.to_str().expect("UTF-8")]).expect_status(0);
    ended.says("calibrated in 3 passes");
    let text = fs::read_to_string(&report).expect("report");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["options"]["tolerance_origin"], "calibration");
    assert_eq!(number(&report["options"]["atol"]), atol);
    let used = &report["options"]["calibration"];
    assert_eq!(
        (&used["passes"], &used["samples"], &used["margin"]),
        (&3.into(), &serde_json::json!([0, 40]), &2.0.into())
    );
    assert_eq!(
        used["file"].as_str().map(Path::new),
        file.canonicalize().ok().as_deref()
    );

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

    // One that was asked for must be of the setting, and one of other samples says so.
    let asked = ["--calibration", file.to_str().expect("UTF-8")];
    check(&bundle, &asked)
        .expect_status(0)
        .says("calibrated in 3 passes of samples 0 to 39");
    check(&bundle, &[&asked[..], &["--batch-size", "8"]].concat())
        .refuses(&["none is of this setting", "for batch_size 64"]);
    let few = folder.path().join("few.json");
    let few = few.to_str().expect("UTF-8");
    calibrate(
        &bundle,
        &[
            "--range", "0", "5", "--passes", "1", "--out", few, "--margin", "100",
        ],
    )
    .expect_status(0);
    let ended = check(&bundle, &["--calibration", few]).expect_status(0);
    ended
        .says("of samples 0 to 4")
        .says("found on other samples than the 0 to 39 checked here");

    // Another setting stands beside it, the same one takes its place.
    calibrate(&bundle, &["--passes", "1", "--batch-size", "8"]).expect_status(0);
    calibrate(&bundle, &["--passes", "1", "--margin", "4"]).expect_status(0);
    assert_eq!(read()["calibrations"].as_array().map(Vec::len), Some(2));
    check(&bundle, &[])
        .expect_status(0)
        .says("calibrated in 1 passes");
    check(&bundle, &["--batch-size", "8"])
        .expect_status(0)
        .says("calibrated in 1 passes");

    // A flip of a high bit is caught with it, and one of the lowest is masked.
    check(
        &bundle,
        &["--fault", "output[3,4,5]^22", "--expect-detected"],
    )
    .expect_status(0)
    .says("1 found");
    check(
        &bundle,
        &["--fault", "output[3,4,5]^0", "--expect-detected"],
    )
    .expect_status(0)
    .says("1 masked");
}

#[test]
fn what_is_no_calibration_is_refused() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let file = folder.path().join("bundle.calibration.json");
    let with_tolerance = r#"{"calibration_version": "1.0", "calibrations": [{}]}"#;
    for (text, reason) in [
        ("{", "EOF"),
        (
            r#"{"calibration_version": "2.0", "calibrations": []}"#,
            "expected \"1.0\"",
        ),
        (with_tolerance, "missing field"),
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
    calibrate(&bundle, &["--out", inside.to_str().expect("UTF-8")])
        .refuses(&["--out", "inside the bundle"]);
    calibrate(&bundle, &["--margin", "0.5"]).refuses(&["expected a finite number from 1"]);
    calibrate(&bundle, &["--range", "3", "9"])
        .refuses(&["samples 3 to 8 are asked for, there are 4"]);
}
