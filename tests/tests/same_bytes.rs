//! What is judged are the bytes that the report names: a file that is replaced, changed or cut
//! short while a command runs is noticed, whichever it is.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::{Program, check, forge, onnxruntime, runtime_shim, scratch, tiny_bundle};

/// A check of a bundle of 8 samples whose every run takes a while.
struct SlowCheck {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    shim: PathBuf,
}

impl SlowCheck {
    fn new() -> Self {
        let folder = scratch();
        Self {
            bundle: tiny_bundle(folder.path()),
            shim: runtime_shim(folder.path()),
            folder,
        }
    }

    fn command(&self) -> Command {
        let mut command = Program::Verifier.command();
        command
            .arg("check")
            .arg(&self.bundle)
            .args(["--device", "cpu", "--batch-size", "1", "--runtime"])
            .arg(&self.shim)
            .env("SHIM_RUNTIME", onnxruntime())
            .env("SHIM_SLEEP", "150");
        command
    }

    /// Starts it, changes something once it has begun to run, and gives exit status, what it said
    /// and what it complained about.
    fn with_change(&self, change: impl FnOnce(&Self)) -> (Option<i32>, String, String) {
        let mut command = self.command();
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("start");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut said = String::new();
        while !said.contains("tolerance ") {
            assert!(stdout.read_line(&mut said).expect("read") > 0, "{said}");
        }
        change(self);
        stdout.read_to_string(&mut said).expect("read");
        let ended = child.wait_with_output().expect("wait");
        let complained = String::from_utf8_lossy(&ended.stderr).into_owned();
        (ended.status.code(), said, complained)
    }

    #[track_caller]
    fn expect_no_verdict(&self, reason: &str, change: impl FnOnce(&Self)) {
        let (status, said, complained) = self.with_change(change);
        assert_eq!(status, Some(2), "{said}{complained}");
        assert!(!said.contains("verdict"), "{said}");
        assert!(complained.contains(reason), "{complained}");
    }
}

/// Changes the last byte of a file where it lies.
fn flip_last_bit(path: &Path) {
    let mut bytes = fs::read(path).expect("read");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(path, bytes).expect("write");
}

#[test]
fn a_sound_bundle_on_a_slow_runtime_passes() {
    let slow = SlowCheck::new();
    let (status, said, complained) = slow.with_change(|_| {});
    assert_eq!(status, Some(0), "{said}{complained}");
    assert!(said.contains("PASS"), "{said}");
}

#[test]
fn arrays_that_change_while_they_are_read_are_not_judged() {
    for array in ["submodel_output.npy", "submodel_input.npy"] {
        let slow = SlowCheck::new();
        let file = |slow: &SlowCheck| slow.bundle.join("npy").join(array);
        slow.expect_no_verdict("BLAKE3 is", |slow| flip_last_bit(&file(slow)));
        let slow = SlowCheck::new();
        let cut = |slow: &SlowCheck| {
            let opened = fs::OpenOptions::new().write(true).open(file(slow));
            opened.expect("open").set_len(200).expect("cut");
        };
        slow.expect_no_verdict(array, cut);
    }
}

#[test]
fn another_bundle_in_the_place_of_the_first_is_noticed() {
    let slow = SlowCheck::new();
    slow.expect_no_verdict("the bundle was replaced or changed", |slow| {
        let other = tiny_bundle(
            &fs::create_dir(slow.folder.path().join("other")).map_or_else(
                |error| panic!("{error}"),
                |()| slow.folder.path().join("other"),
            ),
        );
        forge(&other, "npy/submodel_output.npy", |bytes| {
            *bytes.last_mut().expect("not empty") ^= 1;
        });
        fs::rename(&slow.bundle, slow.folder.path().join("first")).expect("move");
        fs::rename(&other, &slow.bundle).expect("move");
    });
}

#[test]
fn a_model_that_is_replaced_after_it_was_read_has_no_effect() {
    let slow = SlowCheck::new();
    let (status, said, complained) = slow.with_change(|slow| {
        flip_last_bit(&slow.bundle.join("onnx/submodel/model.onnx"));
    });
    assert_eq!(status, Some(0), "{said}{complained}");
    check(&slow.bundle, &[]).refuses(&["onnx/submodel/model.onnx: BLAKE3 is"]);
}

#[test]
fn a_runtime_that_is_replaced_is_not_the_one_that_the_report_names() {
    let slow = SlowCheck::new();
    slow.expect_no_verdict("replaced or changed while it was used", |slow| {
        let other = slow.folder.path().join("other.so");
        fs::copy(&slow.shim, &other).expect("copy");
        fs::rename(&other, &slow.shim).expect("move");
    });
}

#[test]
fn a_bundle_is_pinned_by_its_hash() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let shown = Program::Verifier
        .run(["inspect".as_ref(), bundle.as_os_str()])
        .expect_status(0);
    let line = shown
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("blake3"));
    let hash = line.expect("inspect shows it").trim().to_owned();
    check(&bundle, &["--expect-bundle", &hash]).expect_status(0);
    check(&bundle, &["--expect-bundle", &hash[..16]]).expect_status(0);
    let other = "0123456789abcdef";
    check(&bundle, &["--expect-bundle", other]).refuses(&[&hash, "expected 0123456789abcdef"]);
    check(&bundle, &["--expect-bundle", "abc"]).refuses(&["16 to 64 hexadecimal digits"]);
}
