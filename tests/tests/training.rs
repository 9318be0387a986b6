//! Training loses nothing: stopped, killed, resumed, or gone wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use proto::digest::blake3_bytes;
use serde_json::Value;
use tests::{Ended, Program, data, read_json, run, scratch, with_default_signals, wrapped};

/// Small enough for seconds, and everything that a state must hold: dropout, averaged weights,
/// momentum, patch choices.
const TINY: &str = "--model tiny --batch-size 4 --epochs 3 --train-samples 32 --test-samples 4";
const NANO: &str = "--model nano --batch-size 32 --epochs 3 --train-samples 2560 \
                    --test-samples 100 --precision f32 --optimizer muon --weight-average 0.9 \
                    --patch-dropout 0.5";
/// Goes on with a run of `nano`.
const RESUME: &str = "--model nano --resume";

/// `trainer train` with arguments that have no spaces in them.
fn train(out: &Path, arguments: &str) -> Command {
    let mut command = Program::Trainer.command();
    command.arg("train").args(arguments.split(' '));
    command.arg("--data").arg(data()).arg("--out").arg(out);
    command
}

/// Runs it to its end.
fn trained(out: &Path, arguments: &str) -> Ended {
    run(&mut train(out, arguments))
}

/// Starts a run and waits until it trains.
fn start(command: Command) -> Child {
    start_and_await(command, |line| line.starts_with("epoch"))
}

/// Starts a run and waits until it has said something.
fn start_and_await(mut command: Command, is_awaited: impl Fn(&str) -> bool) -> Child {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start");
    let lines = BufReader::new(child.stdout.as_mut().expect("piped")).lines();
    let found = lines.map_while(Result::ok).any(|line| is_awaited(&line));
    assert!(found, "ended before that");
    child
}

/// A run says a line that begins with the epoch's number when it has ended.
fn is_epoch_row(line: &str) -> bool {
    line.trim_start().starts_with(|c: char| c.is_ascii_digit())
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(status.success());
}

/// The files that a run must give the same bytes for.
fn results(out: &Path) -> Vec<Vec<u8>> {
    let preset = fs::read_dir(out).expect("list").find_map(|entry| {
        let path = entry.expect("entry").path();
        (path.extension()? == "safetensors").then_some(path)
    });
    let weights = preset.expect("weights");
    let run = weights.with_extension("");
    [
        weights,
        run.join("best.safetensors"),
        run.join("last.safetensors"),
        run.join("state.safetensors"),
    ]
    .map(|path: PathBuf| {
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    })
    .into()
}

/// Stopped in the first epoch, resumed, and stopped in the second: at what the run says, since no
/// pause fits every machine.
fn stopped_twice_equals_straight_through(preset: &str, arguments: &str) {
    let (straight, stopped) = (scratch(), scratch());
    trained(straight.path(), arguments).expect_status(0);

    let resume = format!("{arguments} --resume");
    let resumed = || with_default_signals(&train(stopped.path(), &resume));
    let in_first = start(with_default_signals(&train(stopped.path(), arguments)));
    let stop = |child: Child, name: &str, epoch: &str| {
        signal(&child, name);
        let output = child.wait_with_output().expect("wait");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(epoch) && text.contains("--resume"), "{text}");
    };
    stop(in_first, "-TERM", "stopped in epoch 1 of 3");
    stop(
        start_and_await(resumed(), is_epoch_row),
        "-INT",
        "stopped in epoch ",
    );
    let mut child = start(resumed());
    assert!(child.wait().expect("wait").success());

    assert!(
        results(straight.path()) == results(stopped.path()),
        "the weights or the state differ"
    );
    let run_folder = stopped.path().join(format!("vit_{preset}_cifar10"));
    let lines = fs::read_to_string(run_folder.join("metrics.jsonl")).expect("metrics");
    assert_eq!(
        lines.lines().count(),
        3,
        "one line an epoch, however often it was stopped:\n{lines}"
    );
    let description = read_json(&run_folder.join("run.json"));
    assert_eq!(description["starts"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_run_with_dropout_stopped_twice_gives_the_same_bytes() {
    stopped_twice_equals_straight_through("tiny", TINY);
}

#[test]
fn a_run_with_every_kind_of_state_stopped_twice_gives_the_same_bytes() {
    stopped_twice_equals_straight_through("nano", NANO);
}

#[test]
fn killed_at_twenty_moments_it_always_goes_on() {
    let arguments = "--model nano --batch-size 32 --epochs 60 --train-samples 160 \
                     --test-samples 20 --weight-average 0.9";
    let (straight, killed) = (scratch(), scratch());
    trained(straight.path(), arguments).expect_status(0);

    let state = killed.path().join("vit_nano_cifar10/state.safetensors");
    let mut resumed = 0;
    for moment in 0..20_u64 {
        let resume = if state.exists() { " --resume" } else { "" };
        resumed += usize::from(!resume.is_empty());
        let mut command = train(killed.path(), &format!("{arguments}{resume}"));
        // Spread over loading, steps, evaluation and saving.
        let mut child = match moment % 4 {
            0 => command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("start"),
            1 => start(command),
            _ => start_and_await(command, is_epoch_row),
        };
        sleep(Duration::from_millis(moment * 37 % 230));
        child.kill().expect("kill -9");
        let _ = child.wait().expect("wait");
    }
    assert!(
        resumed > 5,
        "the run was killed too early to be resumed: {resumed}"
    );
    trained(killed.path(), &format!("{arguments} --resume")).expect_status(0);
    assert!(
        results(straight.path()) == results(killed.path()),
        "the weights or the state differ"
    );
    let left = fs::read_dir(killed.path().join("vit_nano_cifar10")).expect("list");
    for entry in left {
        let name = entry.expect("entry").file_name();
        let name = name.to_string_lossy();
        assert!(
            !name.starts_with('.') || name == ".lock",
            "{name} is left of a run that was killed"
        );
    }
}

/// A run that was stopped in its first epoch.
fn stopped_run(out: &Path) {
    let child = start(with_default_signals(&train(out, NANO)));
    signal(&child, "-TERM");
    assert_eq!(
        child.wait_with_output().expect("wait").status.code(),
        Some(2)
    );
}

#[test]
fn a_resumed_run_refuses_to_become_another() {
    let folder = scratch();
    stopped_run(folder.path());
    let resumed = |more: &str| trained(folder.path(), &format!("{RESUME}{more}"));
    resumed(" --learning-rate 0.5 --seed 9 --train-samples 320 --crop true").refuses(&[
        "learning_rate: the run has 0.004, asked for 0.5",
        "seed: the run has 0, asked for 9",
        "train_samples: the run has 2560, asked for 320",
        "crop: the run has false, asked for true",
    ]);
    // Neither may a run that was begun be overwritten in passing.
    trained(folder.path(), NANO).refuses(&["a run was begun here", "--resume"]);
    // Without flags it goes on with its own.
    resumed("").expect_status(0).says("resumed");
    resumed("").expect_status(0).says("accuracy");
}

#[test]
fn a_complete_run_resumed_is_the_same_run() {
    let folder = scratch();
    // Many rows and a rate of 17 digits: every number must survive being written and read.
    let rate = "--learning-rate 0.0018936326403234123";
    let recipe = "--batch-size 32 --epochs 60 --train-samples 32 --test-samples 10 --keep best";
    trained(folder.path(), &format!("--model nano {recipe} {rate}")).expect_status(0);
    let before = results(folder.path());
    trained(folder.path(), &format!("{RESUME} {rate}")).expect_status(0);
    assert!(
        before == results(folder.path()),
        "resuming a complete run changed it"
    );
    // What stands beside the state can be made again from it.
    let weights = folder.path().join("vit_nano_cifar10.safetensors");
    fs::remove_file(&weights).expect("remove");
    fs::remove_file(folder.path().join("vit_nano_cifar10/best.safetensors")).expect("remove");
    fs::write(
        folder.path().join("vit_nano_cifar10/metrics.jsonl"),
        [0xff, 0xfe, b'{'],
    )
    .expect("write");
    trained(folder.path(), RESUME).expect_status(0);
    assert!(
        before == results(folder.path()),
        "a complete run was not made whole again"
    );
    let metrics =
        fs::read_to_string(folder.path().join("vit_nano_cifar10/metrics.jsonl")).expect("read");
    assert_eq!(metrics.lines().count(), 60);
}

/// As [`trained`], but a run that waits for something is ended.
fn trained_in_time(out: &Path, arguments: &str) -> Ended {
    let mut timeout = Command::new("timeout");
    timeout.args(["-s", "KILL", "120"]);
    run(&mut wrapped(timeout, &train(out, arguments)))
}

#[test]
fn a_pipe_in_the_run_folder_is_not_waited_for() {
    let folder = scratch();
    let begin = "--model nano --epochs 1 --batch-size 32 --train-samples 32 --test-samples 4";
    trained(folder.path(), begin).expect_status(0);
    let pipe_at = |file: &str| {
        let path = folder.path().join("vit_nano_cifar10").join(file);
        fs::remove_file(&path).expect("remove");
        run(Command::new("mkfifo").arg(path)).expect_status(0);
    };
    for file in ["run.json", "metrics.jsonl"] {
        pipe_at(file);
        trained_in_time(folder.path(), RESUME).expect_status(0);
    }
    pipe_at(".lock");
    trained_in_time(folder.path(), RESUME).refuses(&[".lock: ", "not a regular file"]);
}

#[test]
fn what_a_killed_run_left_is_removed_and_said() {
    let folder = scratch();
    stopped_run(folder.path());
    let name = ".state.safetensors.Ab12z9.vit-part-partial";
    let left = folder.path().join("vit_nano_cifar10").join(name);
    fs::write(&left, vec![0; 1_500_000]).expect("write");
    let resumed = trained(folder.path(), RESUME).expect_status(0);
    assert!(!left.exists());
    let line = format!(
        "removed {} (1.5 MB), left by a run that was killed",
        left.display()
    );
    assert!(resumed.stderr.contains(&line), "{resumed}");
}

#[test]
fn weights_of_another_run_are_not_replaced() {
    let folder = scratch();
    stopped_run(folder.path());
    let weights = folder.path().join("vit_nano_cifar10.safetensors");
    let other = scratch();
    trained(other.path(), "--model nano --epochs 0 --seed 5").expect_status(0);
    fs::copy(other.path().join("vit_nano_cifar10.safetensors"), &weights).expect("copy");
    let before = fs::read(&weights).expect("read");
    trained(folder.path(), RESUME).refuses(&["is there, and not of this run"]);
    assert!(before == fs::read(&weights).expect("read"));
}

#[test]
fn nothing_to_resume_is_said() {
    let folder = scratch();
    trained(folder.path(), RESUME).refuses(&["nothing to resume"]);
}

#[test]
fn a_state_that_is_damaged_is_refused() {
    let folder = scratch();
    stopped_run(folder.path());
    let path = folder.path().join("vit_nano_cifar10/state.safetensors");
    let bytes = fs::read(&path).expect("read");
    for damaged in [&bytes[..bytes.len() / 2], &bytes[..5], b"", &[0xff; 100]] {
        fs::write(&path, damaged).expect("write");
        trained(folder.path(), RESUME).refuses(&["state.safetensors", "not a valid state"]);
    }
    let mut flipped = bytes.clone();
    let middle = bytes.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&path, flipped).expect("write");
    trained(folder.path(), RESUME).refuses(&["state.safetensors: damaged", "BLAKE3", "--force"]);
    let (mut header, tensors) = parts_of_state(&bytes);
    let metadata = header["__metadata__"].as_object_mut().expect("an object");
    metadata.remove("vit_part_state_blake3");
    fs::write(&path, state_of_parts(&header, &tensors)).expect("write");
    trained(folder.path(), RESUME).refuses(&["a state of an earlier version", "--force"]);
}

/// The header of a state and the bytes of its tensors.
fn parts_of_state(bytes: &[u8]) -> (Value, Vec<u8>) {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header = serde_json::from_slice(&bytes[8..8 + length]).expect("header");
    (header, bytes[8 + length..].to_vec())
}

fn state_of_parts(header: &Value, tensors: &[u8]) -> Vec<u8> {
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = header.len() as u64;
    [&length.to_le_bytes()[..], &header, tensors].concat()
}

/// Changes what a state says about itself, and its tensors, and makes the digests right again.
fn forged_state(bytes: &[u8], change: impl FnOnce(&mut Value, &mut Vec<u8>)) -> Vec<u8> {
    const KEY: &str = "vit_part_state";
    let (mut header, mut tensors) = parts_of_state(bytes);
    let text = header["__metadata__"][KEY].as_str().expect("a description");
    let mut description: Value = serde_json::from_str(text).expect("JSON");
    change(&mut description, &mut tensors);
    let description = description.to_string();
    let mut digests = BTreeMap::from([(KEY.to_owned(), blake3_bytes(description.as_bytes()))]);
    for (name, info) in header.as_object().expect("an object") {
        if let Some(offsets) = info["data_offsets"].as_array() {
            let [start, end] = [0, 1].map(|at| offsets[at].as_u64().expect("a number") as usize);
            digests.insert(name.clone(), blake3_bytes(&tensors[start..end]));
        }
    }
    header["__metadata__"][KEY] = description.into();
    let digests = serde_json::to_string(&digests).expect("JSON");
    header["__metadata__"]["vit_part_state_blake3"] = digests.into();
    state_of_parts(&header, &tensors)
}

#[test]
fn a_state_that_no_run_can_have_written_is_refused() {
    let folder = scratch();
    let out = folder.path();
    let short = "--model nano --epochs 2 --train-samples 256 --test-samples 20";
    trained(out, short).expect_status(0);
    fs::remove_file(out.join("vit_nano_cifar10.safetensors")).expect("remove");
    let path = out.join("vit_nano_cifar10/state.safetensors");
    let intact = fs::read(&path).expect("read");
    type Change = fn(&mut Value);
    let forgeries: [(Change, &str); 12] = [
        (
            |state| state["plan"]["recipe"]["batch_size"] = 0.into(),
            "batch_size is 0, expected 1 to 50000",
        ),
        (
            |state| state["plan"]["recipe"]["batch_size"] = 999.into(),
            "batch_size is 999, more than the 256 training images",
        ),
        (
            |state| state["plan"]["recipe"]["patch_dropout"] = 5.into(),
            "patch_dropout is 5",
        ),
        (
            |state| state["plan"]["recipe"]["learning_rate"] = (-1).into(),
            "learning_rate is -1",
        ),
        (
            |state| state["plan"]["recipe"]["epochs"] = u64::MAX.into(),
            "epochs is 18446744073709551615",
        ),
        (
            |state| state["plan"]["recipe"]["epochs"] = 1.into(),
            "2 epochs and 0 steps done: more than the recipe has",
        ),
        (
            |state| state["plan"]["recipe"]["colour"] = 1.into(),
            "unknown field `colour`",
        ),
        (
            |state| state["plan"]["train_samples"] = 60_000.into(),
            "train_samples is 60000, expected 1 to 50000",
        ),
        (
            |state| state["plan"]["test_samples"] = 0.into(),
            "test_samples is 0",
        ),
        (
            |state| state["progress"]["step"] = 1.into(),
            "2 epochs and 1 steps done",
        ),
        (
            |state| state["progress"]["history"][1]["epoch"] = 1.into(),
            "row 2 of its history cannot be",
        ),
        (
            |state| state["progress"]["history"][0]["test_correct"] = 21.into(),
            "row 1 of its history cannot be",
        ),
    ];
    for (change, text) in forgeries {
        let forged = forged_state(&intact, |description, _| change(description));
        fs::write(&path, forged).expect("write");
        trained(out, RESUME).refuses(&["state.safetensors", text]);
    }
    let nan = forged_state(&intact, |_, tensors| {
        let last = tensors.len() - 4;
        tensors[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    fs::write(&path, nan).expect("write");
    trained(out, RESUME).refuses(&["state.safetensors", "holds an infinite number"]);
    // Whatever is there, --force begins again.
    trained(out, &format!("{NANO} --force")).expect_status(0);
}

#[test]
fn a_log_that_cannot_be_written_does_not_end_the_run() {
    let folder = scratch();
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full")
    };
    let mut command = train(folder.path(), NANO);
    assert!(
        command
            .stdout(full())
            .stderr(full())
            .status()
            .expect("start")
            .success()
    );
    let mut command = train(folder.path(), NANO);
    assert_eq!(
        command
            .stdout(full())
            .stderr(full())
            .status()
            .expect("start")
            .code(),
        Some(2),
        "it exists already"
    );
}

#[test]
fn a_processor_without_avx512_trains_as_well() {
    for precision in ["f32", "bf16"] {
        let folder = scratch();
        let arguments = format!(
            "--model tiny --batch-size 4 --epochs 1 --train-samples 8 --test-samples 4 \
             --precision {precision}"
        );
        // What oneDNN, and so libtorch, then takes the processor for.
        run(train(folder.path(), &arguments).env("ONEDNN_MAX_CPU_ISA", "AVX2")).expect_status(0);
    }
}

#[test]
fn nohup_keeps_it_running() {
    let folder = scratch();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    let command = wrapped(shell, &train(folder.path(), NANO));
    let child = start(command);
    signal(&child, "-HUP");
    assert!(child.wait_with_output().expect("wait").status.success());
}

#[test]
fn a_loss_that_is_not_finite_names_the_step_and_keeps_the_last_good_state() {
    let folder = scratch();
    let arguments = format!("{NANO} --learning-rate 1e30 --clip-norm 0");
    trained(folder.path(), &arguments).refuses(&[
        "the loss became",
        "in step",
        "of epoch 1",
        "--learning-rate",
    ]);
    assert!(!folder.path().join("vit_nano_cifar10.safetensors").exists());
    assert!(
        !folder
            .path()
            .join("vit_nano_cifar10/state.safetensors")
            .exists()
    );
}

#[test]
fn two_runs_in_one_folder_are_kept_apart() {
    let folder = scratch();
    let child = start(train(folder.path(), NANO));
    trained(folder.path(), &format!("{NANO} --force"))
        .refuses(&["another process is training here"]);
    assert!(child.wait_with_output().expect("wait").status.success());
}

#[test]
fn a_run_leaves_metrics_a_picture_and_its_description() {
    let folder = scratch();
    trained(folder.path(), NANO)
        .expect_status(0)
        .says("best epoch")
        .says("last epoch (kept)");
    let read = |file: &str| {
        fs::read_to_string(folder.path().join("vit_nano_cifar10").join(file)).expect(file)
    };
    for (index, line) in read("metrics.jsonl").lines().enumerate() {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(row["epoch"], index + 1);
        for field in [
            "train_loss",
            "test_loss",
            "test_accuracy",
            "images_per_second",
            "seconds",
            "resident_bytes",
        ] {
            assert!(
                row[field].as_f64().is_some_and(|value| value > 0.0),
                "{field} in {line}"
            );
        }
    }
    assert!(read("curve.svg").contains("test accuracy (%)"));
    let description = read_json(&folder.path().join("vit_nano_cifar10/run.json"));
    assert_eq!(description["plan"]["recipe"]["optimizer"], "muon");
    assert_eq!(description["starts"][0]["device"], "cpu");
}

#[test]
fn a_recipe_that_cannot_be_followed_is_refused() {
    let folder = scratch();
    let refusals: [(&str, &[&str]); 6] = [
        ("--beta1 1", &["beta1 is 1", "from 0 up to"]),
        (
            "--optimizer adam --weight-decay 0.1",
            &["weight_decay is 0.1, expected 0 with adam"],
        ),
        (
            "--optimizer adamw --momentum 0.5",
            &["--momentum has no effect", "--optimizer muon"],
        ),
        (
            "--schedule cosine-per-epoch --warmup 0.5",
            &["--warmup has no effect"],
        ),
        ("--precision tf32", &["tf32", "this run is on cpu"]),
        (
            "--batch-size 700 --train-samples 640",
            &[
                "batch_size is 700, more than the 640 training images",
                "--batch-size 640",
            ],
        ),
    ];
    for (arguments, texts) in refusals {
        trained(folder.path(), &format!("--model nano {arguments}")).refuses(texts);
    }
    assert!(!folder.path().join("vit_nano_cifar10.safetensors").exists());
}
