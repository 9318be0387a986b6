//! Shards, kills, signals and full disks: nothing is lost, and the report is the same.

use super::*;

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
