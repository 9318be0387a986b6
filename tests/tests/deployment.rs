//! Models for tools that read nothing newer than opset 13, or no free first axis.

use std::path::{Path, PathBuf};

use tests::{
    Program, check, export_command, fresh_weights, python, python_command, python_of_all_parts,
    python_with_older_runtime, run, scratch, tests_script, utf8, verify,
};

const VARIANTS: [(&str, &[&str]); 3] = [
    ("opset_13", &["--opset", "13"]),
    ("batch", &["--fixed-batch", "4"]),
    ("both", &["--opset", "13", "--fixed-batch", "4"]),
];

/// A bundle of six samples as anybody has it, and one of each variant, of the same weights.
fn bundles(folder: &Path) -> (PathBuf, Vec<PathBuf>) {
    let weights = fresh_weights(folder, "nano");
    let written = |(name, flags): (&str, &[&str])| {
        let bundle = folder.join(name);
        let mut command = export_command(&weights, &bundle);
        run(command.args(["--samples", "6"]).args(flags)).expect_status(0);
        bundle
    };
    (written(("plain", &[])), VARIANTS.map(written).into())
}

#[test]
fn models_for_other_tools_compute_the_same_golden() {
    let folder = scratch();
    let (plain, variants) = bundles(folder.path());
    for bundle in &variants {
        python("same_golden", &[&plain, bundle])
            .expect_status(0)
            .says("same golden");
        python_of_all_parts("onnx_checker", bundle, "accepted ");
        python_of_all_parts("reference_evaluator", bundle, "accepted ");
        python_of_all_parts("onnxruntime_and_openvino", bundle, "ran ");
        python_of_all_parts("onnx_test_loader", bundle, "passed test_");
        check(bundle, &["--part", "full"])
            .expect_status(0)
            .says("6 samples");
    }
}

#[test]
fn an_older_onnx_runtime_computes_the_same_golden() {
    let folder = scratch();
    let (_, variants) = bundles(folder.path());
    let runtimes = [
        ("1.20.1", python_with_older_runtime()),
        ("1.31.1", python_command()),
    ];
    for (version, mut command) in runtimes {
        command.arg(tests_script("by_runtime")).arg(version);
        run(command.args(&variants))
            .expect_status(0)
            .says("same golden");
    }
}

#[test]
fn the_verifier_fills_up_the_last_fixed_batch() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("bundle");
    let mut command = export_command(&weights, &bundle);
    run(command.args(["--samples", "6", "--fixed-batch", "4"])).expect_status(0);
    for part in ["submodel", "full", "head", "tail"] {
        check(&bundle, &["--part", part])
            .expect_status(0)
            .says("6 samples");
    }
    check(&bundle, &["--part", "tail", "--test-data"])
        .expect_status(0)
        .says("4 samples");
    check(&bundle, &["--batch-size", "4", "--range", "5", "6"])
        .expect_status(0)
        .says("PASS");
    check(&bundle, &["--fault", "output[5,1,1]=1"])
        .expect_status(1)
        .says("1 of 6 samples are faulty");
    check(&bundle, &["--batch-size", "3"]).refuses(&["--batch-size 3", "a batch of 4"]);
    for command in ["compare", "calibrate"] {
        verify(command, &bundle, &["--range", "0", "5"])
            .expect_status(0)
            .says("5 samples");
    }
    verify("calibrate", &bundle, &["--batch-size", "3"]).refuses(&["a batch of 4"]);
    verify("compare", &bundle, &["--batch-size", "3"])
        .expect_status(2)
        .says("a batch of 4");
    verify("bench", &bundle, &["--runs", "2", "--warmup", "1"]).expect_status(0);

    let subset = folder.path().join("subset");
    let arguments = [
        "--mode",
        "range",
        "--range",
        "1",
        "4",
        "--out",
        utf8(&subset),
    ];
    run(Program::Exporter
        .command()
        .arg("subset")
        .arg(&bundle)
        .args(arguments))
    .expect_status(0);
    check(&subset, &[]).expect_status(0).says("3 samples");
}

#[test]
fn a_fixed_batch_that_no_test_data_set_can_be_filled_with_is_refused() {
    let folder = scratch();
    let weights = fresh_weights(folder.path(), "nano");
    let bundle = folder.path().join("bundle");
    let few = ["--samples", "3", "--fixed-batch", "4"];
    run(export_command(&weights, &bundle).args(few))
        .refuses(&["a test data set holds 4 samples", "--samples 4 or more"]);
    let without = ["--test-data-sets", "0"];
    run(export_command(&weights, &bundle).args(few).args(without)).expect_status(0);
    check(&bundle, &[]).expect_status(0).says("3 samples");
    for flags in [
        ["--opset", "16"],
        ["--fixed-batch", "0"],
        ["--fixed-batch", "1025"],
    ] {
        run(export_command(&weights, &bundle).args(flags)).refuses(&[flags[0], flags[1]]);
    }
}
