//! PyTorch checkpoints in and out, as users of the Python repository do it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{Ended, Program, fresh_weights, python, root, run, scratch, wrapped};

fn import(checkpoint: &Path, preset: &str, out: &Path) -> Ended {
    let mut command = Program::Trainer.command();
    run(command
        .arg("import")
        .arg("--pth")
        .arg(checkpoint)
        .args(["--model", preset, "--out"])
        .arg(out))
}

fn export(weights: &Path, checkpoint: &Path) -> Ended {
    let mut command = Program::Trainer.command();
    run(command
        .arg("export")
        .arg("--weights")
        .arg(weights)
        .arg("--pth")
        .arg(checkpoint))
}

/// The tensors of a `.safetensors` file: the header without what it says about their origin, and
/// all their bytes.
fn tensors(path: &Path) -> (Value, Vec<u8>) {
    let bytes = fs::read(path).expect("read");
    let (length, rest) = bytes.split_first_chunk().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).expect("a header");
    header
        .as_object_mut()
        .expect("an object")
        .remove("__metadata__");
    (header, data.to_vec())
}

fn nano_checkpoint(folder: &Path) -> (PathBuf, PathBuf) {
    let weights = fresh_weights(folder, "nano");
    let checkpoint = folder.join("made/nano.pth");
    export(&weights, &checkpoint)
        .expect_status(0)
        .says("nano.pth (52 tensors, 1.3 MB)")
        .says("freshly initialised");
    (weights, checkpoint)
}

#[test]
fn weights_go_out_and_come_back_bit_for_bit() {
    let folder = scratch();
    let (weights, checkpoint) = nano_checkpoint(folder.path());
    let out = folder.path().join("imported");
    import(&checkpoint, "nano", &out)
        .expect_status(0)
        .says("nano.pth (names no epoch)")
        .says("nano (310186 parameters)");
    let imported = out.join("vit_nano_cifar10.safetensors");
    assert_eq!(tensors(&imported), tensors(&weights));

    // The same weights give the same bytes, wherever they come from and go to.
    let again = folder.path().join("again.pth");
    export(&imported, &again)
        .expect_status(0)
        .says("origin unknown");
    assert!(fs::read(again).expect("read") == fs::read(checkpoint).expect("read"));
}

#[test]
fn nothing_is_replaced_unless_asked_for() {
    let folder = scratch();
    let (weights, checkpoint) = nano_checkpoint(folder.path());
    import(&checkpoint, "nano", folder.path())
        .refuses(&["vit_nano_cifar10.safetensors already exists", "--force"]);
    export(&weights, &checkpoint).refuses(&["nano.pth already exists", "--force", "--pth"]);
    export(&weights, folder.path()).refuses(&["is a folder, expected a file", "--pth"]);
    let name = "vit_nano_cifar10.safetensors";
    let forced = |arguments: &[&str], file: &Path| {
        let mut command = Program::Trainer.command();
        command.current_dir(folder.path()).args(arguments);
        run(command.arg(file).arg("--force"))
    };
    let import = ["import", "--model", "nano", "--out=.", "--pth"];
    let export = ["export", "--weights", name, "--model=nano", "--pth"];
    forced(&import, &checkpoint).expect_status(0);
    forced(&export, &checkpoint).expect_status(0);
    forced(&export, &weights).refuses(&["holds the weights themselves"]);
    forced(&export, folder.path()).refuses(&["is a folder"]);
}

#[test]
fn a_checkpoint_of_another_preset_names_the_first_tensor_that_differs() {
    let folder = scratch();
    let (_, checkpoint) = nano_checkpoint(folder.path());
    let out = folder.path().join("imported");
    import(&checkpoint, "tiny", &out).refuses(&[
        "nano.pth: tensor `pos_embedding`: expected shape [1, 197, 192], found [1, 65, 96]",
        "hint: its shapes are those of preset nano: --model nano",
    ]);
    let other = root().join("trainer/tests/fixtures/checkpoint.pth");
    import(&other, "nano", &out).refuses(&[
        "checkpoint.pth: in `model_state_dict`: tensor `pos_embedding`: expected shape \
         [1, 65, 96], found [1, 17, 32]",
    ]);
    assert!(!out.exists());
}

#[test]
fn an_out_that_is_a_file_or_named_like_one_is_refused() {
    let folder = scratch();
    let (weights, checkpoint) = nano_checkpoint(folder.path());
    let before = fs::read(&weights).expect("read");
    for out in [&weights, &folder.path().join("new.safetensors")] {
        import(&checkpoint, "nano", out).refuses(&[
            ": expected a folder",
            "hint: --out names the folder that vit_nano_cifar10.safetensors is written into",
        ]);
    }
    assert!(before == fs::read(&weights).expect("read"));
    assert!(!folder.path().join("new.safetensors").exists());
}

#[test]
fn a_checkpoint_that_grows_too_large_is_an_error_and_leaves_nothing() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let mut command = Program::Trainer.command();
    let checkpoint = folder.path().join("nano.pth");
    command.args(["export", "--weights"]).arg(&weights);
    run(&mut with_file_size_limit(
        command.arg("--pth").arg(&checkpoint),
    ))
    .refuses(&["error: ", "nano.pth: ", "File too large"]);
    assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
}

/// The same command, which may write no file of more than a few hundred kilobytes.
fn with_file_size_limit(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 400; exec \"$0\" \"$@\""]);
    wrapped(shell, command)
}

#[test]
fn a_hostile_checkpoint_is_not_run() {
    let folder = scratch();
    let mut command = Program::Trainer.command();
    command
        .current_dir(folder.path())
        .args(["import", "--model", "nano", "--pth"]);
    run(command.arg(root().join("trainer/tests/fixtures/hostile.pth")))
        .refuses(&["`posix.system`", "nothing of it was run"]);
    assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 0);
}

#[test]
fn files_that_are_no_checkpoints() {
    let folder = scratch();
    let (weights, checkpoint) = nano_checkpoint(folder.path());
    let corrupted = folder.path().join("corrupted.pth");
    let out = folder.path().join("imported");
    let refusal = |bytes: &[u8], texts: &[&str]| {
        fs::write(&corrupted, bytes).expect("write");
        import(&corrupted, "nano", &out).refuses(texts);
    };
    let intact = fs::read(&checkpoint).expect("read");
    refusal(
        &intact[..intact.len() / 2],
        &["corrupted.pth: not a valid zip archive", "hint:"],
    );
    refusal(b"", &["corrupted.pth: not a checkpoint: an empty file"]);
    refusal(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 343\n",
        &["not a checkpoint: a pointer of Git LFS", "git lfs pull"],
    );
    refusal(b"<!DOCTYPE html><html>", &["not a checkpoint: a web page"]);
    refusal(b"\x1f\x8b\x08\0", &["compressed by gzip", "gunzip"]);
    refusal(
        &fs::read(&weights).expect("read"),
        &[
            "corrupted.pth: not a checkpoint: a weights file of `trainer` already",
            "--weights FILE",
        ],
    );
    let mut flipped = intact.clone();
    flipped[intact.len() / 2] ^= 1;
    refusal(
        &flipped,
        &["corrupted.pth: entry `archive/data/", "damaged"],
    );
    import(&folder.path().join("none.pth"), "nano", &out).refuses(&["none.pth: no such file"]);
    import(folder.path(), "nano", &out).refuses(&["error: "]);
    let mut command = Program::Trainer.command();
    run(command.args(["import", "--pth", "vit_base_cifar10.pth"]))
        .refuses(&["vit_base_cifar10.pth: no such file"]);
    assert!(!out.exists());
}

/// The same tensors as a program in Python would save them: under a prefix, with no word about the
/// network.
fn as_of_python(weights: &Path, prefix: &str, target: &Path) {
    let (header, data) = tensors(weights);
    let header = header.as_object().expect("an object").iter();
    let renamed = header.map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone()));
    let header = serde_json::to_vec(&renamed.collect::<serde_json::Map<_, _>>()).expect("json");
    let length = (header.len() as u64).to_le_bytes();
    fs::write(target, [&length[..], &header, &data].concat()).expect("write");
}

#[test]
fn safetensors_of_python_are_imported_and_prefixes_taken_off() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let python = folder.path().join("python.safetensors");
    as_of_python(&weights, "module._orig_mod.", &python);
    let out = folder.path().join("imported");
    import(&python, "nano", &out)
        .expect_status(0)
        .says("names        without the prefix `module._orig_mod.`");
    let imported = out.join("vit_nano_cifar10.safetensors");
    assert_eq!(tensors(&imported), tensors(&weights));
    import(&python, "tiny", &folder.path().join("tiny")).refuses(&[
        "in `module._orig_mod`: tensor `pos_embedding`: expected shape [1, 197, 192]",
        "--model nano",
    ]);
}

#[test]
fn one_of_several_entries_and_float64_have_flags_of_their_own() {
    let layouts = root().join("trainer/tests/fixtures/layouts");
    let folder = scratch();
    let import = |name: &str, more: &[&str]| {
        let mut command = Program::Trainer.command();
        command.args(["import", "--model", "nano", "--out"]);
        command.arg(folder.path().join("out")).args(more);
        run(command.arg("--pth").arg(layouts.join(name)))
    };
    // Fixtures of another size: what is looked at before shapes is said, the rest is refused.
    import("net.pth", &[]).refuses(&["in `net`: tensor `pos_embedding`: expected shape"]);
    import("net.pth", &["--key", "model"]).refuses(&["no weights under `model`", "`net`"]);
    import("float64.pth", &["--convert"]).refuses(&["found [1, 5, 8]"]);
}

#[test]
fn what_is_unclear_in_a_checkpoint_is_refused_with_what_to_do() {
    let folder = scratch();
    let (_, checkpoint) = nano_checkpoint(folder.path());
    python("unclear_checkpoints", &[&checkpoint, folder.path()]).expect_status(0);
    let import = |name: &str, more: &[&str]| {
        let mut command = Program::Trainer.command();
        command.args(["import", "--force", "--heads", "3", "--out"]);
        command.arg(folder.path().join("out")).args(more);
        run(command.arg("--pth").arg(folder.path().join(name)))
    };
    import("second.pth", &[]).refuses(&[
        "two values of the parameter `mlp_head.1.bias`: `module.mlp_head.1.bias` and \
         `mlp_head.1.bias`",
        "hint: --key module takes",
    ]);
    import("second.pth", &["--key", "module"]).expect_status(0);
    import("parts.pth", &[]).refuses(&[
        "no prefix is shared by all names",
        "`backbone.` before 48 names",
        "`head.` before 4 names",
        "hint: if they are of one network",
    ]);
    import("transposed.pth", &[]).refuses(&["`mlp_head.1.bias` of 10: it lies transposed"]);
    import("extra.pth", &[]).refuses(&[
        "tensor `extra.weight` of shape [3] is no parameter",
        "hint: another network, if it computes with that",
    ]);
    import("profiled.pth", &[])
        .expect_status(0)
        .says("skipped      2 counts of a profiler, such as `total_ops`");
    import("large.pth", &["--convert"]).refuses(&["1 of 10 numbers are beyond the range"]);
    import("model.safetensors.index.json", &[]).refuses(&["the index of one in several files"]);
    import("vit-00001-of-00002.bin", &[]).refuses(&["part 1 of 2 of a checkpoint"]);
}
