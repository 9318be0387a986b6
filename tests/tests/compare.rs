//! Several runtimes and devices in one table, also when one of them crashes or hangs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Program, bundle, onnxruntime, openvino, run, scratch};

/// A library that does something else than being ONNX Runtime.
fn impostor(folder: &Path, name: &str, body: &str) -> PathBuf {
    let (source, library) = (
        folder.join(format!("{name}.c")),
        folder.join(format!("{name}.so")),
    );
    let text = format!(
        "#include <stdlib.h>\n#include <unistd.h>\nconst void *OrtGetApiBase(void) {{ {body} return 0; }}\n"
    );
    fs::write(&source, text).expect("write");
    run(Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source))
    .expect_status(0);
    library
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("report")).expect("JSON")
}

#[test]
fn a_crashed_a_hung_and_an_impossible_run_are_rows_among_others() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let (hangs, crashes) = (
        impostor(folder.path(), "hangs", "sleep(600);"),
        impostor(folder.path(), "crashes", "abort();"),
    );
    let (json, page, temporary) = (
        folder.path().join("r.json"),
        folder.path().join("r.md"),
        folder.path().join("scratch"),
    );
    fs::create_dir(&temporary).expect("folder");
    let mut command = Program::Verifier.command();
    command.arg("compare").arg(&bundle).args([
        "--device",
        "cpu",
        "--device",
        "openvino",
        "--timeout",
        "20",
    ]);
    for runtime in [&onnxruntime(), &openvino(), &hangs, &crashes] {
        command.arg("--runtime").arg(runtime);
    }
    command
        .arg("--scratch")
        .arg(&temporary)
        .arg("--report")
        .arg(&json)
        .arg("--report")
        .arg(&page);
    let ended = run(&mut command)
        .expect_status(2)
        .says("| 1.31.1 ")
        .says("| openvino ")
        .says("1 and 4");
    ended
        .says("NO RESULT: 5 of 8 runs")
        .says("killed after the time limit of 20 s")
        .says("crashed: ended by SIGABRT");

    let report = read(&json);
    let outcome = |number: usize| &report["contestants"][number - 1];
    for number in [1, 3, 4] {
        assert_eq!(outcome(number)["outcome"], "ran", "{report:#}");
        assert_eq!(outcome(number)["within_tolerance"], true);
    }
    assert_eq!(
        outcome(4)["nodes"]
            .as_object()
            .expect("nodes")
            .keys()
            .collect::<Vec<_>>(),
        ["OpenVINOExecutionProvider"]
    );
    assert!(
        outcome(2)["reason"]
            .as_str()
            .expect("a reason")
            .contains("OpenVINO execution provider is not"),
        "{report:#}"
    );
    let pairs: Vec<&Value> = report["pairs"]
        .as_array()
        .expect("pairs")
        .iter()
        .map(|pair| &pair["contestants"])
        .collect();
    assert_eq!(
        pairs,
        [
            &serde_json::json!([1, 3]),
            &serde_json::json!([1, 4]),
            &serde_json::json!([3, 4])
        ]
    );
    assert!(
        report["pairs"][1]["max_abs_difference"]
            .as_f64()
            .expect("a number")
            < 1e-5
    );
    assert_eq!(
        (&report["verdict"], &report["exit_status"]),
        (&"error".into(), &2.into())
    );
    assert!(
        fs::read_to_string(&page)
            .expect("page")
            .contains("SHA-256 of the runtimes")
    );
    assert_eq!(
        fs::read_dir(&temporary).expect("scratch").count(),
        0,
        "the outputs are removed"
    );
}

#[test]
fn a_whole_table_ends_with_the_verdict_and_classes_are_compared() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let json = folder.path().join("r.json");
    let compare = |arguments: &[&str]| {
        let mut command = Program::Verifier.command();
        run(command
            .arg("compare")
            .arg(&bundle)
            .args(["--device", "cpu"])
            .args(arguments)
            .arg("--report")
            .arg(&json))
    };
    let levels = ["--optimization", "none", "--optimization", "all"];
    compare(&[&levels[..], &["--part", "full"]].concat())
        .expect_status(0)
        .says("PASS: all 2 runs")
        .says("100.00 %");
    let report = read(&json);
    assert_eq!(
        report["pairs"][0]["same_argmax"],
        report["pairs"][0]["samples"]
    );
    let tight = ["--atol", "0", "--rtol", "0", "--range", "4", "12"];
    compare(&[&levels[..], &tight].concat())
        .expect_status(1)
        .says("FAIL: 2 of 2 runs")
        .says("submodel of 8 samples");
    compare(&["--optimization", "all", "--optimization", "all"]).refuses(&["is there twice"]);
    compare(&["--runtime", "/nonexistent.so"])
        .refuses(&["--runtime /nonexistent.so: no such file"]);
    assert_eq!(
        read(&json)["error"],
        "--runtime /nonexistent.so: no such file"
    );
}

#[test]
fn saved_outputs_are_what_the_runtime_computed() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 6);
    let saved = folder.path().join("outputs");
    let check = |arguments: &[&str]| {
        let mut command = Program::Verifier.command();
        command
            .arg("check")
            .arg(&bundle)
            .args(["--device", "cpu", "--save-outputs"])
            .arg(&saved);
        run(command.args(["--batch-size", "4"]).args(arguments))
    };
    // A fault of an output comes after the runtime.
    check(&["--fault", "output[3,0,0]=7"])
        .expect_status(1)
        .says("outputs");
    let script = "import sys, numpy as np\n\
        saved, golden = (np.load(path) for path in (f'{sys.argv[1]}/submodel_output.npy', f'{sys.argv[2]}/npy/submodel_output.npy'))\n\
        assert saved.shape == golden.shape and saved.dtype == golden.dtype and abs(saved - golden).max() < 1e-5";
    tests::python(script, &[&saved, &bundle]).expect_status(0);
    check(&[]).refuses(&["--save-outputs", "already exists"]);
}
