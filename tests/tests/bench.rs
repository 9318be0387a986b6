//! Times are measured and ordered, and a wrong answer fails however fast it was.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::{Ended, Program, bundle, interrupt, read_json, scratch, utf8, verify};

fn bench(bundle: &Path, arguments: &[&str]) -> Ended {
    verify("bench", bundle, arguments)
}

#[test]
fn times_of_each_batch_size_are_in_the_table_and_the_files() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let file = |name: &str| folder.path().join(name);
    let files = [file("times.json"), file("times.md"), file("times.csv")];
    let reports = files.each_ref().map(|file| ["--report", utf8(file)]);
    let arguments = [&["--runs", "7", "--warmup", "2"], reports.as_flattened()].concat();
    bench(&bundle, &arguments)
        .expect_status(0)
        .says("samples/s")
        .says("nearest-rank")
        .says("PASS: all that was timed")
        .says("nodes on CPUExecutionProvider");

    let [json, page, lines] = &files;
    let report = read_json(json);
    assert_eq!(report["record_version"], "3.2");
    assert_eq!(report["command"], "bench");
    assert_eq!(report["verdict"], "pass");
    assert_eq!(report["exit_status"], 0);
    assert_eq!(report["runtime"]["sha256"].as_str().map(str::len), Some(64));
    let timings = report["timings"].as_array().expect("an array");
    let batch_sizes = timings.iter().map(|timing| timing["batch_size"].as_u64());
    // 64 is more than there is, and left out of the default.
    assert!(batch_sizes.eq([Some(1), Some(8)]), "{report:#}");
    timings.iter().for_each(expect_plausible);
    let page = fs::read_to_string(page).expect("page");
    assert!(page.contains("# Times: PASS"), "{page}");
    let lines = fs::read_to_string(lines).expect("lines");
    assert!(lines.starts_with("batch_size,runs,"), "{lines}");
    assert_eq!(lines.lines().count(), 3);
}

/// Of 7 runs and 2 warm-up runs.
fn expect_plausible(timing: &Value) {
    let number = |name: &str| {
        let value = timing[name].as_f64();
        value.unwrap_or_else(|| panic!("{name} in {timing}"))
    };
    let names = ["min", "p50", "p90", "p99", "max"];
    let times = names.map(|name| number(&format!("{name}_seconds")));
    assert!(times.is_sorted() && times[0] > 0.0, "{times:?}");
    assert!(number("samples_per_second") <= number("batch_size") / times[0]);
    for name in ["load", "first", "reading", "comparing"] {
        assert!(
            number(&format!("{name}_seconds")) > 0.0,
            "{name} in {timing}"
        );
    }
    assert!(number("comparing_share") > 0.0);
    assert_eq!(number("runs"), 7.0);
    assert_eq!(number("samples"), 9.0 * number("batch_size"));
    assert_eq!(number("faulty_samples"), 0.0);
    assert!(
        number("max_abs_error") > 0.0,
        "libtorch and ONNX Runtime do not give the same bits"
    );
}

#[test]
fn a_fast_wrong_answer_is_no_success() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let report = folder.path().join("times.json");
    let given = [
        "--runs",
        "2",
        "--batch-size",
        "4",
        "--atol",
        "0",
        "--rtol",
        "0",
        "--report",
    ];
    bench(&bundle, &[&given[..], &[utf8(&report)]].concat())
        .expect_status(1)
        .says("FAIL: 20 of 20 samples timed are faulty");
    let report = read_json(&report);
    assert_eq!(report["verdict"], "fail");
    assert_eq!(report["timings"][0]["faulty_samples"], 20);
}

#[test]
fn what_cannot_be_timed_is_refused() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let refused = |arguments: &[&str], text: &str| {
        bench(&bundle, arguments).refuses(&[text]);
    };
    refused(
        &["--batch-size", "5"],
        "a batch of 5 samples is asked for, there are 4",
    );
    refused(
        &["--batch-size", "2", "--range", "1", "2"],
        "a batch of 2 samples is asked for, there are 1",
    );
    refused(
        &["--batch-size", "2", "--batch-size", "2"],
        "is there twice",
    );
    refused(&["--warmup", "0"], "--warmup");
    refused(&["--seconds", "0"], "above 0");
    let inside = bundle.join("times.json");
    refused(&["--report", utf8(&inside)], "inside the bundle");
    assert!(!inside.exists());
}

#[test]
fn an_interrupted_bench_says_that_it_is_partial() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let report = folder.path().join("times.json");
    let mut command = Program::Verifier.command();
    command.arg("bench").arg(&bundle).args(["--device", "cpu"]);
    command.args([
        "--batch-size",
        "1",
        "--runs",
        "1000000",
        "--seconds",
        "600",
        "--report",
    ]);
    // It prints its setting when it begins to run.
    let (status, stderr) = interrupt(command.arg(&report), "device");
    assert_eq!(status, Some(2));
    let message = "interrupted after 0 of 1 batch sizes: the result is partial";
    assert!(stderr.contains(message), "{stderr}");
    let report = read_json(&report);
    assert_eq!(report["verdict"], "error");
    assert_eq!(report["timings"], serde_json::json!([]));
}
