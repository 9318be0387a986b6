//! Tiers and subsets: what the Python repository's `confidence.py` and `data_subset.py` choose.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{Ended, Program, bundle, check, export_command, forge, python, run, scratch, utf8};

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

fn exporter(arguments: &[&str], bundle: &Path) -> Ended {
    run(Program::Exporter
        .command()
        .arg(arguments[0])
        .arg(bundle)
        .args(&arguments[1..]))
}

#[test]
fn tiers_are_those_of_the_python_repository() {
    let folder = scratch();
    let bundle = forged(folder.path());
    for count in ["4", "5"] {
        let plot = folder.path().join("plot.svg");
        let arguments = ["tiers", "--tiers", count, "--json", "--plot", utf8(&plot)];
        let ended = exporter(&arguments, &bundle).expect_status(0);
        let rows: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let correct: Vec<String> = rows
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| row["correct"].to_string())
            .collect();
        python("count_tiers", &[&bundle, count.as_ref()])
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
    for sizes in [&["8", "4", "9", "5"][..], &["3", "0", "2", "1", "6"]] {
        let out = folder.path().join(format!("subset_{}", sizes.len()));
        let start = ["subset", "--mode", "conf", "--group_sizes"];
        let arguments = [&start, sizes, &["--raw", "--out", utf8(&out)]].concat();
        exporter(&arguments, &bundle)
            .expect_status(0)
            .says("correctly classified samples");
        let sizes = sizes.iter().map(Path::new);
        let arguments: Vec<&Path> = [bundle.as_path(), &out].into_iter().chain(sizes).collect();
        python("subset_by_confidence", &arguments)
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
    python("subset_by_range", &[&bundle, &out])
        .expect_status(0)
        .says("same rows");
    check(&out, &[]).expect_status(0).says("PASS");
}

#[test]
fn a_subset_of_the_folder_one_stands_in_goes_beside_it_and_has_its_own_float64_error() {
    let folder = scratch();
    let weights = tests::fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("bundle");
    let mut command = export_command(&weights, &bundle);
    run(command.args(["--samples", "6", "--golden", "f64"]))
        .expect_status(0)
        .says("of the test split");
    let subset = ["subset", ".", "--mode", "range", "--range", "4", "6"];
    run(Program::Exporter
        .command()
        .current_dir(&bundle)
        .args(subset))
    .expect_status(0);
    python("subset_of_float64", &[&folder.path().join("bundle_4_6")])
        .expect_status(0)
        .says("its own");
}

#[test]
fn what_cannot_be_chosen_is_refused() {
    let folder = scratch();
    let bundle = forged(folder.path());
    let out = folder.path().join("out");
    let refused = |arguments: &[&str], texts: &[&str]| {
        exporter(
            &[&["subset", "--out", utf8(&out)], arguments].concat(),
            &bundle,
        )
        .refuses(texts);
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
    let own = utf8(&bundle);
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
        exporter(&["tiers", "--plot", utf8(&plot)], &bundle).refuses(&[text]);
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
