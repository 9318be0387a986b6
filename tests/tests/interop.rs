//! Other people's tools open a bundle unchanged and get the golden outputs: NumPy, safetensors,
//! ONNX's checker, evaluator and test loader, ONNX Runtime, OpenVINO, Polygraphy, sha256sum.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proto::npy::{Dtype, Header};
use tests::{
    Ended, PARTS, Program, bundle, check, export_command, fresh_weights, images, polygraphy,
    python, python_of_all_parts, root, run, scratch, utf8,
};

/// Runs a script on a bundle of `nano`, and expects it to say a line of this kind for each part.
fn expect_of_all_parts(script: &str, line: &str) {
    let folder = scratch();
    python_of_all_parts(script, &bundle(folder.path(), "nano", 4), line);
}

#[test]
fn the_checker_and_the_reference_evaluator_accept_all_parts() {
    expect_of_all_parts("reference_evaluator", "accepted ");
}

#[test]
fn onnx_runtime_and_openvino_run_all_parts() {
    expect_of_all_parts("onnxruntime_and_openvino", "ran ");
}

#[test]
fn onnxs_own_test_loader_runs_the_data_sets() {
    expect_of_all_parts("onnx_test_loader", "passed test_");
}

#[test]
fn the_onnx_checker_accepts_all_parts_and_names_are_identifiers() {
    expect_of_all_parts("onnx_checker", "accepted ");
}

#[test]
fn the_submodel_can_be_cut_from_the_full_model_again() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    for module in [
        "transformer.layers.0.0.fn",
        "transformer.layers.2",
        "transformer.layers.3.1",
    ] {
        let bundle = folder.path().join(module);
        let mut command = export_command(&weights, &bundle);
        run(command.args(["--samples", "16", "--module", module])).expect_status(0);
        python("extract_submodel", &[&bundle])
            .expect_status(0)
            .says("same outputs");
    }
}

#[test]
fn the_full_model_computes_the_golden_logits_from_the_images() {
    // The one pools by the mean, the other by its class token and from resized images.
    for (preset, samples) in [("nano", 100), ("tiny", 2)] {
        let folder = scratch();
        let bundle = bundle(folder.path(), preset, samples);
        python("full_model", &[&bundle, &images().join("test_batch.bin")])
            .expect_status(0)
            .says("same logits");
    }
}

#[test]
fn the_preprocessing_gives_torchvisions_bits_for_all_test_images() {
    // The one takes the images as they are, the other resizes them.
    for (preset, image_size) in [("nano", 32), ("tiny", 224)] {
        let folder = scratch();
        let weights = fresh_weights(folder.path(), preset);
        let bundle = folder.path().join("bundle");
        let mut command = export_command(&weights, &bundle);
        command.args(["--samples", "0", "--parts", "preprocess,submodel"]);
        run(&mut command).expect_status(0);
        let images = images().join("test_batch.bin");
        let digests = root().join("trainer/tests/fixtures/preprocessing_10000.json");
        python("preprocess", &[&bundle, &images, &digests])
            .expect_status(0)
            .says(&format!("all bits {image_size}"))
            .says(&format!("reference {image_size}"));
    }
}

#[test]
fn onnx_runtime_in_python_gives_the_verifiers_outputs() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 100);
    let report = folder.path().join("report.json");
    let arguments = ["--batch-size", "32", "--report", utf8(&report)];
    check(&bundle, &arguments).expect_status(0);
    python("verifier_outputs", &[&bundle, &report])
        .expect_status(0)
        .says("same outputs");
}

#[test]
fn numpy_reads_every_array_and_would_write_the_same_bytes() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 30);
    python("numpy_arrays", &[&bundle, &images().join("test_batch.bin")])
        .expect_status(0)
        .says("8 arrays");
}

#[test]
fn numpys_header_is_ours_whatever_the_shape() {
    let folder = scratch();
    let shapes = [
        vec![],
        vec![0],
        vec![7],
        vec![10_000],
        vec![1, 1],
        vec![10_000, 197, 768],
        vec![1_000_000_007],
        vec![3, 0, 2],
        vec![123_456, 123_456, 12_345, 1],
        vec![1; 12],
        vec![10_000, 65, 96, 123_456, 7, 7],
    ];
    let mut text = String::new();
    for (number, shape) in shapes.into_iter().enumerate() {
        text.push_str(&format!("{shape:?}\n"));
        let dtype = Dtype::Float32;
        let header = Header { dtype, shape };
        let file = folder.path().join(number.to_string());
        fs::write(file, header.to_bytes()).expect("write");
    }
    fs::write(folder.path().join("shapes"), text).expect("write");
    python("npy_headers", &[folder.path()])
        .expect_status(0)
        .says("same");
}

#[test]
fn the_submodels_weights_bear_the_python_repositorys_names() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    python("submodel_weights", &[&bundle])
        .expect_status(0)
        .says("same outputs");
}

#[test]
fn sha256sum_accepts_the_bundle() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    run(Command::new("sha256sum")
        .current_dir(&bundle)
        .args(["--check", "--strict", "SHA256SUMS"]))
    .expect_status(0)
    .says("manifest.json: OK")
    .says("npy/submodel_output.npy: OK");
}

#[test]
fn polygraphy_runs_all_parts_and_finds_a_changed_golden() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    python("polygraphy_files", &[&bundle, folder.path()]).expect_status(0);
    for part in PARTS {
        let file = |name: &str| folder.path().join(format!("{part}_{name}.json"));
        let model = format!("onnx/{part}/model.onnx");
        for (golden, passes) in [("golden", true), ("changed", false)] {
            let (inputs, outputs) = (file("inputs"), file(golden));
            let files = [
                "--load-inputs",
                utf8(&inputs),
                "--load-outputs",
                utf8(&outputs),
            ];
            let start = [
                "run", &model, "--onnxrt", "--atol", "2e-5", "--rtol", "1e-5",
            ];
            let ended = polygraphy(&bundle, &[&start[..], &files].concat());
            assert_eq!(ended.status == 0, passes, "{part} {golden}\n{ended}");
        }
    }
}

#[test]
fn a_model_too_large_for_one_file_keeps_its_weights_beside_it() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("bundle");
    let mut command = export_command(&weights, &bundle);
    run(command.args(["--samples", "4", "--largest-model", "200000"])).expect_status(0);
    assert!(bundle.join("onnx/full/model.onnx.data").is_file());
    python("external_weights", &[&bundle])
        .expect_status(0)
        .says("same logits");
}

#[test]
fn raw_arrays_and_the_float64_golden_agree_with_numpy() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let indices = folder.path().join("indices.txt");
    fs::write(&indices, "49999 0\n7 # a frog\n7\n").expect("write");
    let bundle: PathBuf = folder.path().join("bundle");
    let mut command = export_command(&weights, &bundle);
    command.args(["--split", "train", "--golden", "f64", "--raw"]);
    command.args(["--parts", "submodel", "--indices"]);
    run(command.arg(&indices)).expect_status(0);
    python("raw_and_float64", &[&bundle, &images()])
        .expect_status(0)
        .says("same");
}

#[test]
fn inspect_shows_every_array_that_numpy_saves() {
    let folder = scratch();
    python("any_arrays", &[folder.path()]).expect_status(0);
    let inspect = |name: &str| {
        let path = folder.path().join(name);
        let ended = Program::Verifier.run(["inspect".as_ref(), path.as_os_str()]);
        ended.expect_status(0)
    };
    inspect("fortran.npy")
        .says("float32 (<f4)")
        .says("[2, 3], Fortran order (column by column)")
        .says("values       0, 1, 2, 3, 4, 5")
        .says("convert      numpy.save(NEW, numpy.ascontiguousarray(");
    inspect("big.npy")
        .says("float32, big endian (>f4)")
        .says("0, 1, 2, 3, 4, 5");
    inspect("half.npy")
        .says("float16 (<f2)")
        .says("0.5, -2, 65504");
    inspect("mask.npy").says("bool (|b1)").says("true, false");
    inspect("record.npy")
        .says("record of index (int16), point (float32 [2])")
        .says("(7, [0.5, 1.5])");
    inspect("text.npy")
        .says("3 characters")
        .says("\"cat\", \"dog\"");
    inspect("scalar.npy").says("shape        []").says("0.1");
    inspect("date.npy")
        .says("datetime64")
        .says("2000-02-29T12:00:00.000000007");
    inspect("long.npy").says("values       not shown: long double");
    inspect("far.npy")
        .says("[2000, 100, 2], Fortran order")
        .says("values       0, 1, 2, 3, 4, 5, …");
    inspect("objects.npy").says("Python objects, as a pickle");
    inspect("version_2.npy").says("(NPY 2.0)").says("float64");
    inspect("version_3.npy").says("(NPY 3.0)").says("float64");
    inspect("some.npz")
        .says("(10 entries)")
        .says("far                  uint8    [2000, 100, 2], Fortran order")
        .says("  0, 1, 2, 3, 4, 5, …")
        .says("fortran              float32  [2, 3], Fortran order")
        .says("half                 float16  [3]");

    let tensors = root().join("trainer/tests/fixtures/layouts/metadata.safetensors");
    Program::Verifier
        .run(["inspect".as_ref(), tensors.as_os_str()])
        .expect_status(0)
        .says("metadata     format: pt")
        .says("module.cls_token")
        .says("[1, 1, 8]");
    let checkpoint = root().join("trainer/tests/fixtures/checkpoint.pth");
    Program::Verifier
        .run(["inspect".as_ref(), checkpoint.as_os_str()])
        .expect_status(0)
        .says("checkpoint   ")
        .says("saved        dict of ")
        .says(&row("epoch", "7"))
        .says(&row(
            "model_state_dict.pos_embedding",
            "float32  [1, 17, 32]",
        ));
    let beside = root().join("trainer/tests/fixtures/layouts/beside.pth");
    inspect_path(&beside)
        .expect_status(0)
        .says(&row("best_acc", "NumPy scalar"))
        .says(&row("args", "argparse.Namespace"));
}

#[test]
fn inspect_goes_by_what_is_in_a_file_and_not_by_its_name() {
    let folder = scratch();
    let named = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("write");
        inspect_path(&path)
    };
    let layouts = root().join("trainer/tests/fixtures/layouts");
    let fixture = |name: &str| fs::read(layouts.join(name)).expect("read");
    named("weights.npy", &fixture("net.pth"))
        .expect_status(0)
        .says("net.pos_embedding");
    named("weights.pth", &fixture("plain.safetensors"))
        .expect_status(0)
        .says("tensors      ");
    named("page.pth", b"<!DOCTYPE html><html>").refuses(&["found a web page (HTML)"]);
    named("page.npy", b"<!DOCTYPE html><html>").refuses(&["found a web page (HTML)"]);
    named("old.pt", &fixture("before_1_6.pth")).refuses(&["PyTorch before 1.6"]);
    named("random.npz", &[7; 40]).refuses(&["not an ONNX model, and of no other kind"]);
}

fn inspect_path(path: &Path) -> Ended {
    Program::Verifier.run(["inspect".as_ref(), path.as_os_str()])
}

/// A line about an entry of a checkpoint.
fn row(name: &str, what: &str) -> String {
    format!("  {name:<60} {what}")
}
