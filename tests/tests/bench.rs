//! Times are measured, ordered, and worth nothing beside a wrong answer.

use std::fs;
use std::path::Path;

use tests::{Ended, Program, bundle, interrupt, run, scratch};

fn bench(bundle: &Path, arguments: &[&str]) -> Ended {
    run(Program::Verifier
        .command()
        .arg("bench")
        .arg(bundle)
        .args(["--device", "cpu"])
        .args(arguments))
}

#[test]
fn times_of_each_batch_size_are_in_the_table_and_the_files() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let file = |name: &str| folder.path().join(name);
    let (json, page, lines) = (file("times.json"), file("times.md"), file("times.csv"));
    let reports = [&json, &page, &lines].map(|path| path.to_str().expect("UTF-8"));
    let reports = [
        "--report", reports[0], "--report", reports[1], "--report", reports[2],
    ];
    let ended = bench(
        &bundle,
        &[&["--runs", "7", "--warmup", "2"], &reports[..]].concat(),
    )
    .expect_status(0);
    ended
        .says("samples/s")
        .says("nearest-rank")
        .says("PASS: all that was timed")
        .says("nodes on CPUExecutionProvider");

    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(&json).expect("report")).expect("JSON");
    assert_eq!(
        (&report["verdict"], &report["exit_status"]),
        (&"pass".into(), &0.into())
    );
    assert_eq!(report["runtime"]["sha256"].as_str().map(str::len), Some(64));
    let timings = report["timings"].as_array().expect("an array");
    // 64 is more than there is, and left out of the default.
    assert_eq!(
        timings
            .iter()
            .map(|timing| timing["batch_size"].as_u64())
            .collect::<Vec<_>>(),
        [Some(1), Some(8)]
    );
    for timing in timings {
        let number = |name: &str| {
            timing[name]
                .as_f64()
                .unwrap_or_else(|| panic!("{name} in {timing}"))
        };
        let times =
            ["min", "p50", "p90", "p99", "max"].map(|name| number(&format!("{name}_seconds")));
        assert!(times.is_sorted() && times[0] > 0.0, "{times:?}");
        assert!(number("samples_per_second") <= number("batch_size") / times[0]);
        for name in [
            "load_seconds",
            "first_seconds",
            "reading_seconds",
            "comparing_seconds",
            "comparing_share",
        ] {
            assert!(number(name) > 0.0, "{name} in {timing}");
        }
        assert_eq!(number("runs"), 7.0);
        assert_eq!(number("samples"), 9.0 * number("batch_size"));
        assert_eq!(number("faulty_samples"), 0.0);
        assert!(
            number("max_abs_error") > 0.0,
            "libtorch and ONNX Runtime do not give the same bits"
        );
    }
    assert!(
        fs::read_to_string(&page)
            .expect("page")
            .contains("# Times: PASS")
    );
    let lines = fs::read_to_string(&lines).expect("lines");
    assert!(
        lines.starts_with("batch_size,runs,") && lines.lines().count() == 3,
        "{lines}"
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
    ];
    let given = [&given[..], &["--report", report.to_str().expect("UTF-8")]].concat();
    bench(&bundle, &given)
        .expect_status(1)
        .says("FAIL: 20 of 20 samples timed are faulty");
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(&report).expect("report")).expect("JSON");
    assert_eq!(
        (&report["verdict"], &report["timings"][0]["faulty_samples"]),
        (&"fail".into(), &20.into())
    );
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
    refused(
        &["--report", inside.to_str().expect("UTF-8")],
        "inside the bundle",
    );
    assert!(!inside.exists());
}

#[test]
fn an_interrupted_bench_says_that_it_is_partial() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let report = folder.path().join("times.json");
    let mut command = Program::Verifier.command();
    command.arg("bench").arg(&bundle).args([
        "--device",
        "cpu",
        "--batch-size",
        "1",
        "--runs",
        "1000000",
    ]);
    // It prints its setting when it begins to run.
    let (status, stderr) = interrupt(
        command
            .args(["--seconds", "600"])
            .arg("--report")
            .arg(&report),
        "device",
    );
    assert_eq!(status, Some(2));
    assert!(
        stderr.contains("interrupted after 0 of 1 batch sizes: the result is partial"),
        "{stderr}"
    );
    let report: serde_json::Value =
        serde_json::from_slice(&fs::read(&report).expect("report")).expect("JSON");
    assert_eq!(
        (&report["verdict"], &report["timings"]),
        (&"error".into(), &serde_json::json!([]))
    );
}
