//! Several runtimes and devices in one table, also when one of them crashes or hangs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{
    Ended, Program, bundle, check, onnxruntime, openvino, python, read_json, run, scratch,
    tiny_bundle, utf8, verify,
};

/// A library that does something else than being ONNX Runtime.
fn impostor(folder: &Path, name: &str, body: &str) -> PathBuf {
    let source = folder.join(format!("{name}.c"));
    let library = folder.join(format!("{name}.so"));
    let function = format!("const void *OrtGetApiBase(void) {{ {body} return 0; }}");
    let text = format!("#include <stdlib.h>\n#include <unistd.h>\n{function}\n");
    fs::write(&source, text).expect("write");
    run(Command::new("cc")
        .current_dir(folder)
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source))
    .expect_status(0);
    library
}

/// Runs `verifier compare` with each runtime on two devices, and reports.
fn compare_runtimes(
    bundle: &Path,
    runtimes: &[&Path],
    scratch: &Path,
    reports: [&Path; 2],
) -> Ended {
    let mut command = Program::Verifier.command();
    command.arg("compare").arg(bundle).args(["--timeout", "20"]);
    command.args(["--device", "cpu", "--device", "openvino"]);
    for runtime in runtimes {
        command.arg("--runtime").arg(runtime);
    }
    for report in reports {
        command.arg("--report").arg(report);
    }
    run(command.arg("--scratch").arg(scratch))
}

#[test]
fn a_crashed_a_hung_and_an_impossible_run_are_rows_among_others() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let hangs = impostor(folder.path(), "hangs", "sleep(600);");
    let crashes = impostor(folder.path(), "crashes", "abort();");
    let file = |name: &str| folder.path().join(name);
    let (json, page, temporary) = (file("r.json"), file("r.md"), file("scratch"));
    fs::create_dir(&temporary).expect("folder");
    let runtimes: [&Path; 4] = [&onnxruntime(), &openvino(), &hangs, &crashes];
    compare_runtimes(&bundle, &runtimes, &temporary, [&json, &page])
        .expect_status(2)
        .says("| ONNX Runtime 1.31.1 ")
        .says("| openvino ")
        .says("1 and 4")
        .says("NO RESULT: 5 of 8 runs")
        .says("killed after the time limit of 20 s")
        .says("crashed: ended by SIGABRT");

    let report = read_json(&json);
    assert_eq!(report["record_version"], "3.2");
    assert_eq!(report["command"], "compare");
    let outcome = |number: usize| &report["configurations"][number - 1];
    for number in [1, 3, 4] {
        assert_eq!(outcome(number)["outcome"], "ran", "{report:#}");
        assert_eq!(outcome(number)["within_tolerance"], true);
    }
    let nodes = outcome(4)["nodes"].as_object().expect("nodes");
    assert!(nodes.keys().eq(["OpenVINOExecutionProvider"]), "{nodes:?}");
    let reason = outcome(2)["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("OpenVINO execution provider is not"),
        "{reason}"
    );
    let pairs = report["pairs"].as_array().expect("pairs");
    let numbers: Vec<&Value> = pairs.iter().map(|pair| &pair["configurations"]).collect();
    assert_eq!(
        serde_json::json!(numbers),
        serde_json::json!([[1, 3], [1, 4], [3, 4]])
    );
    assert!(pairs[1]["max_abs_difference"].as_f64().expect("a number") < 1e-5);
    assert_eq!(report["verdict"], "error");
    assert_eq!(report["exit_status"], 2);
    let page = fs::read_to_string(&page).expect("page");
    assert!(page.contains("SHA-256 of the runtimes"), "{page}");
    let left = fs::read_dir(&temporary).expect("scratch").count();
    assert_eq!(left, 0, "the outputs are removed");
}

#[test]
fn a_whole_table_ends_with_the_verdict_and_classes_are_compared() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let json = folder.path().join("r.json");
    let compare = |arguments: &[&str]| {
        verify(
            "compare",
            &bundle,
            &[arguments, &["--report", utf8(&json)]].concat(),
        )
    };
    let levels = ["--optimization", "none", "--optimization", "all"];
    compare(&[&levels[..], &["--part", "full"]].concat())
        .expect_status(0)
        .says("PASS: all 2 runs")
        .says("100.00 %");
    let pair = &read_json(&json)["pairs"][0];
    assert_eq!(pair["same_argmax"], pair["samples"]);

    let tight = ["--atol", "0", "--rtol", "0", "--range", "4", "12"];
    compare(&[&levels[..], &tight].concat())
        .expect_status(1)
        .says("FAIL: 2 of 2 runs")
        .says("submodel of 8 samples");
    compare(&["--optimization", "all", "--optimization", "all"]).refuses(&["is there twice"]);
    let missing = "--runtime /nonexistent.so: no such file";
    compare(&["--runtime", "/nonexistent.so"]).refuses(&[missing]);
    assert_eq!(read_json(&json)["error"], missing);
}

#[test]
fn saved_outputs_are_what_the_runtime_computed() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 6);
    let saved = folder.path().join("outputs");
    let arguments = ["--batch-size", "4", "--save-outputs", utf8(&saved)];
    // A fault of an output comes after the runtime.
    check(
        &bundle,
        &[&arguments[..], &["--fault", "output[3,0,0]=7"]].concat(),
    )
    .expect_status(1)
    .says("outputs");
    python("saved_outputs", &[&saved, &bundle]).expect_status(0);
    check(&bundle, &arguments).refuses(&["--save-outputs", "already exists"]);
}

#[test]
fn pairs_stand_beside_all_combinations() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let report = folder.path().join("r.json");
    let pair = format!("{}@openvino", openvino().display());
    verify(
        "compare",
        &bundle,
        &["--run", &pair, "--report", utf8(&report)],
    )
    .expect_status(0);
    let record = read_json(&report);
    let configurations = record["configurations"].as_array().expect("rows");
    let devices: Vec<_> = configurations
        .iter()
        .map(|row| row["device"].clone())
        .collect();
    assert_eq!(devices, ["cpu", "openvino"]);
    verify("compare", &bundle, &["--run", "openvino"]).refuses(&["expected LIB@DEVICE"]);
}

#[test]
fn names_may_be_any_bytes() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let named = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
    let (odd, report) = (named(b"\xff"), named(b"\xff/r\xfe.json"));
    fs::create_dir(&odd).expect("folder");
    let library = named(b"\xff/lib\xfe.so");
    std::os::unix::fs::symlink(onnxruntime(), &library).expect("link");
    let mut pair = library.into_os_string();
    pair.push("@cpu");

    let mut command = Program::Verifier.command();
    command.arg("compare").arg(&bundle);
    command.arg("--run").arg(pair).arg("--scratch").arg(&odd);
    run(command.arg("--report").arg(&report))
        .expect_status(0)
        .says("PASS: all 1 runs");
    assert_eq!(read_json(&report)["verdict"], "pass");
    let plot = named(b"\xff/p\xfe.svg");
    let mut command = Program::Verifier.command();
    command.arg("calibrate").arg(&bundle);
    run(command.args(["--device", "cpu"]).arg("--plot").arg(&plot)).expect_status(0);
    assert!(plot.is_file());

    // An earlier report goes also where the arguments are not understood.
    let mut command = Program::Verifier.command();
    command
        .arg("check")
        .arg(&bundle)
        .arg("--report")
        .arg(&report);
    run(command.arg("--part").arg(OsStr::from_bytes(b"a\xff"))).refuses(&[
        "invalid UTF-8",
        r#"argument 6, after --part: "a\xFF" is not UTF-8"#,
    ]);
    assert!(!report.exists());
}
