//! Campaigns: the same report however the work was cut, nothing lost, nothing altered unnoticed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tests::{
    Ended, Program, check, forge_manifest, python_command, python_with_pytorch, read_json, run,
    scratch, tests_script, tiny_bundle, utf8, with_default_signals, wrapped,
};

const FAULTS: &str = "20000";

fn campaign(bundle: &Path, out: &Path, arguments: &[&str]) -> Command {
    let mut command = Program::Verifier.command();
    command.args(["campaign", "run"]).arg(bundle);
    command
        .args(["--device", "cpu", "--out"])
        .arg(out)
        .args(arguments);
    command
}

/// The bytes of every report of a folder.
fn reports(out: &Path) -> Vec<Vec<u8>> {
    let files = ["r.json", "r.md", "r.csv"].map(|name| out.join(name));
    let mut command = Program::Verifier.command();
    command.args(["campaign", "report"]).arg(out);
    for file in &files {
        command.arg("--report").arg(file);
    }
    run(&mut command).expect_status(0);
    files
        .iter()
        .map(|file| fs::read(file).expect("a report"))
        .collect()
}

fn replay(out: &Path, number: u64) -> Ended {
    let mut command = Program::Verifier.command();
    let command = command.args(["campaign", "replay"]).arg(out);
    run(command.arg(number.to_string()))
}

fn files_of_results(out: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(out.join("results")).expect("list");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    files
}

#[test]
fn shards_that_are_killed_again_and_again_give_the_same_bytes_as_one_process() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let whole = folder.path().join("whole");
    run(&mut campaign(&bundle, &whole, &["--count", FAULTS]))
        .expect_status(0)
        .says("20,000 faults at")
        .says("edge:softmax");

    let parts = folder.path().join("parts");
    let parts_of = |shard| campaign(&bundle, &parts, &["--count", FAULTS, "--shard", shard]);
    let killed = |shard, milliseconds| {
        let mut command = parts_of(shard);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start");
        sleep(Duration::from_millis(milliseconds));
        child.kill().expect("kill -9");
        child.wait().expect("end");
    };
    for (shard, milliseconds) in [("1/3", 300), ("2/3", 450), ("1/3", 600), ("2/3", 750)] {
        killed(shard, milliseconds);
    }
    for shard in ["1/3", "2/3"] {
        run(&mut parts_of(shard)).expect_status(0);
    }
    let mut report = Program::Verifier.command();
    run(report.args(["campaign", "report"]).arg(&parts)).refuses(&["--array=3"]);
    // Twice the same shard is harmless.
    killed("3/3", 500);
    for _ in 0..2 {
        run(&mut parts_of("3/3")).expect_status(0);
    }
    assert_eq!(reports(&whole), reports(&parts));
    let report = read_json(&whole.join("r.json"));
    assert_eq!(report["faults"], 20_000);
    let list = fs::read_to_string(whole.join("r.csv")).expect("a list");
    assert_eq!(list.lines().count(), 20_001);
}

#[test]
fn a_fault_that_is_replayed_does_the_same_and_check_takes_it() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    run(&mut campaign(
        &bundle,
        &out,
        &["--count", "600", "--seed", "5"],
    ))
    .expect_status(0);
    reports(&out);
    let list = fs::read_to_string(out.join("r.csv")).expect("a list");
    let mut kinds = std::collections::BTreeSet::new();
    for line in list.lines().skip(1) {
        // Between quotes where it has a comma in it.
        let quoted = line.split('"').nth(1);
        let fault = quoted.or_else(|| line.split(',').nth(5)).expect("a fault");
        let kind = fault.split(['[', ':']).next().expect("a target").to_owned();
        if kinds.insert(kind) {
            let number = line
                .split(',')
                .next()
                .expect("a number")
                .parse()
                .expect("a number");
            replay(&out, number)
                .expect_status(0)
                .says("recorded     the same")
                .says(fault);
            let checked = check(&bundle, &["--fault", fault]);
            assert!(checked.status < 2, "{checked}");
        }
    }
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    replay(&out, 600).refuses(&["faults 0 to 599"]);
}

#[test]
fn plain_numpy_and_pytorch_come_to_the_same_outcomes() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let faults = folder.path().join("faults.csv");
    let arguments = [
        "--count",
        "500",
        "--samples-per-weight-fault",
        "1000",
        "--report",
    ];
    run(campaign(&bundle, &out, &arguments).arg(&faults)).expect_status(0);
    let again = |mut command: Command, backend: &str| {
        let command = command.arg(tests_script("campaign_again"));
        run(command.arg(&bundle).arg(&faults).arg(backend))
            .expect_status(0)
            .says("500 faults")
            .says(" 0 different");
    };
    again(python_command(), "numpy");
    match python_with_pytorch() {
        Some(command) => again(command, "torch"),
        None => eprintln!("skipped: PyTorch is not there; `make bench` installs it"),
    }
}

#[test]
fn rounds_end_when_the_rate_is_as_narrow_as_asked() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let asked = ["--margin", "1.5%", "--sites", "edge:softmax,weights,output"];
    run(&mut campaign(&bundle, &out, &asked)).expect_status(0);
    reports(&out);
    let report = read_json(&out.join("r.json"));
    let total = report["total"].as_array().expect("rates");
    let critical = total
        .iter()
        .find(|rate| rate["event"] == "critical-sdc" && rate["among"] == "all");
    let critical = critical.expect("the rate asked for");
    let [low, high] = ["low", "high"].map(|limit| critical[limit].as_f64().expect("a limit"));
    assert!(high - low <= 0.03, "{critical}");
    assert!(
        report["rounds"]
            .as_array()
            .is_some_and(|rounds| rounds.len() > 1)
    );
}

#[test]
fn every_model_of_faults_and_every_part_runs() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let cases = [
        ["adjacent:2", "element", "submodel"],
        ["bits:3", "row", "submodel"],
        ["stuck-at-1", "column", "tail"],
        ["zero", "head", "submodel"],
        ["value:0x7fc00001", "token", "full"],
        ["random", "block:2x4", "head"],
        ["bit", "every:7", "full"],
    ];
    for (number, [faults, region, part]) in cases.iter().enumerate() {
        let out = folder.path().join(number.to_string());
        let arguments = [
            "--count", "40", "--faults", faults, "--region", region, "--part", part,
        ];
        run(&mut campaign(&bundle, &out, &arguments))
            .expect_status(0)
            .says("40 faults");
        replay(&out, 7)
            .expect_status(0)
            .says("recorded     the same");
    }
}

#[test]
fn what_cannot_be_run_is_refused_and_what_was_altered_is_noticed() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let refused = |arguments: &[&str], texts: &[&str]| {
        run(&mut campaign(&bundle, &out, arguments)).refuses(texts);
    };
    refused(
        &["--sites", "edge:softmx"],
        &["no site `edge:softmx`", "softmax"],
    );
    refused(&["--shard", "17/16"], &["17/16", "I of 1 to N"]);
    refused(&["--shard", "+1/16"], &["I of 1 to N"]);
    refused(&["--confidence", "0.1"], &["from 50% to 99.9999%"]);
    refused(&["--confidence", "95"], &["such as 95% or 0.95"]);
    refused(&["--margin", "0.5"], &["at most 20%", "such as 0.5%"]);
    refused(
        &["--region", "block:100x100"],
        &["as large as `block:100x100`; the largest is `"],
    );
    refused(&["--faults", "bits:33"], &["bits:33"]);
    refused(
        &["--sites", "weights", "--region", "token"],
        &["regions `token`"],
    );
    check(&bundle, &["--fault", "edge:softmax[0,0,0,0]^32"]).refuses(&["bits 0 to 31"]);
    check(&bundle, &["--fault", "edge:softmx[0,0,0,0]^3"]).refuses(&["there are softmax"]);

    run(&mut campaign(&bundle, &out, &["--count", "50"])).expect_status(0);
    refused(&["--count", "51"], &["holds another campaign", "sampling"]);
    let plan = out.join("plan.json");
    let text = fs::read_to_string(&plan).expect("a plan");
    fs::write(&plan, text.replace("\"seed\": 0", "\"seed\": 1")).expect("write");
    let report = || {
        let mut report = Program::Verifier.command();
        run(report.args(["campaign", "report"]).arg(&out))
    };
    report().refuses(&["its plan has the hash"]);
    fs::write(&plan, text).expect("write");

    let file = files_of_results(&out).remove(0);
    let bytes = fs::read(&file).expect("results");
    let mut altered = bytes.clone();
    altered[bytes.len() / 2] ^= 4;
    fs::write(&file, altered).expect("write");
    report().refuses(&["altered or damaged"]);
    fs::write(&file, &bytes[..bytes.len() - 1]).expect("write");
    report().refuses(&["0 of 50 faults are there", "--array=1"]);
    fs::write(&file, bytes).expect("write");
    report().expect_status(0);
}

#[test]
fn what_cannot_run_leaves_no_plan_and_reports_spare_the_campaigns_own_files() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let mut elsewhere = Program::Verifier.command();
    elsewhere.args(["campaign", "run"]).arg(&bundle);
    elsewhere.args(["--count", "50", "--device", "xnnpack", "--out"]);
    run(elsewhere.arg(&out)).refuses(&["could not be created"]);
    let all = ["--sites", "weight:scale", "--count", "1000000000"];
    run(&mut campaign(&bundle, &out, &all)).refuses(&["hint: --count of "]);
    assert!(!out.join("plan.json").exists());

    // The other shard has the only batch.
    run(&mut campaign(
        &bundle,
        &out,
        &["--count", "50", "--shard", "2/2"],
    ))
    .expect_status(0);
    for own in ["plan.json", "results/../plan.json", "results/r.json"] {
        let report = out.join(own);
        let arguments = ["--count", "50", "--report", utf8(&report)];
        run(&mut campaign(&bundle, &out, &arguments)).refuses(&["keeps its plan"]);
    }
    let moved = folder.path().join("moved");
    fs::rename(&bundle, &moved).expect("move");
    run(&mut campaign(&moved, &out, &["--count", "50"]))
        .expect_status(0)
        .says("50 faults");
    let report = |arguments: &[&str]| {
        let folder = ["campaign", "report", utf8(&out)];
        let arguments: Vec<&str> = folder
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let ended = Program::Verifier.run(&arguments);
        assert!(!ended.stderr.contains("--expect-bundle"), "{ended}");
        ended
    };
    report(&[]).refuses(&["bundle is not there", "hint: --bundle DIR"]);
    forge_manifest(&moved, |manifest| {
        manifest.producer.version = "0.0.0".to_owned();
    });
    report(&["--bundle", utf8(&moved)])
        .refuses(&["not the campaign's bundle", "hint: --bundle DIR"]);
}

#[test]
fn a_shard_that_waits_for_others_says_so_and_that_no_report_was_written() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let json = folder.path().join("r.json");
    // The pilot is one batch, the first shard's.
    let arguments = [
        "--margin",
        "5%",
        "--sites",
        "edge:softmax",
        "--shard",
        "2/2",
    ];
    let arguments = [&arguments[..], &["--report", utf8(&json)]].concat();
    let ended = run(&mut campaign(&bundle, &out, &arguments)).expect_status(75);
    let ended = ended.says("the next round waits for them: --array=1");
    for text in [
        "the same command goes on after them",
        "no report was written",
    ] {
        assert!(ended.stderr.contains(text), "{ended}");
    }
    assert!(!json.exists());
}

#[test]
fn faults_of_weights_say_on_how_many_samples_they_were_run_and_are_all_counted() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let json = folder.path().join("r.json");
    let arguments = ["--margin", "20%", "--sites", "weight:scale"];
    let few = ["--samples-per-weight-fault", "1", "--report", utf8(&json)];
    let arguments = [&arguments[..], &few].concat();
    let ended = run(&mut campaign(&bundle, &out, &arguments)).expect_status(0);
    let ended = ended
        .says("32 faults at one site")
        .says("Faults of weights were run on ");
    assert!(
        ended.stderr.contains("each fault of a weight is run on "),
        "{ended}"
    );
    let report = read_json(&json);
    for rate in report["sites"][0]["rates"].as_array().expect("rates") {
        assert_eq!(rate["faults"], 32, "the pilot ran them all: {rate}");
    }
    let samples = &report["population"]["weight_samples"];
    let listed = samples["samples"].as_array().expect("samples");
    assert_eq!(samples["run"], listed.len());
    let stand_for: f64 = listed
        .iter()
        .map(|own| own["stands_for"].as_f64().expect("a number"))
        .sum();
    let all = samples["of"].as_f64().expect("a number");
    assert!((stand_for - all).abs() < 1e-9, "{samples}");
}

#[test]
fn the_list_has_no_bit_where_none_is_meant_and_says_what_became_no_number() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let list = folder.path().join("r.csv");
    let arguments = [
        "--faults",
        "value:0x7fc00001",
        "--sites",
        "output",
        "--count",
        "9",
    ];
    let arguments = [&arguments[..], &["--report", utf8(&list)]].concat();
    run(&mut campaign(&bundle, &out, &arguments)).expect_status(0);
    let text = fs::read_to_string(&list).expect("a list");
    for line in text.lines().skip(1) {
        assert_eq!(line.split(',').nth(3), Some(""), "bit of {line}");
        assert_eq!(
            line.rsplit(',').nth(2),
            Some("nan"),
            "largest change of {line}"
        );
    }
    replay(&out, 3)
        .expect_status(0)
        .says("largest      nan")
        .says("recorded     the same");
}

#[test]
fn without_a_tail_there_are_rates_of_sdc_alone() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let [json, page] = ["r.json", "r.md"].map(|name| folder.path().join(name));
    let arguments = ["--count", "300", "--no-tail", "--report"];
    let arguments = [&arguments[..], &[utf8(&json), "--report", utf8(&page)]].concat();
    let ended = run(&mut campaign(&bundle, &out, &arguments)).expect_status(0);
    assert!(!ended.stdout.contains("critical"), "{ended}");
    assert!(ended.stdout.contains("beyond tolerance"), "{ended}");
    for path in [json, page] {
        let text = fs::read_to_string(&path).expect("a report");
        let claims = [
            "critical-sdc",
            "tolerable-sdc",
            "critical SDC",
            "tolerable SDC",
        ];
        assert!(!claims.iter().any(|claim| text.contains(claim)), "{text}");
    }
}

#[test]
fn a_campaign_that_is_told_to_stop_goes_on() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let mut command = campaign(&bundle, &out, &["--count", "1000000"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for signal in ["USR1", "TERM", "INT"] {
        let mut child = with_default_signals(&command)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start");
        let begun = || files_of_results_or_none(&out);
        let before = begun();
        while begun() == before {
            sleep(Duration::from_millis(20));
        }
        let pid = child.id().to_string();
        let told = Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .expect("kill");
        assert!(told.success());
        assert_eq!(child.wait().expect("end").code(), Some(75), "{signal}");
    }
    assert_eq!(files_of_results(&out).len(), 3);
    let report = Program::Verifier.run(["campaign", "report", utf8(&out)]);
    report.refuses(&["of 1,000,000 faults are there"]);
}

#[test]
fn a_full_disk_ends_a_campaign_and_what_was_done_stays() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let mut limited = Command::new("bash");
    limited.args(["-c", r#"ulimit -f 100; exec "$@""#, "bash"]);
    let command = campaign(&bundle, &out, &["--count", "30000"]);
    run(&mut wrapped(limited, &command)).refuses(&["File too large"]);
    let report = Program::Verifier.run(["campaign", "report", utf8(&out)]);
    assert!(!report.stderr.contains(" 0 of 30,000 faults"), "{report}");
    report.refuses(&["of 30,000 faults are there"]);
    run(&mut campaign(&bundle, &out, &["--count", "30000"])).expect_status(0);
}

fn files_of_results_or_none(out: &Path) -> usize {
    match out.join("results").is_dir() {
        true => files_of_results(out).len(),
        false => 0,
    }
}
