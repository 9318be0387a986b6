//! Goldens that another program recorded become a bundle that says where they are from.

use std::fs;
use std::path::{Path, PathBuf};

use proto::bundle::Bundle;
use proto::digest::sha256_file;
use proto::manifest::dataset;
use tests::{Ended, Program, bundle, check, export_command, python, run, scratch, utf8};

/// Samples of the files that the script writes.
const SAMPLES: usize = 6;

/// A bundle of the network's own golden, and the files that the script makes of it.
struct Made {
    folder: tempfile::TempDir,
    own: PathBuf,
}

impl Made {
    fn new() -> Self {
        let folder = scratch();
        let own = bundle(folder.path(), "nano", 8);
        python("recorded_golden", &[&own, folder.path()])
            .expect_status(0)
            .says("saved");
        Self { folder, own }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `exporter bundle --recorded` of a file, with further arguments.
    fn export(&self, recorded: &[&str], out: &str, more: &[&str]) -> Ended {
        let weights = self.file("vit_nano_cifar10.safetensors");
        let mut command = export_command(&weights, &self.file(out));
        command.arg("--recorded");
        command.args(recorded.iter().map(|name| self.file(name)));
        run(command.args(more))
    }
}

fn rows(bundle: &Path, name: &str, count: usize) -> Vec<f32> {
    let bundle = Bundle::open(bundle).expect("a bundle");
    let array = bundle.dataset::<f32>(name).expect("an array");
    array.rows(0..count).expect("rows").to_vec()
}

fn sample_index(bundle: &Path) -> Vec<i64> {
    let bundle = Bundle::open(bundle).expect("a bundle");
    let array = bundle
        .dataset::<i64>(dataset::SAMPLE_INDEX)
        .expect("an array");
    array.rows(0..array.rows_len()).expect("rows").to_vec()
}

#[test]
fn a_recorded_golden_becomes_a_bundle_that_says_where_it_is_from() {
    let made = Made::new();
    let logits = made.file("logits.pt");
    let dataset_file = made.file("dataset.pt");
    made.export(&["dataset.pt"], "new", &["--golden-logits", utf8(&logits)])
        .expect_status(0)
        .says("recorded     submodel_output elsewhere, in a file with SHA-256 ")
        .says("samples      6 of the test split");
    let new = made.file("new");
    let names = [
        dataset::SUBMODEL_INPUT,
        dataset::SUBMODEL_OUTPUT,
        dataset::LOGITS,
    ];
    for name in names {
        assert!(
            rows(&new, name, SAMPLES) == rows(&made.own, name, SAMPLES),
            "{name}"
        );
    }
    assert_eq!(sample_index(&new), [0, 1, 2, 3, 4, 5]);
    let golden = &Bundle::open(&new)
        .expect("a bundle")
        .manifest()
        .golden
        .clone();
    let recorded: Vec<&str> = golden.recorded.keys().map(String::as_str).collect();
    assert_eq!(recorded, ["logits", "submodel_input", "submodel_output"]);
    let output = &golden.recorded[dataset::SUBMODEL_OUTPUT];
    assert_eq!(output.sha256, sha256_file(&dataset_file).expect("hash"));
    assert_eq!(output.entry.as_deref(), Some("targets"));
    assert!(
        output.largest_difference < 1e-5,
        "{}",
        output.largest_difference
    );
    assert_eq!(output.samples_outside, 0);
    let readme = fs::read_to_string(new.join("README.md")).expect("read");
    assert!(readme.contains(&output.sha256), "{readme}");
    check(&new, &[])
        .expect_status(0)
        .says("PASS")
        .says("another program");
    Program::Verifier
        .run(["inspect".as_ref(), new.as_os_str()])
        .expect_status(0)
        .says("submodel_output by another program")
        .says(&output.sha256);
}

#[test]
fn images_are_found_by_their_inputs() {
    let made = Made::new();
    made.export(&["shuffled.pt"], "shuffled", &[])
        .expect_status(0)
        .says("samples      3 of the test split");
    assert_eq!(sample_index(&made.file("shuffled")), [5, 2, 7]);
    made.export(&["shuffled.pt"], "first", &["--samples", "2"])
        .expect_status(0);
    assert_eq!(sample_index(&made.file("first")), [5, 2]);
    let list = made.file("list.txt");
    fs::write(&list, "5 2 7").expect("write");
    made.export(&["shuffled.pt"], "listed", &["--indices", utf8(&list)])
        .expect_status(0);
    assert_eq!(sample_index(&made.file("listed")), [5, 2, 7]);
    // As the Python repository's lists of images by confidence are.
    let tiers = made.file("tiers.pt");
    made.export(&["shuffled.pt"], "tiers", &["--indices", utf8(&tiers)])
        .expect_status(0);
    assert_eq!(sample_index(&made.file("tiers")), [5, 2, 7]);
    let logits = made.file("logits.pt");
    made.export(&["shuffled.pt"], "wrong", &["--indices", utf8(&logits)])
        .refuses(&["logits.pt: expected whole numbers"]);
    fs::write(&list, "5 7 2").expect("write");
    made.export(&["shuffled.pt"], "wrong", &["--indices", utf8(&list)])
        .refuses(&[
            "shuffled.pt: submodel_input of sample 1 is up to ",
            "off what these weights give for image 7",
            "--accept-differences",
        ]);
    made.export(&["dataset.pt"], "wrong", &["--indices", utf8(&list)])
        .refuses(&["--indices has 3 images, but 6 samples were recorded"]);
    made.export(&["foreign.pt"], "wrong", &[]).refuses(&[
        "foreign.pt: sample 0 is the input of none of the split's 10000 images",
        "--indices FILE",
    ]);
    let module = ["--module", "transformer.layers.1.0.fn"];
    made.export(&["dataset.pt"], "wrong", &module)
        .refuses(&["6 samples were recorded", "--indices FILE"]);
    assert!(!made.file("wrong").exists());
}

#[test]
fn arrays_of_numpy_are_taken_too() {
    let made = Made::new();
    let logits = made.file("logits.npy");
    let more = ["--golden-logits", utf8(&logits)];
    made.export(&["inputs.npy", "targets.npy"], "new", &more)
        .expect_status(0);
    let (new, name) = (made.file("new"), dataset::SUBMODEL_OUTPUT);
    assert!(rows(&new, name, SAMPLES) == rows(&made.own, name, SAMPLES));
    let golden = Bundle::open(&new)
        .expect("a bundle")
        .manifest()
        .golden
        .clone();
    assert_eq!(golden.recorded[dataset::LOGITS].entry, None);
    check(&new, &[]).expect_status(0).says("PASS");
}

#[test]
fn what_the_weights_do_not_reproduce_is_said() {
    let made = Made::new();
    made.export(&["near.pt"], "near", &[])
        .expect_status(0)
        .says("submodel_output elsewhere")
        .says("e-5 off what these weights give");
    made.export(&["other.pt"], "other", &[]).refuses(&[
        "other.pt: submodel_output of sample 3 is up to 5.000e-1 off what these weights give",
        "beyond 1e-4 + 1e-4·|computed|",
        "hint: these may be other weights",
    ]);
    assert!(!made.file("other").exists());
    made.export(&["other.pt"], "other", &["--accept-differences"])
        .expect_status(0)
        .says("at most 5.000e-1 off")
        .says("warning      submodel_output: 1 samples are beyond");
    let golden = Bundle::open(&made.file("other")).expect("a bundle");
    let golden = &golden.manifest().golden.recorded[dataset::SUBMODEL_OUTPUT];
    assert_eq!(golden.samples_outside, 1);
    // The golden is what was recorded: a device that computes as these weights say is not alike.
    check(&made.file("other"), &[])
        .expect_status(1)
        .says("FAIL");
}

#[test]
fn files_that_are_no_recorded_golden_are_refused() {
    let made = Made::new();
    let refuses = |recorded: &[&str], more: &[&str], texts: &[&str]| {
        made.export(recorded, "wrong", more).refuses(texts);
    };
    let value = "nan.pt: submodel_output: element 98 of sample 3 is NaN, expected a finite number";
    refuses(&["nan.pt"], &["--accept-differences"], &[value]);
    let shape = "short.pt: submodel_output: expected shape [6, 65, 96], found [5, 65, 96]";
    refuses(&["short.pt"], &[], &[shape]);
    refuses(&["inputs.npy"], &[], &["--recorded INPUTS.npy TARGETS.npy"]);
    refuses(
        &["logits.pt"],
        &[],
        &["a dict with a tensor `inputs`", "found tensor [6, 10]"],
    );
    let inputs = made.file("inputs.npy");
    let logits = ["--golden-logits", utf8(&inputs)];
    refuses(
        &["dataset.pt"],
        &logits,
        &["inputs.npy: logits: expected shape [6, 10] or [10000, 10], found [6, 65, 96]"],
    );
    refuses(&["none.pt"], &[], &["none.pt: "]);
    refuses(
        &["dataset.pt"],
        &["--samples", "7"],
        &["--samples 7: 6 samples were recorded"],
    );
    let models_alone = "--samples 0 writes models and weights without a golden";
    refuses(
        &["dataset.pt"],
        &["--samples", "0"],
        &[models_alone, "hint: leave out --recorded"],
    );
    let no_rows = ["no_inputs.npy", "no_targets.npy"];
    refuses(&no_rows, &[], &["no sample was recorded"]);
    let weights = made.file("vit_nano_cifar10.safetensors");
    refuses(
        &["vit_nano_cifar10.safetensors"],
        &[],
        &["not a checkpoint: a weights file"],
    );
    let mut command = export_command(&weights, &made.file("wrong"));
    run(command.arg("--golden-logits").arg(made.file("logits.pt"))).refuses(&["--recorded <FILE>"]);
    assert!(!made.file("wrong").exists());
}
