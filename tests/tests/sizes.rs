//! Networks of other sizes than the presets': a file of numbers wherever a preset is named, and
//! checkpoints whose shapes tell the sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{
    Ended, Program, check, data, export_command, images, python_command, read_json, root, run,
    scratch, show, utf8,
};

const WIDE: &str = "like = \"nano\"\ndim = 64\nheads = 2\ndim_head = 24\nlayers = 2\n";

fn import(checkpoint: &Path, out: &Path, arguments: &[&str]) -> Ended {
    let mut command = Program::Trainer.command();
    command.arg("import").arg("--pth").arg(checkpoint);
    run(command.arg("--out").arg(out).args(arguments))
}

/// A bundle of 64 images that its own check accepts.
fn bundled(weights: &Path, bundle: &Path) {
    run(export_command(weights, bundle).args(["--samples", "64"])).expect_status(0);
    check(bundle, &[]).expect_status(0);
}

/// Runs a program with `--model FILE` in the folder of that file.
fn with_model(program: Program, folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = program.command();
    run(command.current_dir(folder).args(arguments))
}

#[test]
fn a_file_of_numbers_stands_wherever_a_preset_does() {
    let folder = scratch();
    let (path, images) = (folder.path(), data());
    fs::write(path.join("wide.toml"), WIDE).expect("write");
    let model = ["--model", "wide.toml"];
    let images = ["--data", utf8(&images)];
    let trainer = |arguments: &[&str]| {
        let arguments = [arguments, &model].concat();
        with_model(Program::Trainer, path, &arguments)
    };
    trainer(&[&["train", "--epochs", "0"][..], &images].concat())
        .expect_status(0)
        .says("trained_models/vit_wide_cifar10.safetensors");
    trainer(&[&["eval"][..], &images].concat()).expect_status(0);
    trainer(&["export", "--pth", "wide.pth"]).expect_status(0);
    trainer(&["import", "--pth", "wide.pth", "--out", "again"])
        .expect_status(0)
        .says("wide (");
    let bundle = [&["bundle", "--samples", "64"][..], &model, &images].concat();
    with_model(Program::Exporter, path, &bundle)
        .expect_status(0)
        .says("bundles/wide");
    check(&path.join("bundles/wide"), &[]).expect_status(0);
    let manifest = read_json(&path.join("bundles/wide/manifest.json"));
    let found = &manifest["model"];
    assert_eq!(found["preset"], "custom");
    assert_eq!(found["config"]["dim_head"], 24);

    fs::write(
        path.join("other.json"),
        json_of(&found["config"], "dim", 96),
    )
    .expect("write");
    let weights = "trained_models/vit_wide_cifar10.safetensors";
    let other = ["eval", "--weights", weights, "--model", "other.json"];
    with_model(Program::Trainer, path, &other).refuses(&["expected other: dim is 64, expected 96"]);
    fs::write(path.join("wide.toml"), "like = \"nano\"\nwidth = 3").expect("write");
    trainer(&["eval"]).refuses(&["wide.toml", "unknown field `width`"]);
}

/// The same numbers but for one.
fn json_of(config: &Value, name: &str, value: usize) -> String {
    let mut config = config.clone();
    config[name] = value.into();
    config.to_string()
}

#[test]
fn a_checkpoint_tells_its_sizes_and_what_it_cannot_tell_is_asked_for() {
    let folder = scratch();
    let path = folder.path();
    fs::write(path.join("wide.toml"), WIDE).expect("write");
    let arguments = [
        "train",
        "--epochs",
        "0",
        "--out",
        ".",
        "--model",
        "wide.toml",
        "--data",
    ];
    let images = data();
    let arguments = [&arguments[..], &[utf8(&images)]].concat();
    with_model(Program::Trainer, path, &arguments).expect_status(0);
    let export = [
        "export",
        "--model",
        "wide.toml",
        "--pth",
        "wide.pth",
        "--weights",
    ];
    let weights = "vit_wide_cifar10.safetensors";
    with_model(Program::Trainer, path, &[&export[..], &[weights]].concat()).expect_status(0);

    let (checkpoint, out) = (path.join("wide.pth"), path.join("out"));
    import(&checkpoint, &out, &[]).refuses(&["no heads of 64", "hint: --heads N"]);
    import(&checkpoint, &out, &["--heads", "5"]).refuses(&["5 heads", "3·48 outputs"]);
    import(&checkpoint, &out, &["--heads", "2", "--pool", "max"]).refuses(&["cls or mean"]);
    import(&checkpoint, &out, &["--model", "nano"])
        .refuses(&["tensor `pos_embedding`: expected shape [1, 65, 96], found [1, 65, 64]"]);
    assert!(!out.exists());
    import(&checkpoint, &out, &["--heads", "2"])
        .expect_status(0)
        .says("image 32, patch 4, dim 64, layers 2, heads 2 of 24, mlp 192, pool cls")
        .says("assumed      pool cls");
    import(
        &checkpoint,
        &out,
        &["--heads", "2", "--pool", "mean", "--force"],
    )
    .expect_status(0);
    let imported = out.join("vit_dim64_layers2_heads2_patch4_image32_cifar10.safetensors");
    bundled(&imported, &path.join("bundle"));
    let manifest = read_json(&path.join("bundle/manifest.json"));
    assert_eq!(manifest["model"]["config"]["pool"], "mean");
}

/// The Python with PyTorch, or one line that says that there is none.
fn pytorch() -> Option<Command> {
    let bench = root().join(".deps/bench");
    if !bench.join("torch").is_dir() {
        show("skipped: other sizes against PyTorch: `make bench` installs it in .deps/bench");
        return None;
    }
    let mut command = python_command();
    let tools = root().join(".deps/python-tools");
    let paths = std::env::join_paths([bench, tools]).expect("paths without colons");
    command
        .env("PYTHONPATH", paths)
        .arg(root().join("tests/python/other_sizes.py"));
    Some(command)
}

#[test]
fn other_sizes_compute_what_pytorch_computes() {
    let folder = scratch();
    let path = folder.path();
    let Some(mut make) = pytorch() else {
        return;
    };
    run(make.arg("make").arg(path)).expect_status(0);
    for (name, told, sizes) in [
        (
            "patch16",
            &[][..],
            "image 224, patch 16, dim 768, layers 2, heads 12 of 64, mlp 768",
        ),
        (
            "patch4",
            &[],
            "image 32, patch 4, dim 512, layers 6, heads 8 of 64, mlp 1024",
        ),
        (
            "mean",
            &["--heads", "5", "--pool", "mean"],
            "layers 3, heads 5 of 24, mlp 100, pool mean",
        ),
        (
            "odd",
            &["--heads", "1"],
            "image 48, patch 16, dim 72, layers 1, heads 1 of 40, mlp 33",
        ),
    ] {
        compares(path, name, told, sizes);
    }
    let checkpoint = path.join("newer.pth");
    import(&checkpoint, &path.join("newer"), &[]).refuses(&[
        "another network: a newer layout of vit-pytorch",
        "norms in the patch embedding",
    ]);
    let tiny = ["--model", "tiny"];
    import(&checkpoint, &path.join("newer"), &tiny).refuses(&["a newer layout of vit-pytorch"]);
}

/// Import, bundle and check; then the golden logits against PyTorch's.
fn compares(folder: &Path, name: &str, told: &[&str], sizes: &str) {
    let checkpoint = folder.join(format!("{name}.pth"));
    let (out, bundle) = (folder.join(name), folder.join(format!("{name}_bundle")));
    import(&checkpoint, &out, told).expect_status(0).says(sizes);
    bundled(&only_file(&out), &bundle);
    let mut compare = pytorch().expect("as before");
    compare.arg("compare").arg(folder).arg(name).arg(bundle);
    run(compare.arg(images().join("test_batch.bin")))
        .expect_status(0)
        .says("same logits");
}

fn only_file(folder: &Path) -> PathBuf {
    let mut entries = fs::read_dir(folder).expect("list");
    entries.next().expect("a file").expect("an entry").path()
}
