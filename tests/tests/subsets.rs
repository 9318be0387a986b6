//! Tiers and subsets: what the Python repository's `confidence.py` and `data_subset.py` choose.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{Program, bundle, check, forge, python, run, scratch};

const SAMPLES: usize = 120;

/// A bundle whose confidences lie on and beside the bounds of tiers, many of them equal, a third of
/// them incorrect.
fn forged(folder: &Path) -> PathBuf {
    let bundle = bundle(folder, "nano", SAMPLES);
    let around = |bound: f32| {
        [
            bound,
            f32::from_bits(bound.to_bits() + 1),
            f32::from_bits(bound.to_bits().saturating_sub(1)),
        ]
    };
    let bounds = [0.2, 0.25, 0.4, 0.5, 0.6, 0.75, 0.8]
        .into_iter()
        .flat_map(around);
    let values: Vec<f32> = bounds.chain([0.0, 1.0, 0.1, 0.95]).collect();
    let confidence =
        (0..SAMPLES).flat_map(|sample| values[sample * 7 % values.len()].to_le_bytes());
    let mut bytes: Vec<u8> = confidence.collect();
    forge(&bundle, "npy/confidence.npy", |file| {
        file.truncate(file.len() - SAMPLES * 4);
        file.append(&mut bytes);
    });
    let labels = std::fs::read(bundle.join("npy/labels.npy")).expect("read");
    forge(&bundle, "npy/predictions.npy", |file| {
        *file = labels;
        let start = file.len() - SAMPLES * 8;
        for sample in (0..SAMPLES).step_by(3) {
            let at = start + sample * 8;
            file[at] = (file[at] + 1) % 10;
        }
    });
    bundle
}

fn exporter(arguments: &[&str], bundle: &Path) -> tests::Ended {
    run(Program::Exporter
        .command()
        .arg(arguments[0])
        .arg(bundle)
        .args(&arguments[1..]))
}

/// The rules as the description of the Python repository has them, line for line, on float32
/// confidences.
const TRANSCRIPTION: &str = r#"
import json, pathlib, sys, numpy
bundle = pathlib.Path(sys.argv[1])
confidence, labels, predictions = (numpy.load(bundle / f"npy/{name}.npy") for name in ("confidence", "labels", "predictions"))
def tiers_of(count):
    bounds = [numpy.float32(b) for b in ({4: [.25, .5, .75, 1], 5: [.2, .4, .6, .8, 1]}[count])]
    groups = [[] for _ in bounds]
    for index in range(len(confidence)):
        if predictions[index] == labels[index]:
            for group, bound in zip(groups, bounds):
                if confidence[index] <= bound:
                    group.append(index)
                    break
    return groups
"#;

#[test]
fn tiers_are_those_of_the_python_repository() {
    let folder = scratch();
    let bundle = forged(folder.path());
    for count in ["4", "5"] {
        let plot = folder.path().join("plot.svg");
        let arguments = [
            "tiers",
            "--tiers",
            count,
            "--json",
            "--plot",
            plot.to_str().expect("text"),
        ];
        let ended = exporter(&arguments, &bundle).expect_status(0);
        let rows: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let correct: Vec<String> = rows
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| row["correct"].to_string())
            .collect();
        let script = format!(
            "{TRANSCRIPTION}\nprint('counts', *[len(group) for group in tiers_of({count})])"
        );
        python(&script, &[&bundle])
            .expect_status(0)
            .says(&format!("counts {}", correct.join(" ")));
        assert!(
            std::fs::read_to_string(&plot)
                .expect("read")
                .contains("incorrect (40)")
        );
        exporter(&["tiers", "--tiers", count], &bundle)
            .expect_status(0)
            .says("66.67 %");
    }
}

#[test]
fn a_subset_by_confidence_holds_the_rows_that_the_python_repository_takes() {
    let folder = scratch();
    let bundle = forged(folder.path());
    for sizes in [vec!["8", "4", "9", "5"], vec!["3", "0", "2", "1", "6"]] {
        let out = folder.path().join(format!("subset_{}", sizes.len()));
        let mut arguments = vec!["subset", "--mode", "conf", "--group_sizes"];
        arguments.extend(&sizes);
        let text = out.to_str().expect("text");
        arguments.extend(["--raw", "--out", text]);
        exporter(&arguments, &bundle)
            .expect_status(0)
            .says("correctly classified samples");
        let script = format!(
            r#"{TRANSCRIPTION}
subset = pathlib.Path(sys.argv[2])
sizes = [{sizes}]
rows = [index for group, size in zip(tiers_of(len(sizes)), sizes) for index in group[:size]]
assert len(rows) == sum(sizes)
for file in sorted((bundle / "npy").iterdir()):
    assert (numpy.load(subset / "npy" / file.name) == numpy.load(file)[rows]).all(), file
assert numpy.load(subset / "npy/tier.npy").tolist() == [tier for tier, size in enumerate(sizes) for _ in range(size)]
manifest = json.load(open(subset / "manifest.json"))
assert manifest["selection"]["subset"]["group_sizes"] == sizes and manifest["selection"]["subset"]["mode"] == "conf"
assert manifest["tiers"]["correct"] == sizes and manifest["accuracy"] == {{"samples": len(rows), "correct": len(rows)}}
for file in (subset / "npy").iterdir():
    array = numpy.load(file)
    assert (numpy.fromfile(subset / f"raw/{{file.stem}}.bin", array.dtype) == array.ravel()).all()
print("same rows")
"#,
            sizes = sizes.join(", ")
        );
        python(&script, &[&bundle, &out])
            .expect_status(0)
            .says("same rows");
        check(&out, &[]).expect_status(0).says("PASS");
    }
}

#[test]
fn a_subset_by_range_holds_consecutive_rows_and_names_its_source() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 40);
    let out = folder.path().join("bundle_8_24");
    exporter(
        &["subset", "--mode", "range", "--range", "8", "24"],
        &bundle,
    )
    .expect_status(0);
    let script = r#"
import json, pathlib, sys, numpy
bundle, subset = map(pathlib.Path, sys.argv[1:3])
for file in (bundle / "npy").iterdir():
    assert (numpy.load(subset / "npy" / file.name) == numpy.load(file)[8:24]).all(), file
manifest = json.load(open(subset / "manifest.json"))["selection"]["subset"]
assert (manifest["mode"], manifest["start"], manifest["end"], manifest["of_samples"]) == ("range", 8, 24, 40)
assert (subset / "onnx/full/model.onnx").read_bytes() == (bundle / "onnx/full/model.onnx").read_bytes()
print("same rows")
"#;
    python(script, &[&bundle, &out])
        .expect_status(0)
        .says("same rows");
    check(&out, &[]).expect_status(0).says("PASS");
}

#[test]
fn a_subset_of_the_folder_one_stands_in_goes_beside_it_and_has_its_own_float64_error() {
    let folder = scratch();
    let weights = tests::fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("bundle");
    let mut command = Program::Exporter.command();
    command
        .arg("bundle")
        .arg("--weights")
        .arg(&weights)
        .arg("--data")
        .arg(tests::data())
        .arg("--out")
        .arg(&bundle);
    run(command.args(["--samples", "6", "--golden", "f64"]))
        .expect_status(0)
        .says("of the test split");
    let subset = ["subset", ".", "--mode", "range", "--range", "4", "6"];
    run(Program::Exporter
        .command()
        .current_dir(&bundle)
        .args(subset))
    .expect_status(0);
    let script = r#"
import json, pathlib, sys, numpy
bundle = pathlib.Path(sys.argv[1])
exact, golden = (numpy.load(bundle / f"npy/{name}.npy") for name in ("submodel_output_f64", "submodel_output"))
manifest = json.load(open(bundle / "manifest.json"))
assert len(golden) == 2 and manifest["golden"]["float64"]["largest_error"] == abs(exact - golden).max()
text = (bundle / "README.md").read_text()
assert manifest["selection"]["subset"]["of"] in text and "images [0, 1, 2] of the test split" in text, text
print("its own")
"#;
    python(script, &[&folder.path().join("bundle_4_6")])
        .expect_status(0)
        .says("its own");
}

#[test]
fn what_cannot_be_chosen_is_refused() {
    let folder = scratch();
    let bundle = forged(folder.path());
    let out = folder.path().join("out");
    let refused = |arguments: &[&str], texts: &[&str]| {
        let mut all = vec!["subset", "--out", out.to_str().expect("text")];
        all.extend(arguments);
        exporter(&all, &bundle).refuses(texts);
        assert!(!out.exists(), "{arguments:?}");
    };
    refused(
        &["--mode", "conf", "--group-sizes", "64", "64", "128", "256"],
        &["in each of 4 tiers", "would work"],
    );
    refused(&["--mode", "conf", "--group-sizes", "-1", "2"], &["'-1'"]);
    refused(
        &["--mode", "conf", "--group-sizes", "1", "2", "--tiers", "4"],
        &["expected 4"],
    );
    refused(
        &["--mode", "conf", "--group-sizes", "0", "0"],
        &["no sample"],
    );
    refused(&["--mode", "conf", "--range", "0", "5"], &["--group-sizes"]);
    refused(
        &["--mode", "range", "--range", "0", "121"],
        &["END at most 120"],
    );
    refused(&["--mode", "range", "--range", "9", "9"], &["START < END"]);
    refused(&["--mode", "range", "--range", "0"], &["2 values"]);
    let own = bundle.to_str().expect("text");
    run(Program::Exporter.command().args([
        "subset", own, "--mode", "range", "--range", "0", "5", "--force", "--out", own,
    ]))
    .refuses(&["the bundle itself"]);
    assert!(bundle.join("manifest.json").is_file());
    let inside = bundle.join("further/out");
    run(Program::Exporter
        .command()
        .args([
            "subset", own, "--mode", "range", "--range", "0", "5", "--out",
        ])
        .arg(&inside))
    .refuses(&["inside the bundle"]);
    let logits = bundle.join("npy/logits.npy");
    for (plot, text) in [
        (logits, "expected .svg"),
        (inside.with_file_name("x.svg"), "inside the bundle"),
    ] {
        exporter(&["tiers", "--plot", plot.to_str().expect("text")], &bundle).refuses(&[text]);
    }
    assert!(!bundle.join("further").exists());
    exporter(&["tiers", "--plot", "/nonexistent/x.svg"], &bundle).refuses(&["no such folder"]);
    tests::forge_manifest(&bundle, |manifest| {
        manifest.format_version = "2.0".to_owned()
    });
    refused(
        &["--mode", "range", "--range", "0", "5"],
        &["format_version 2.0"],
    );
    exporter(&["tiers"], &bundle).refuses(&["format_version 2.0"]);
}
