//! JSON reports of every verdict are what their schema says, by another program's judgement.

use std::path::Path;

use tests::{Program, bundle, check, python, root, run, scratch};

/// Judges each report by the schema; then each once more with a field misspelt, one taken out, and
/// one of another type.
const JUDGE: &str = r#"
import copy, json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
judge = Draft202012Validator(schema)
for path in sys.argv[2:]:
    report = json.load(open(path))
    for error in judge.iter_errors(report):
        sys.exit(f"{path}: {error.json_path}: {error.message}")
    for spoil in (lambda r: r.update(verdct="pass"), lambda r: r["options"].update(atoll=1.0),
                  lambda r: r.pop("exit_status"), lambda r: r["host"].pop("cpu"), lambda r: r.update(exit_status="0")):
        spoilt = copy.deepcopy(report)
        spoil(spoilt)
        if judge.is_valid(spoilt):
            sys.exit(f"{path}: a spoilt report is valid")
    print("valid", report["verdict"])
"#;

#[test]
fn reports_of_every_verdict_are_valid() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let file = |name: &str| folder.path().join(name);
    let [pass, fail, error] = ["pass.json", "fail.json", "error.json"].map(file);
    let report = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let repeated = ["--repeat", "2", "--threads", "1", "--range", "0", "12"];
    check(
        &bundle,
        &[&repeated[..], &["--report", &report(&pass)]].concat(),
    )
    .expect_status(0);
    let faults = [
        "--fault",
        "golden[3,4,5]=inf",
        "--fault",
        "output[2,1,0]=nan",
        "--fault",
        "output[4,1,0]^0",
        "--fail-fast",
    ];
    check(
        &bundle,
        &[
            &faults[..],
            &["--batch-size", "5", "--report", &report(&fail)],
        ]
        .concat(),
    )
    .expect_status(1);
    check(
        &bundle,
        &["--range", "0", "21", "--report", &report(&error)],
    )
    .expect_status(2);
    let calibrated = folder.path().join("calibrated.json");
    let made = folder.path().join("calibration.json");
    let made = made.to_str().expect("UTF-8");
    run(Program::Verifier
        .command()
        .arg("calibrate")
        .arg(&bundle)
        .args(["--device", "cpu", "--passes", "1", "--out", made]))
    .expect_status(0);
    check(
        &bundle,
        &["--calibration", made, "--report", &report(&calibrated)],
    )
    .expect_status(0);
    let schema = root().join("verifier/report.schema.json");
    let judged = python(JUDGE, &[&schema, &pass, &fail, &error, &calibrated]).expect_status(0);
    judged
        .says("valid pass")
        .says("valid fail")
        .says("valid error");
}
