//! What a check keeps in files, and that a failure to keep it takes nothing from the verdict.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tests::{Program, check, read_json, run, scratch, tiny_bundle, utf8, wrapped};

/// A check that finds two faulty samples.
fn failing_check(bundle: &Path) -> Command {
    let mut command = Program::Verifier.command();
    command.arg("check").arg(bundle).args(["--device", "cpu"]);
    command.args(["--fault", "output[1,2,3]=12", "--fault", "output[6,2,3]=12"]);
    command
}

/// The same where no file may be longer than so many bytes, as on a disk that is full.
fn with_limit(bytes: usize, command: &Command) -> Command {
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--fsize={bytes}"));
    wrapped(prlimit, command)
}

#[test]
fn what_cannot_be_kept_takes_nothing_from_the_verdict() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let file = |name: &str| folder.path().join(name);
    // The profile of the first run has some 15 kilobytes; a page with all samples' pictures has
    // more than 20.
    let (page, small) = (file("page.html"), file("small.md"));
    let mut command = failing_check(&bundle);
    command.args(["--atol", "0", "--rtol", "0"]);
    command
        .arg("--report")
        .arg(&page)
        .arg("--report")
        .arg(&small);
    let ended = run(&mut with_limit(20_000, &command))
        .expect_status(1)
        .says("verdict      FAIL");
    assert!(
        ended.stderr.contains("page.html: cannot be written"),
        "{ended}"
    );
    assert!(ended.stderr.contains("the verdict stands"), "{ended}");
    assert!(
        fs::read_to_string(&small)
            .expect("the other one")
            .contains("8 of 8 samples")
    );
    let names = fs::read_dir(folder.path())
        .expect("list")
        .map(|entry| entry.expect("entry"));
    let hidden = names.filter(|entry| entry.file_name().as_bytes().starts_with(b"."));
    assert_eq!(hidden.count(), 0, "nothing half-written stays");
}

#[test]
fn a_folder_of_faulty_samples_is_made_for_the_first_of_them() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let dump = folder.path().join("dump");
    check(&bundle, &["--dump-faulty", utf8(&dump)]).expect_status(0);
    assert!(!dump.exists(), "there is no faulty sample");
    run(failing_check(&bundle).arg("--dump-faulty").arg(&dump))
        .expect_status(1)
        .says("kept         2 faulty samples");
    assert_eq!(fs::read_dir(&dump).expect("list").count(), 2);
    // Through a link, too, nothing gets into a bundle.
    let link = folder.path().join("link");
    symlink(bundle.join("npy"), &link).expect("link");
    let inside = [link.clone(), link.join("new")];
    for inside in inside {
        check(&bundle, &["--dump-faulty", utf8(&inside)]).refuses(&["inside the bundle"]);
    }
}

#[test]
fn of_several_processes_one_keeps_its_faulty_samples() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let dump = folder.path().join("dump");
    let start = |_: usize| {
        let mut command = failing_check(&bundle);
        command
            .arg("--dump-faulty")
            .arg(&dump)
            .spawn()
            .expect("start")
    };
    let processes: Vec<_> = (0..3).map(start).collect();
    for mut process in processes {
        // One keeps them; another finds them there, or says so beside its verdict.
        let status = process.wait().expect("wait").code();
        assert!(matches!(status, Some(1 | 2)), "{status:?}");
    }
    assert_eq!(fs::read_dir(&dump).expect("list").count(), 2);
}

#[test]
fn an_earlier_report_does_not_survive_a_command_that_is_not_understood() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let report = folder.path().join("r.json");
    check(&bundle, &["--report", utf8(&report)]).expect_status(0);
    assert_eq!(read_json(&report)["verdict"], "pass");
    check(&bundle, &["--report", utf8(&report), "--atoll", "1"]).refuses(&[
        "--atoll",
        "removed",
        "the report of an earlier run",
    ]);
    assert!(!report.exists());
    check(&bundle, &["--report", utf8(&report)]).expect_status(0);
    let broken = ["--report", utf8(&report), "--note", "two\nlines"];
    check(&bundle, &broken).refuses(&["has a line break", "the report of an earlier run"]);
    assert!(!report.exists());
    // What is no report of this program stays, and so does one of a command that has no reports.
    let thesis = folder.path().join("thesis.json");
    fs::write(&thesis, "my thesis").expect("write");
    check(&bundle, &["--report", utf8(&thesis), "--atoll"]).refuses(&["--atoll"]);
    Program::Verifier
        .run(["inspect", "--report", utf8(&thesis)])
        .expect_status(2);
    assert_eq!(
        fs::read_to_string(&thesis).expect("still there"),
        "my thesis"
    );
    check(
        &bundle,
        &["--report", utf8(&bundle.join("manifest.json")), "--atoll"],
    )
    .refuses(&["--atoll"]);
    assert!(bundle.join("manifest.json").exists());
}

#[test]
fn an_earlier_verdict_does_not_survive_a_check_that_cannot_begin() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let report = folder.path().join("r.json");
    let reporting = ["--report", utf8(&report)];
    check(&bundle, &reporting).expect_status(0);
    check(&bundle, &[&reporting[..], &["--expect-detected"]].concat())
        .refuses(&["--expect-detected without a fault"]);
    assert_eq!(read_json(&report)["verdict"], "error");
}

#[test]
fn a_result_that_could_not_be_printed_is_no_success() {
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("open")
    };
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let mut commands = [Program::Verifier.command(), Program::Exporter.command()];
    commands[0].arg("inspect").arg(&bundle);
    commands[1].arg("tiers").arg(&bundle);
    for command in &mut commands {
        let status = command.stdout(full()).status().expect("start");
        assert_eq!(status.code(), Some(2), "{command:?}");
    }
}

#[test]
fn paths_need_not_be_utf_8() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"b\xffx"));
    fs::rename(&bundle, &odd).expect("rename");
    let report = folder.path().join("r.json");
    for name in ["check", "compare"] {
        let mut command = Program::Verifier.command();
        command
            .arg(name)
            .arg(&odd)
            .args(["--device", "cpu", "--report"]);
        run(command.arg(&report)).expect_status(0);
        assert_eq!(read_json(&report)["verdict"], "pass");
    }
}

#[test]
fn what_is_meant_is_said() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    check(&bundle, &["--model", "base"]).refuses(&["hint: a bundle holds its model"]);
    let model = bundle.join("onnx/submodel/model.onnx");
    check(&model, &[]).refuses(&["a file, expected a bundle", "verifier inspect"]);
    let huge = "18446744073709551615";
    for flag in ["--batch-size", "--repeat"] {
        check(&bundle, &[flag, huge]).refuses(&[flag, "1000000000"]);
    }
}
