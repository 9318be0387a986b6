//! The tiny bundle, opened, damaged, and cut down to some of its samples.

use std::fs;
use std::path::Path;

use super::*;
use crate::fixture::{copy_of_tiny_bundle, tiny_bundle, tiny_bundle_1_0};
use crate::manifest::{
    Axis, Choice, Dataset, MANIFEST_FILE, Manifest, Part, SHA256SUMS_FILE, dataset, part,
};
use crate::npy::Dtype;

const LABELS_FILE: &str = "npy/labels.npy";

/// A copy whose manifest `change` may corrupt; its list of hashes agrees with it.
fn forged(change: impl FnOnce(&mut Manifest)) -> tempfile::TempDir {
    let folder = copy_of_tiny_bundle();
    let mut manifest = Bundle::open(folder.path())
        .expect("open")
        .manifest()
        .clone();
    change(&mut manifest);
    let json = manifest.to_json();
    let sums = manifest.sha256sums(&json);
    fs::write(folder.path().join(SHA256SUMS_FILE), sums).expect("write");
    fs::write(folder.path().join(MANIFEST_FILE), json).expect("write");
    folder
}

fn refusal(folder: &tempfile::TempDir) -> String {
    let result = Bundle::open(folder.path()).and_then(|bundle| {
        bundle.verify_files(&[], |_| true)?;
        bundle.dataset::<i64>(dataset::LABELS).map(|_| ())
    });
    result.expect_err("must be refused").to_string()
}

fn numbers<T: crate::npy::Element>(bundle: &Bundle, name: &str) -> Vec<T> {
    let npy = bundle.dataset::<T>(name).expect("dataset");
    npy.rows(0..npy.rows_len()).expect("rows").to_vec()
}

#[test]
fn a_whole_bundle_opens() {
    let bundle = Bundle::open(&tiny_bundle()).expect("open");
    let mut bytes = 0;
    bundle
        .verify_files(&[], |block| {
            bytes += block;
            true
        })
        .expect("hashes");
    assert_eq!(bytes, bundle.total_bytes());
    assert_eq!(
        numbers::<i64>(&bundle, dataset::SAMPLE_INDEX),
        [0, 1, 2, 3, 4, 5, 6, 7]
    );
    for name in [
        part::PREPROCESS,
        part::FULL,
        part::HEAD,
        part::SUBMODEL,
        part::TAIL,
    ] {
        let (_, part) = bundle.part(name).expect(name);
        let graph = bundle.graph(name).expect(name);
        for tensor in part.inputs.iter().chain(&part.outputs) {
            assert_eq!(graph.shape(&tensor.name).as_ref(), Some(&tensor.shape));
            assert_eq!(graph.dtype(&tensor.name), Some(tensor.dtype));
        }
        for parameter in part.initializers.keys() {
            assert!(graph.initializer(parameter).is_some(), "{parameter}");
        }
    }
    let absent = bundle.part("none").expect_err("none").to_string();
    assert!(
        absent.contains("no part `none`; it has `full`, `head`, `preprocess`"),
        "{absent}"
    );
}

#[test]
fn a_test_tensor_has_the_shape_that_is_asked_for() {
    let bundle = Bundle::open(&tiny_bundle()).expect("open");
    let file = "onnx/submodel/test_data_set_0/input_0.pb";
    let tensor = bundle.test_tensor(file, &[17, 16]).expect("a tensor");
    let recorded: Vec<f32> = numbers(&bundle, dataset::SUBMODEL_INPUT);
    assert_eq!(tensor, recorded[..17 * 16]);
    let refused = |file, axes: &[usize]| bundle.test_tensor(file, axes).expect_err("refused");
    assert!(
        refused(file, &[16, 17])
            .to_string()
            .contains("expected float32 of shape [1, 16, 17]")
    );
    assert!(
        refused("onnx/none.pb", &[1])
            .to_string()
            .contains("not listed")
    );
}

#[test]
fn a_bundle_of_format_1_0_is_read_and_cut_down_as_before() {
    let folder = tempfile::tempdir().expect("folder");
    let bundle = Bundle::open(&tiny_bundle_1_0()).expect("open");
    bundle.verify_files(&[], |_| true).expect("hashes");
    assert_eq!(bundle.manifest().format_version, "1.0");
    let absent = bundle.part(part::PREPROCESS).expect_err("none").to_string();
    assert!(absent.contains("no part `preprocess`"), "{absent}");

    let out = folder.path().join("subset");
    let choice = Choice::Range { start: 1, end: 3 };
    let written = subset_of(&bundle, choice, &out).expect("written");
    assert_eq!(written.format_version, "1.0");
    let subset = Bundle::open(&out).expect("open");
    assert_eq!(numbers::<i64>(&subset, dataset::SAMPLE_INDEX), [1, 2]);
    assert!(!written.datasets.contains_key(dataset::PIXELS));
}

#[test]
fn another_major_version_is_refused_and_another_minor_one_read() {
    let version = |text: &str| forged(|manifest| manifest.format_version = text.to_owned());
    assert!(refusal(&version("2.0")).contains("format_version 2.0"));
    assert!(refusal(&version("1.x")).contains("format_version 1.x"));
    assert!(Bundle::open(version("1.7").path()).is_ok());
}

#[test]
fn paths_out_of_the_bundle_are_refused() {
    for path in [
        "../labels.npy",
        "/etc/passwd",
        "npy/../npy/labels.npy",
        "./npy/labels.npy",
        "npy\\labels.npy",
        "",
    ] {
        let folder = forged(|manifest| {
            let digest = manifest.files.remove(LABELS_FILE).expect("entry");
            manifest.files.insert(path.to_owned(), digest);
            let labels = manifest.datasets.get_mut(dataset::LABELS);
            labels.expect("entry").file = path.to_owned();
        });
        let text = refusal(&folder);
        assert!(
            text.contains("not a plain file inside the bundle"),
            "{path}: {text}"
        );
    }
}

#[cfg(unix)]
#[test]
fn links_are_refused() {
    let folder = copy_of_tiny_bundle();
    let file = folder.path().join(LABELS_FILE);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).expect("move");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("link");
    assert!(refusal(&folder).contains("a symbolic link"));
}

#[test]
fn a_changed_byte_anywhere_is_noticed() {
    // Of the longer files some bytes, so that this takes a second.
    for (file, step) in [(LABELS_FILE, 1), (SHA256SUMS_FILE, 7), (MANIFEST_FILE, 41)] {
        let folder = copy_of_tiny_bundle();
        let path = folder.path().join(file);
        let whole = fs::read(&path).expect("read");
        for position in (0..whole.len()).step_by(step) {
            let mut corrupt = whole.clone();
            corrupt[position] ^= 1;
            fs::write(&path, corrupt).expect("write");
            let _ = refusal(&folder);
        }
    }
}

#[test]
fn missing_short_and_unlisted_files_are_named() {
    let folder = copy_of_tiny_bundle();
    fs::remove_file(folder.path().join(LABELS_FILE)).expect("remove");
    assert!(refusal(&folder).contains("missing from the bundle"));

    let folder = copy_of_tiny_bundle();
    fs::write(folder.path().join(LABELS_FILE), "short").expect("write");
    assert!(refusal(&folder).contains("5 bytes, expected 192"));

    let folder = forged(|manifest| manifest.files.clear());
    assert!(refusal(&folder).contains("not listed under `files`"));
}

#[test]
fn a_manifest_that_contradicts_a_file_or_itself_is_refused() {
    let folder = forged(|manifest| {
        let labels = manifest.datasets.get_mut(dataset::LABELS);
        labels.expect("entry").shape = vec![8, 1];
    });
    assert!(refusal(&folder).contains("shape [8], expected [8, 1]"));
    let pixels = |change: fn(&mut Dataset)| {
        forged(|manifest| change(manifest.datasets.get_mut(dataset::PIXELS).expect("entry")))
    };
    let expected = "expected uint8 [8, 32, 32, 3]";
    let planes = refusal(&pixels(|pixels| pixels.shape = vec![8, 3, 32, 32]));
    assert!(planes.contains(expected), "{planes}");
    let floats = refusal(&pixels(|pixels| pixels.dtype = Dtype::Float32));
    assert!(floats.contains(expected), "{floats}");
    let preprocess = |change: fn(&mut Part)| {
        forged(|manifest| change(manifest.parts.get_mut(part::PREPROCESS).expect("entry")))
    };
    let changes: [fn(&mut Part); 3] = [
        |part| part.inputs[0].dtype = Dtype::Float32,
        |part| part.outputs[0].shape[2] = Axis::Fixed(33),
        |part| part.outputs.push(part.outputs[0].clone()),
    ];
    for change in changes {
        let text = refusal(&preprocess(change));
        assert!(
            text.contains("part `preprocess`: expected one input uint8"),
            "{text}"
        );
    }
    let folder = forged(|manifest| manifest.model.config.dim = 0);
    assert!(refusal(&folder).contains("dim is 0"));
    let folder = forged(|manifest| manifest.accuracy.samples = 9);
    assert!(refusal(&folder).contains("but the bundle has 9 samples"));
    let folder = forged(|manifest| manifest.producer.name = "a\u{1b}[2J".to_owned());
    assert!(refusal(&folder).contains("control characters"));
}

#[test]
fn what_is_not_a_bundle_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    assert!(refusal(&folder).contains("no manifest.json"));
    fs::write(folder.path().join(MANIFEST_FILE), "{".repeat(100_000)).expect("write");
    assert!(refusal(&folder).contains("malformed"));
    let missing = Bundle::open(&folder.path().join("none")).expect_err("missing");
    assert!(missing.to_string().contains("no such folder"));
}

fn subset_of_tiny(choice: Choice, out: &Path) -> Result<Manifest, subset::SubsetError> {
    subset_of(&Bundle::open(&tiny_bundle()).expect("open"), choice, out)
}

fn subset_of(bundle: &Bundle, choice: Choice, out: &Path) -> Result<Manifest, subset::SubsetError> {
    let request = subset::Request {
        bundle,
        choice,
        raw: true,
        out,
        replace: true,
        readme: |manifest, _raw| format!("{} samples\n", manifest.accuracy.samples),
    };
    subset::write(&request, |_bytes| true)
}

#[test]
fn a_subset_is_a_bundle_with_the_chosen_rows() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("subset");
    let group_sizes = vec![1, 0, 0, 1];
    let written = subset_of_tiny(Choice::Conf { group_sizes }, &out).expect("written");
    let (whole, subset) = (
        Bundle::open(&tiny_bundle()).expect("open"),
        Bundle::open(&out).expect("open"),
    );
    subset.verify_files(&[], |_| true).expect("hashes");
    assert_eq!(*subset.manifest(), written);
    assert_eq!(numbers::<i64>(&subset, dataset::TIER), [0, 3]);

    let chosen = numbers::<i64>(&subset, dataset::SAMPLE_INDEX);
    let edges = whole
        .dataset::<f32>(dataset::SUBMODEL_OUTPUT)
        .expect("dataset");
    let cut = subset
        .dataset::<f32>(dataset::SUBMODEL_OUTPUT)
        .expect("dataset");
    assert_eq!(cut.shape(), [2, 17, 16]);
    for (row, &sample) in chosen.iter().enumerate() {
        let sample = sample as usize;
        let expected = edges.rows(sample..sample + 1).expect("row");
        assert_eq!(*cut.rows(row..row + 1).expect("row"), *expected);
    }
    let pixels = whole.dataset::<u8>(dataset::PIXELS).expect("dataset");
    let expected = chosen.iter().map(|&sample| sample as usize);
    let expected: Vec<u8> = expected
        .flat_map(|sample| pixels.rows(sample..sample + 1).expect("row").to_vec())
        .collect();
    assert_eq!(numbers::<u8>(&subset, dataset::PIXELS), expected);
    let raw = fs::read(out.join("raw/pixels.bin")).expect("read");
    assert_eq!(raw, expected);
    let raw = fs::read(out.join("raw/labels.bin")).expect("read");
    assert_eq!(
        raw,
        bytemuck::cast_slice::<i64, u8>(&numbers(&subset, dataset::LABELS))
    );
    assert_eq!(
        fs::read_to_string(out.join(README_FILE)).expect("read"),
        "2 samples\n"
    );
}

#[test]
fn a_subset_replaces_a_bundle_but_nothing_else() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("subset");
    let range = |start, end| Choice::Range { start, end };
    subset_of_tiny(range(0, 2), &out).expect("written");
    subset_of_tiny(range(2, 5), &out).expect("replaced");
    let indices = numbers::<i64>(&Bundle::open(&out).expect("open"), dataset::SAMPLE_INDEX);
    assert_eq!(indices, [2, 3, 4]);
    fs::write(out.join("notes.txt"), "mine").expect("write");
    let refused = subset_of_tiny(range(0, 2), &out)
        .expect_err("refused")
        .to_string();
    assert!(
        refused.contains("\"notes.txt\" in it is none of the bundle's files"),
        "{refused}"
    );
    let inside = subset_of_tiny(range(0, 2), &out.join("npy/more")).expect_err("refused");
    assert!(inside.to_string().contains("inside the bundle"));
    let itself = subset_of_tiny(range(0, 2), &tiny_bundle()).expect_err("refused");
    assert!(itself.to_string().contains("the bundle itself"));
}

#[test]
fn a_bundle_that_is_not_finished_leaves_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("bundle");
    let mut writer = BundleWriter::create(&out, false, 0).expect("create");
    writer
        .write("onnx/full/model.onnx", b"half")
        .expect("write");
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 0);
    let error = BundleWriter::create(&out, false, u64::MAX).expect_err("no room");
    assert!(error.to_string().contains("MB needed"), "{error}");
}
