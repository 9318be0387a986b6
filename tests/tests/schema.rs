//! JSON reports of every verdict are what their schema says, by another program's judgement.

use std::path::Path;

use tests::{bundle, check, python, root, scratch, utf8, verify};

#[test]
fn reports_of_every_verdict_are_valid() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let file = |name: &str| folder.path().join(name);
    let reports = ["pass.json", "fail.json", "error.json", "calibrated.json"].map(file);
    let [pass, fail, error, calibrated] = &reports;

    let repeated = [
        "--repeat",
        "2",
        "--threads",
        "1",
        "--range",
        "0",
        "12",
        "--report",
    ];
    check(&bundle, &[&repeated[..], &[utf8(pass)]].concat()).expect_status(0);
    let (golden, output, lowest) = ("golden[3,4,5]=inf", "output[2,1,0]=nan", "output[4,1,0]^0");
    let faults = [
        "--fault",
        golden,
        "--fault",
        output,
        "--fault",
        lowest,
        "--fail-fast",
    ];
    let arguments = ["--batch-size", "5", "--report", utf8(fail)];
    check(&bundle, &[&faults[..], &arguments].concat()).expect_status(1);
    check(&bundle, &["--range", "0", "21", "--report", utf8(error)]).expect_status(2);
    let made = file("calibration.json");
    verify(
        "calibrate",
        &bundle,
        &["--passes", "1", "--out", utf8(&made)],
    )
    .expect_status(0);
    let arguments = ["--calibration", utf8(&made), "--report", utf8(calibrated)];
    check(&bundle, &arguments).expect_status(0);

    let (times, matrix) = (file("times.json"), file("matrix.json"));
    verify("bench", &bundle, &["--runs", "2", "--report", utf8(&times)]).expect_status(0);
    let levels = ["--optimization", "none", "--optimization", "all"];
    let arguments = [&levels[..], &["--report", utf8(&matrix)]].concat();
    verify("compare", &bundle, &arguments).expect_status(0);
    let refused = file("refused.json");
    let arguments = ["--device", "openvino", "--report", utf8(&refused)];
    verify("compare", &bundle, &arguments).expect_status(2);

    let schema = root().join("verifier/record.schema.json");
    let files: Vec<&Path> = [&schema]
        .into_iter()
        .chain(&reports)
        .chain([&times, &matrix, &refused])
        .map(AsRef::as_ref)
        .collect();
    python("judge_records", &files)
        .expect_status(0)
        .says("valid pass")
        .says("valid fail")
        .says("valid error");
}
