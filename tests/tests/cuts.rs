//! Every module that can be cut out: head, submodel and tail joined compute what the full model
//! computes.

use std::fs;
use std::path::{Path, PathBuf};

use proto::npy::Npy;
use tests::{
    Program, export_command, fresh_weights, images, python, run, scratch, tiny_bundle, verify,
};

const KINDS: [&str; 5] = [".0.fn", ".0", ".1.fn", ".1", ""];

/// Writes a bundle of every kind of module at some layers, then compares the joined parts with the
/// whole in ONNX Runtime.
fn joined_parts_are_the_full_model(preset: &str, layers: [usize; 3], samples: usize) {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), preset);
    for layer in layers {
        for kind in KINDS {
            let module = format!("transformer.layers.{layer}{kind}");
            let bundle = folder.path().join("bundles").join(&module);
            let mut command = export_command(&weights, &bundle);
            command.args(["--samples", &samples.to_string(), "--module", &module]);
            run(&mut command).expect_status(0);
        }
    }
    let bundles = folder.path().join("bundles");
    python(
        "joined_parts",
        &[&bundles, &images().join("test_batch.bin")],
    )
    .expect_status(0)
    .says("15 cuts");
}

#[test]
fn every_cut_of_nano_joins_to_the_full_model() {
    joined_parts_are_the_full_model("nano", [0, 2, 3], 200);
}

#[test]
fn every_cut_of_tiny_joins_to_the_full_model() {
    // More take minutes: TINY_SAMPLES=200 cargo test --release --workspace --test cuts
    let samples = std::env::var("TINY_SAMPLES").map_or(4, |number| {
        number.parse().expect("TINY_SAMPLES is a number")
    });
    joined_parts_are_the_full_model("tiny", [0, 6, 11], samples);
}

#[test]
fn a_wrong_module_gets_the_list_and_the_nearest() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("bundle");
    let mut command = export_command(&weights, &bundle);
    run(command.args(["--module", "transformer.layer.3.1.fn"])).refuses(&[
        "unknown module",
        "K from 0 to 3",
        "transformer.layers.K.1.fn",
        "nearest is transformer.layers.3.1.fn",
    ]);
    assert!(!bundle.exists());
}

/// With its optimisations off, ONNX Runtime gives the same bits for a graph that is cut at an edge
/// as for the whole; with them, fusions differ by rounding.
fn cut_and_uncut_agree(bundle: &Path, part: &str, rounding: f32, folder: &Path) {
    let sites = run(Program::Verifier
        .command()
        .args(["inspect", "--sites", part])
        .arg(bundle));
    let sites = sites.expect_status(0).stdout.clone();
    let edges = sites.lines().filter_map(|line| {
        let (name, shape) = line.trim().split_once(' ')?;
        let axes = shape.split_once(']')?.0.matches(['[', ',']).count();
        name.starts_with("edge:").then(|| (name.to_owned(), axes))
    });
    let edges: Vec<(String, usize)> = edges.collect();
    assert!(edges.len() > 3, "{sites}");
    for optimization in ["none", "all"] {
        let uncut = outputs_of(bundle, part, optimization, None, &folder.join("uncut"));
        for (edge, axes) in &edges {
            // In sample 0: the other ones pass the cut as they are.
            let fault = format!("{edge}[{}]^31", vec!["0"; axes + 1].join(","));
            let cut = outputs_of(
                bundle,
                part,
                optimization,
                Some(&fault),
                &folder.join("cut"),
            );
            assert_eq!(uncut.len(), cut.len());
            for (whole, cut) in uncut.iter().zip(&cut) {
                let pairs = || whole.iter().zip(cut);
                match optimization {
                    "none" => assert!(pairs().all(|(a, b)| a.to_bits() == b.to_bits()), "{edge}"),
                    _ => assert!(pairs().all(|(a, b)| (a - b).abs() <= rounding), "{edge}"),
                }
            }
        }
    }
}

const ROUNDING: f32 = 1e-6;
/// Of logits, which reach 5, where a float32's last bit is 4.8e-7: four of them.
const ROUNDING_OF_LOGITS: f32 = 2e-6;

/// By file, the elements of samples 1 to 3.
fn outputs_of(
    bundle: &Path,
    part: &str,
    optimization: &str,
    fault: Option<&str>,
    folder: &Path,
) -> Vec<Vec<f32>> {
    let mut arguments = vec!["--part", part, "--optimization", optimization];
    arguments.extend(["--no-tail", "--range", "0", "4", "--save-outputs"]);
    arguments.push(folder.to_str().expect("a name of a folder"));
    arguments.extend(fault.map(|fault| ["--fault", fault]).into_iter().flatten());
    let ended = verify("check", bundle, &arguments);
    assert!(ended.status < 2, "{ended}");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("outputs")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "npy"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    let elements = files.iter().map(|file| {
        let npy = Npy::<f32>::open(file).expect("an array");
        npy.rows(1..4).expect("samples").to_vec()
    });
    let elements = elements.collect();
    fs::remove_dir_all(folder).expect("remove");
    elements
}

#[test]
fn every_edge_of_every_kind_of_module_can_be_cut_without_a_trace() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    for kind in KINDS {
        let module = format!("transformer.layers.1{kind}");
        let bundle = folder.path().join(&module);
        let mut command = export_command(&weights, &bundle);
        command.args(["--samples", "4", "--module", &module]);
        run(&mut command).expect_status(0);
        cut_and_uncut_agree(&bundle, "submodel", ROUNDING, folder.path());
    }
}

#[test]
fn every_edge_of_every_part_can_be_cut_without_a_trace() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    for (part, rounding) in [
        ("head", ROUNDING),
        ("tail", ROUNDING_OF_LOGITS),
        ("full", ROUNDING_OF_LOGITS),
    ] {
        cut_and_uncut_agree(&bundle, part, rounding, folder.path());
    }
}
