//! What follows from a log: its report, and the consequences of its wrong outputs.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::{Ended, Program, onnxruntime, run, runtime_shim, scratch, tiny_bundle, utf8};

use super::started::Watch;
use super::{HOURS, of_kind, watch};

fn watch_report(log: &Path, arguments: &[&str]) -> Ended {
    let mut command = Program::Verifier.command();
    command.args(["watch", "report"]).arg(log).args(arguments);
    run(&mut command)
}

fn consequences(bundle: &Path, log: &Path) -> Ended {
    let mut command = Program::Verifier.command();
    command.args(["watch", "consequences"]).arg(bundle);
    command.args(["--device", "cpu", "--dumps"]).arg(log);
    run(&mut command)
}

#[test]
fn a_file_of_another_kind_and_counts_for_a_log_without_times_are_refused() {
    let folder = scratch();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("write");
        path
    };
    for (name, text) in [
        ("README.md", "# A title\n\ntext\n"),
        ("empty.log", ""),
        ("events-000001.jsonl", "{\"sequence\":1}\n"),
    ] {
        watch_report(&file(name, text), &[]).refuses(&[name, "holds no log"]);
    }
    let name = "2026_11_26_12_30_00_gemm_ECC_ON_host.log";
    let text = "#HEADER x\n#IT 1 KerTime:1.0 AccTime:1.0\n#END\n";
    let (log, json) = (file(name, text), folder.path().join("report.json"));
    let counts = file("counts.csv", "time,counts\n0,0\n10,10\n");
    watch_report(&log, &["--fluence", utf8(&counts)]).refuses(&["--fluence"]);
    watch_report(&log, &["--report", utf8(&json)])
        .expect_status(0)
        .says("gemm");
    let report: Value = serde_json::from_slice(&fs::read(json).expect("read")).expect("JSON");
    assert_eq!(report["exposed"], 1.0);
}

#[test]
fn a_stuck_fault_is_one_sdc_and_only_its_first_outputs_are_carried_on() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    let shim = runtime_shim(folder.path());
    let mut command = watch(&bundle, &log, HOURS);
    command.arg("--runtime").arg(&shim);
    command
        .env("SHIM_RUNTIME", onnxruntime())
        .env("SHIM_RUN", "zeros");
    let mut started = Watch::start(&mut command, &log);
    let is_stuck_again = |_: &Watch| of_kind(&log, "classified").len() >= 2;
    assert!(started.wait_for(is_stuck_again), "{}", started.said());
    let over = started.stop();
    assert_eq!(over.status, Some(1), "{}", over.stderr);

    let json = folder.path().join("report.json");
    let first = |json: &Path| -> Value {
        watch_report(&log, &["--report", utf8(json)]).expect_status(0);
        let report: Value = serde_json::from_slice(&fs::read(json).expect("read")).expect("JSON");
        report["settings"][0]["rates"][0].clone()
    };
    assert_eq!(first(&json)["event"], "SDC");
    assert_eq!(first(&json)["count"], 1);
    consequences(&bundle, &log)
        .expect_status(0)
        .says("of a stuck fault that was seen before")
        .says("kept");
    watch_report(&log, &[])
        .expect_status(0)
        .says("critical SDC");

    // A table that was made with another bundle is not replaced.
    let table = log.join("consequences.csv");
    let text = fs::read_to_string(&table).expect("read");
    let blake3 = text.trim_end().rsplit(',').next().expect("a bundle");
    fs::write(&table, text.replace(blake3, "0123")).expect("write");
    consequences(&bundle, &log).refuses(&["made with the bundle 0123"]);
}
