//! Bundles made to deceive, with every hash right: each breaks one rule, and `check` refuses it for
//! that.
//!
//! What damage and carelessness do is in `bad_input`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message as _;
use proto::digest::{FileDigest, sha256_bytes};
use proto::manifest::{Axis, Manifest, Part, SHA256SUMS_FILE};
use proto::npy::Dtype;
use proto::onnx::tensor_proto::DataType;
use proto::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TrainingInfoProto, ValueInfoProto, type_proto,
};
use tests::{bundle, check, forge, forge_manifest, run, scratch};

const SAMPLES: usize = 4;
const INPUT: &str = "npy/submodel_input.npy";
const OUTPUT: &str = "npy/submodel_output.npy";
const MODEL: &str = "onnx/submodel/model.onnx";

/// A bundle without a fault, and copies of it to corrupt.
struct Original {
    folder: tempfile::TempDir,
    bundle: PathBuf,
}

impl Original {
    fn new() -> Self {
        let folder = scratch();
        let bundle = bundle(folder.path(), "nano", SAMPLES);
        check(&bundle, &[]).expect_status(0);
        Self { folder, bundle }
    }

    /// Checks a corrupted copy, which must be refused with these texts.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], corrupt: impl FnOnce(&Path), texts: &[&str]) {
        let copy = self.folder.path().join("corrupted");
        run(Command::new("cp").arg("-r").arg(&self.bundle).arg(&copy)).expect_status(0);
        corrupt(&copy);
        check(&copy, arguments).refuses(texts);
        fs::remove_dir_all(&copy).expect("remove");
    }

    #[track_caller]
    fn refuses_manifest(&self, change: impl FnOnce(&mut Manifest), texts: &[&str]) {
        self.refuses(&[], |bundle| forge_manifest(bundle, change), texts);
    }

    /// Changes the text of the manifest where its types allow no such thing, and its hash in
    /// SHA256SUMS.
    #[track_caller]
    fn refuses_text(&self, from: &str, to: &str, texts: &[&str]) {
        let corrupt = |bundle: &Path| {
            let path = bundle.join("manifest.json");
            let text = fs::read_to_string(&path).expect("read");
            assert!(text.contains(from), "{from}");
            let changed = text.replacen(from, to, 1);
            let sums = fs::read_to_string(bundle.join(SHA256SUMS_FILE)).expect("read");
            let sums = sums.replace(
                &sha256_bytes(text.as_bytes()),
                &sha256_bytes(changed.as_bytes()),
            );
            fs::write(bundle.join(SHA256SUMS_FILE), sums).expect("write");
            fs::write(&path, changed).expect("write");
        };
        self.refuses(&[], corrupt, texts);
    }

    #[track_caller]
    fn refuses_model(&self, change: impl FnOnce(&mut ModelProto), texts: &[&str]) {
        self.refuses(&[], |bundle| forge_model(bundle, change), texts);
    }
}

fn forge_model(bundle: &Path, change: impl FnOnce(&mut ModelProto)) {
    forge(bundle, MODEL, |bytes| {
        let mut model = ModelProto::decode(bytes.as_slice()).expect("model");
        change(&mut model);
        *bytes = model.encode_to_vec();
    });
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .expect("a text of the header");
    bytes[at..at + to.len()].copy_from_slice(to);
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().expect("graph")
}

fn tensor_type(value: &mut ValueInfoProto) -> &mut type_proto::Tensor {
    match value.r#type.as_mut().and_then(|found| found.value.as_mut()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor,
        other => panic!("{other:?}"),
    }
}

#[test]
fn arrays_that_numpy_would_read_but_a_bundle_does_not_hold() {
    let original = Original::new();
    let header = |from: &'static [u8], to: &'static [u8], message: &str| {
        for file in [INPUT, OUTPUT] {
            let name = file.rsplit('/').next().expect("a name");
            original.refuses(
                &[],
                |bundle| forge(bundle, file, |bytes| replace(bytes, from, to)),
                &[name, message],
            );
        }
    };
    header(b"'<f4'", b"'>f4'", "dtype '>f4'");
    header(b"'<f4'", b"'<i4'", "dtype '<i4'");
    header(b"'<f4'", b"'|O' ", "dtype '|O'");
    header(b"False", b"True ", "Fortran order");
    header(b"(4, 65, 96)", b"(4, 96, 65)", "shape [4, 96, 65]");
    header(b"(4, 65, 96)", b"(4, -5, 96)", "malformed");
    header(b"NUMPY\x01", b"NUMPY\x02", "NPY version 2.0: expected 1.0");
    header(
        b"NUMPY\x01\x00v\x00",
        b"NUMPY\x01\x00\xff\xff",
        "claims 65535 bytes",
    );
    header(b"NUMPY\x01\x00v\x00", b"NUMPY\x01\x00u\x00", "not aligned");
    // 2^62 · 4 bytes are none in 64 bits.
    header(
        b"(4, 65, 96), }            ",
        b"(4611686018427387904, 4)}",
        "too large",
    );
}

#[test]
fn arrays_with_values_that_no_recording_has() {
    let original = Original::new();
    let values = |file, value: f32, message: &str| {
        let change = |bytes: &mut Vec<u8>| {
            bytes[128 + 4 * 6240..][..4].copy_from_slice(&value.to_le_bytes())
        };
        original.refuses(
            &[],
            |bundle| forge(bundle, file, change),
            &[message, "must be finite"],
        );
    };
    values(
        INPUT,
        f32::NAN,
        "`submodel_input` of sample 1 has NaN at element 0",
    );
    values(
        INPUT,
        f32::INFINITY,
        "`submodel_input` of sample 1 has inf at element 0",
    );
    values(
        OUTPUT,
        -f32::NAN,
        "`submodel_output` of sample 1 has NaN at element 0",
    );
    values(
        OUTPUT,
        f32::NEG_INFINITY,
        "`submodel_output` of sample 1 has -inf at element 0",
    );
    original.refuses(
        &[],
        |bundle| forge(bundle, OUTPUT, Vec::clear),
        &["submodel_output.npy", "not an NPY file"],
    );
    let index = |position: i64| {
        move |bundle: &Path| {
            forge(bundle, "npy/sample_index.npy", |bytes| {
                let end = bytes.len();
                bytes[end - 8..].copy_from_slice(&position.to_le_bytes());
            });
        }
    };
    original.refuses(
        &[],
        index(10_000),
        &["`sample_index` has 10000", "test split"],
    );
    original.refuses(&[], index(-1), &["`sample_index` has -1"]);
}

#[test]
fn manifests_that_name_files_outside_the_bundle() {
    let original = Original::new();
    let entry = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |manifest: &mut Manifest| {
            let digest = manifest.files.remove(&from).expect("entry");
            manifest.files.insert(to.clone(), digest);
            manifest
                .datasets
                .values_mut()
                .filter(|dataset| dataset.file == from)
                .for_each(|dataset| dataset.file = to.clone());
        }
    };
    let outside = original.folder.path().join("outside.npy");
    fs::copy(original.bundle.join(OUTPUT), &outside).expect("copy");
    let absolute = outside.to_str().expect("text");
    for path in [
        "../outside.npy",
        absolute,
        "npy/../../outside.npy",
        "./npy/submodel_output.npy",
    ] {
        original.refuses_manifest(
            entry(OUTPUT, path),
            &[path, "not a plain file inside the bundle"],
        );
    }
    original.refuses_manifest(
        entry(OUTPUT, "npy"),
        &["npy: not a plain file inside the bundle (not a file)"],
    );
    original.refuses_manifest(
        entry(OUTPUT, "npy/none.npy"),
        &["npy/none.npy: missing from the bundle"],
    );
}

#[test]
fn bundles_with_symbolic_links() {
    let original = Original::new();
    let linked_folder = |bundle: &Path| {
        let aside = bundle.with_file_name("aside");
        fs::rename(bundle.join("npy"), &aside).expect("move");
        std::os::unix::fs::symlink(&aside, bundle.join("npy")).expect("link");
    };
    original.refuses(
        &[],
        linked_folder,
        &["npy/confidence.npy", "a symbolic link"],
    );
    fs::remove_dir_all(original.folder.path().join("aside")).expect("remove");
    let linked_manifest = |bundle: &Path| {
        let aside = bundle.join("aside.json");
        fs::rename(bundle.join("manifest.json"), &aside).expect("move");
        std::os::unix::fs::symlink(&aside, bundle.join("manifest.json")).expect("link");
    };
    original.refuses(&[], linked_manifest, &["manifest.json", "a symbolic link"]);
}

#[test]
fn manifests_with_the_hash_or_the_size_of_another_file() {
    let original = Original::new();
    let digest = |change: fn(&mut FileDigest)| {
        move |manifest: &mut Manifest| change(manifest.files.get_mut(OUTPUT).expect("entry"))
    };
    original.refuses_manifest(
        digest(|digest| digest.size -= 4),
        &[OUTPUT, "99968 bytes, expected 99964"],
    );
    original.refuses_manifest(
        digest(|digest| digest.blake3.replace_range(.., &"0".repeat(64))),
        &[OUTPUT, "BLAKE3 is"],
    );
    original.refuses_manifest(
        digest(|digest| digest.blake3.clear()),
        &[OUTPUT, "BLAKE3 is"],
    );
    original.refuses_manifest(
        |manifest| drop(manifest.files.remove(OUTPUT)),
        &[OUTPUT, "not listed under `files`"],
    );
}

#[test]
fn manifests_whose_parts_and_datasets_do_not_fit() {
    let original = Original::new();
    original.refuses_manifest(
        |manifest| manifest.parts.clear(),
        &["manifest.json: no part `submodel`; it has none"],
    );
    original.refuses_manifest(
        |manifest| manifest.datasets.clear(),
        &["no dataset `submodel_input`"],
    );
    original.refuses_manifest(
        |manifest| {
            manifest
                .datasets
                .get_mut("submodel_output")
                .expect("entry")
                .shape = vec![SAMPLES, usize::MAX, 2]
        },
        &["submodel_output.npy: shape [4, 65, 96], expected [4, 18446744073709551615, 2]"],
    );
    let submodel = |change: fn(&mut Part)| {
        move |manifest: &mut Manifest| change(manifest.parts.get_mut("submodel").expect("part"))
    };
    let edge = "of the submodel: expected [batch, 65, 96]";
    original.refuses_manifest(
        submodel(|part| part.outputs[0].shape[1] = Axis::Fixed(usize::MAX)),
        &["malformed", edge],
    );
    original.refuses_manifest(
        submodel(|part| part.outputs[0].shape.clear()),
        &["malformed manifest", edge],
    );
    original.refuses_manifest(
        submodel(|part| part.outputs[0].dtype = Dtype::Int64),
        &["model.onnx: outputs: expected"],
    );
    original.refuses_manifest(
        submodel(|part| part.inputs[0].dtype = Dtype::Uint8),
        &["part `submodel` takes `submodel_input` as uint8"],
    );
    original.refuses_manifest(
        submodel(|part| part.inputs.clear()),
        &["part `submodel` has no inputs or no outputs"],
    );
    original.refuses_manifest(
        submodel(|part| part.outputs.clear()),
        &["part `submodel` has no inputs or no outputs"],
    );
    let own_golden = submodel(|part| part.outputs.clone_from(&part.inputs));
    original.refuses_manifest(
        own_golden,
        &[
            "model.onnx: outputs: expected submodel_input",
            "found submodel_output",
        ],
    );
}

#[test]
fn manifests_with_a_version_or_a_number_that_is_none() {
    let original = Original::new();
    original.refuses_text(
        "\"format_version\": \"1.1\"",
        "\"format_version\": 1.0",
        &["manifest.json", "no format_version"],
    );
    original.refuses_text(
        "\"format_version\": \"1.1\"",
        "\"format_version\": \"9.0\"",
        &["format_version 9.0"],
    );
    original.refuses_text(
        "\"samples\": 4",
        "\"samples\": -4",
        &["manifest.json: malformed manifest", "-4"],
    );
    original.refuses_text(
        "\"samples\": 4",
        "\"samples\": 4e99",
        &["manifest.json: malformed manifest"],
    );
    original.refuses_text(
        "\"samples\": 4",
        "\"samples\": NaN",
        &["manifest.json: malformed manifest"],
    );
}

#[test]
fn manifests_in_which_a_key_stands_twice() {
    let original = Original::new();
    // A key that stands twice: which of the two counts would be each reader's own choice.
    for map in ["parts", "datasets", "files"] {
        let (name, first) = match map {
            "parts" => (
                "submodel",
                "{\"file\": \"\", \"inputs\": [], \"outputs\": [], \"initializers\": {}}",
            ),
            "datasets" => (
                "labels",
                "{\"file\": \"\", \"role\": \"other\", \"dtype\": \"int64\", \"shape\": []}",
            ),
            _ => (OUTPUT, "{\"size\": 0, \"blake3\": \"\", \"sha256\": \"\"}"),
        };
        let (from, to) = (
            format!("\"{map}\": {{"),
            format!("\"{map}\": {{\"{name}\": {first}, "),
        );
        original.refuses_text(
            &from,
            &to,
            &["manifest.json: malformed manifest", "duplicate key"],
        );
    }
    let (from, to) = (
        "\"module\": ",
        "\"module\": \"transformer.layers.3.1\", \"module\": ",
    );
    original.refuses_text(
        from,
        to,
        &[
            "manifest.json: malformed manifest",
            "duplicate field `module`",
        ],
    );
}

#[test]
fn manifests_that_are_no_text_of_some_length() {
    let original = Original::new();
    let not_text = |bundle: &Path| {
        fs::write(
            bundle.join("manifest.json"),
            b"{\"format_version\": \"\xff\"}",
        )
        .expect("write")
    };
    original.refuses(&[], not_text, &["manifest.json", "UTF-8"]);
    let endless = |bundle: &Path| {
        fs::write(bundle.join("manifest.json"), vec![b' '; (16 << 20) + 1]).expect("write")
    };
    original.refuses(&[], endless, &["manifest.json: longer than 16777216 bytes"]);
    let folder = |bundle: &Path| {
        fs::remove_file(bundle.join("manifest.json")).expect("remove");
        fs::create_dir(bundle.join("manifest.json")).expect("make");
    };
    original.refuses(&[], folder, &["manifest.json", "not a file"]);
}

#[test]
fn models_that_are_not_the_submodel() {
    let original = Original::new();
    let bytes = |change: fn(&mut Vec<u8>), texts: &[&str]| {
        original.refuses(
            &[],
            |bundle| forge(bundle, MODEL, change),
            &[&["submodel/model.onnx: "], texts].concat(),
        );
    };
    bytes(Vec::clear, &["not an ONNX model: it has no graph"]);
    bytes(
        |bytes| bytes.iter_mut().for_each(|byte| *byte = 0x5a),
        &["not an ONNX model"],
    );
    bytes(
        |bytes| bytes.extend_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        &["not an ONNX model"],
    );
}

#[test]
fn models_with_another_interface() {
    let original = Original::new();
    let interface = "model.onnx: inputs: expected submodel_input float32 [batch, 65, 96], found ";
    original.refuses_model(
        |model| {
            let mut second = graph(model).input[0].clone();
            second.name = Some("second".to_owned());
            graph(model).input.push(second);
        },
        &[interface, "second float32"],
    );
    original.refuses_model(
        |model| {
            let output = graph(model).input[0].clone();
            graph(model).output.push(output);
        },
        &[
            "model.onnx: outputs: expected submodel_output float32 [batch, 65, 96], found \
             submodel_output",
            "submodel_input",
        ],
    );
    original.refuses_model(
        |model| tensor_type(&mut graph(model).input[0]).elem_type = Some(DataType::Float16 as i32),
        &["submodel/model.onnx: "],
    );
    original.refuses_model(
        |model| {
            let shape = tensor_type(&mut graph(model).input[0])
                .shape
                .as_mut()
                .expect("shape");
            shape.dim.truncate(1);
        },
        &["submodel/model.onnx: "],
    );
}

/// What a runtime would read from other files, or run where nobody looks.
#[test]
fn models_that_are_more_than_a_graph_of_standard_operators() {
    let original = Original::new();
    let weights_elsewhere = TensorProto {
        data_location: Some(1),
        external_data: vec![StringStringEntryProto {
            key: Some("location".to_owned()),
            value: Some("elsewhere.bin".to_owned()),
        }],
        ..TensorProto::default()
    };
    original.refuses_model(
        |model| {
            model.functions.push(FunctionProto {
                name: Some("Mine".to_owned()),
                attribute_proto: vec![AttributeProto {
                    name: Some("weights".to_owned()),
                    t: Some(weights_elsewhere),
                    ..AttributeProto::default()
                }],
                ..FunctionProto::default()
            });
        },
        &["model.onnx: it defines the function \"Mine\""],
    );
    original.refuses_model(
        |model| {
            model.opset_import.push(OperatorSetIdProto {
                domain: Some("com.microsoft".to_owned()),
                version: Some(1),
            });
            let node = &mut graph(model).node[0];
            node.domain = Some("com.microsoft".to_owned());
            node.op_type = Some("EPContext".to_owned());
        },
        &["model.onnx: ", "com.microsoft"],
    );
    for branch in ["then_branch", "body"] {
        original.refuses_model(
            |model| {
                let inner = graph(model).clone();
                graph(model).node[1].attribute.push(AttributeProto {
                    name: Some(branch.to_owned()),
                    g: Some(inner),
                    ..AttributeProto::default()
                });
            },
            &["model.onnx: node ", "which holds a graph of its own"],
        );
    }
    original.refuses_model(
        |model| model.training_info.push(TrainingInfoProto::default()),
        &["model.onnx: it holds training information"],
    );
    original.refuses_model(
        |model| graph(model).initializer[0].name = Some("\u{1b}[2Jverdict\nPASS".to_owned()),
        &["model.onnx: it has control characters in the name \"\\u{1b}[2Jverdict\\nPASS\""],
    );
}

/// They would become names of files that are written.
#[test]
fn names_of_tensors_that_are_paths() {
    let original = Original::new();
    for name in [
        "../../elsewhere",
        "/tmp/elsewhere",
        "a/b",
        "",
        "1st",
        "a b",
        "ä",
    ] {
        original.refuses_manifest(
            |manifest| {
                let part = manifest.parts.get_mut("submodel").expect("a part");
                part.outputs[0].name = name.to_owned();
            },
            &["names a dataset, a part or a tensor"],
        );
    }
}

#[test]
fn models_that_the_runtime_cannot_load() {
    let original = Original::new();
    original.refuses_model(
        |model| {
            model.opset_import.push(OperatorSetIdProto {
                domain: Some("somebodys.own".to_owned()),
                version: Some(1),
            });
            graph(model).node[0].domain = Some("somebodys.own".to_owned());
        },
        &[
            "model.onnx: node ",
            "of the domain \"somebodys.own\"",
            "hint: a bundle's model is",
        ],
    );
    original.refuses_model(
        |model| graph(model).node[0].op_type = Some("Fantasy".to_owned()),
        &["model.onnx", "Fantasy"],
    );
    original.refuses_model(
        |model| model.opset_import[0].version = Some(9999),
        &["model.onnx: cannot be loaded", "9999"],
    );
    original.refuses_model(
        |model| drop(graph(model).initializer.remove(0)),
        &["model.onnx: cannot be loaded"],
    );
    original.refuses_model(
        |model| graph(model).initializer[0].dims = vec![-1, i64::MAX],
        &["model.onnx: cannot be loaded"],
    );
    original.refuses_model(
        |model| graph(model).initializer[0].dims = vec![i64::MAX, i64::MAX],
        &["model.onnx: cannot be loaded"],
    );
    original.refuses_model(
        |model| {
            let raw = graph(model).initializer[0]
                .raw_data
                .as_mut()
                .expect("weights");
            raw.truncate(raw.len() - 4);
        },
        &["model.onnx: cannot be loaded"],
    );
}

/// Makes a tensor point to another file, and gives the bytes that it held.
fn move_out(tensor: &mut TensorProto, entries: &[(&str, &str)]) -> Vec<u8> {
    let entry = |&(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    tensor.external_data = entries.iter().map(entry).collect();
    tensor.data_location = Some(1);
    tensor.raw_data.take().expect("weights")
}

/// Moves weights into a file that the manifest lists with a hash, as the part's external data or
/// as something else.
fn forge_listed(bundle: &Path, as_external: bool, entries: &[(&str, &str)]) {
    let listed = "onnx/submodel/w.bin";
    let mut raw = Vec::new();
    forge_model(bundle, |model| {
        raw = move_out(&mut graph(model).initializer[0], entries);
    });
    fs::write(bundle.join(listed), raw).expect("write");
    forge(bundle, listed, |_| ());
    forge_manifest(bundle, |manifest| {
        let part = manifest.parts.get_mut("submodel").expect("part");
        part.external_data = as_external.then(|| listed.to_owned());
    });
}

#[test]
fn weights_in_another_file_than_the_manifest_names() {
    let original = Original::new();
    let copy = original.folder.path().join("listed");
    run(Command::new("cp")
        .arg("-r")
        .arg(&original.bundle)
        .arg(&copy))
    .expect_status(0);
    forge_listed(&copy, true, &[("location", "w.bin")]);
    check(&copy, &[]).expect_status(0);

    let refuses = |as_external, entries: &[(&str, &str)], texts: &[&str]| {
        let texts = [&["model.onnx: tensor `to_qkv_weight`"], texts].concat();
        original.refuses(
            &[],
            |bundle| forge_listed(bundle, as_external, entries),
            &texts,
        );
    };
    refuses(
        false,
        &[("location", "w.bin")],
        &["the manifest names none beside the model"],
    );
    for elsewhere in [
        "../../npy/submodel_input.npy",
        "/etc/passwd",
        "./w.bin",
        "W.bin",
        "",
    ] {
        refuses(
            true,
            &[("location", elsewhere)],
            &[&format!(
                "is stored in {elsewhere:?}, but the manifest names"
            )],
        );
    }
    refuses(true, &[], &["is stored in \"\""]);
    for (offset, length) in [
        ("4", "110592"),
        ("0", "110593"),
        ("18446744073709551615", "1"),
        ("-4", "4"),
        ("x", "4"),
    ] {
        let entries = [
            ("location", "w.bin"),
            ("offset", offset),
            ("length", length),
        ];
        refuses(true, &entries, &["ends beyond the 110592 bytes"]);
    }
}

#[test]
fn weights_of_a_nodes_attribute_in_another_file() {
    let original = Original::new();
    original.refuses_model(
        |model| {
            let mut tensor = graph(model).initializer.remove(0);
            let name = tensor.name.clone();
            move_out(&mut tensor, &[("location", "w.bin")]);
            let attribute = proto::onnx::AttributeProto {
                name: Some("value".to_owned()),
                r#type: Some(proto::onnx::attribute_proto::AttributeType::Tensor as i32),
                t: Some(tensor),
                ..Default::default()
            };
            let constant = NodeProto {
                op_type: Some("Constant".to_owned()),
                output: name.into_iter().collect(),
                attribute: vec![attribute],
                ..NodeProto::default()
            };
            graph(model).node.insert(0, constant);
        },
        &["tensor `to_qkv_weight` is stored in another file, \"w.bin\""],
    );
}

#[test]
fn test_data_sets_without_what_was_recorded() {
    let original = Original::new();
    let file = "onnx/full/test_data_set_1/output_0.pb";
    let tensor = |change: fn(&mut TensorProto), texts: &[&str]| {
        let corrupt = |bundle: &Path| {
            forge(bundle, file, |bytes| {
                let mut tensor = TensorProto::decode(bytes.as_slice()).expect("tensor");
                change(&mut tensor);
                *bytes = tensor.encode_to_vec();
            });
        };
        original.refuses(&["--part", "full", "--test-data"], corrupt, texts);
    };
    tensor(
        |tensor| tensor.dims[0] = -1,
        &[file, "shape [-1, 10]", "expected float32 of shape [1, 10]"],
    );
    tensor(|tensor| tensor.dims = vec![2, 5], &[file, "shape [2, 5]"]);
    tensor(
        |tensor| tensor.data_type = Some(DataType::Int32 as i32),
        &[file, "type 6"],
    );
    tensor(
        |tensor| tensor.raw_data.as_mut().expect("data").truncate(39),
        &[file, "39 bytes"],
    );
    tensor(|tensor| tensor.raw_data = None, &[file, "0 bytes"]);
    let nan = |tensor: &mut TensorProto| {
        tensor.raw_data.as_mut().expect("data")[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    };
    tensor(nan, &["`logits` of sample 1 has NaN at element 1"]);
    let full = |corrupt: &dyn Fn(&Path), texts: &[&str]| {
        original.refuses(&["--part", "full", "--test-data"], corrupt, texts)
    };
    full(
        &|bundle| forge(bundle, file, |bytes| bytes.truncate(5)),
        &[file, "malformed"],
    );
    full(
        &|bundle| forge_manifest(bundle, |manifest| drop(manifest.files.remove(file))),
        &[file, "not listed"],
    );
    let sets = |sets: Vec<usize>| {
        move |bundle: &Path| {
            forge_manifest(bundle, |manifest| {
                manifest.parts.get_mut("full").expect("part").test_data_sets = sets.clone();
            });
        }
    };
    full(
        &sets(vec![0, 1, 2, 3]),
        &["test_data_set_3/input_0.pb", "not listed"],
    );
    full(&sets(vec![0, 1, 10_000]), &["`sample_index` has 10000"]);
    full(&sets(vec![]), &["no recorded tensors"]);
}
