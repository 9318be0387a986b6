//! The gates between a device asked for and a result, with a runtime that lies about where its
//! nodes ran and with a model that a real provider does not take whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{
    Ended, Program, bundle, check, forge, onnxruntime, openvino, python, root, run, scratch,
};

/// ONNX Runtime but for its profiles: `fixtures/profile_shim.c`.
fn shim(folder: &Path) -> PathBuf {
    let library = folder.join("libonnxruntime.so");
    let mut compile = Command::new("cc");
    compile
        .args(["-Wall", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&library);
    run(compile
        .arg(root().join("tests/tests/fixtures/profile_shim.c"))
        .arg("-ldl"))
    .expect_status(0);
    library
}

/// What `check` writes when nothing was compared: a report that says so and holds no result.
fn expect_no_result(report: &Path) {
    let text = fs::read_to_string(report).expect("report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&report["verdict"], &report["exit_status"]),
        (&"error".into(), &2.into()),
        "{text}"
    );
    assert!(report.get("result").is_none(), "{text}");
}

#[test]
fn a_profile_that_does_not_prove_the_device_is_never_a_pass() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let (library, report) = (shim(folder.path()), folder.path().join("report.json"));
    let profile = folder.path().join("profile.json");
    for (device, provider, runtime) in [
        ("cpu", "CPUExecutionProvider", onnxruntime()),
        ("openvino", "OpenVINOExecutionProvider", openvino()),
    ] {
        let command = |name: &str| {
            let mut command = Program::Verifier.command();
            command
                .arg(name)
                .env("SHIM_RUNTIME", &runtime)
                .arg("--runtime")
                .arg(&library);
            command
        };
        let check = |profile: Option<&Path>| -> Ended {
            let mut command = command("check");
            command
                .arg(&bundle)
                .args(["--device", device, "--report"])
                .arg(&report);
            run(command.envs(profile.map(|profile| ("SHIM_PROFILE", profile))))
        };
        let node = |provider: &str| {
            format!(
                r#"{{"cat":"Node","name":"n_kernel_time","args":{{"op_name":"MatMul","provider":"{provider}"}}}}"#
            )
        };
        // The shim lets a sound run through, and what it puts in the profile's place is what is
        // judged.
        check(None).expect_status(0).says(&format!("on {provider}"));
        fs::write(
            &profile,
            format!(
                "[{}]",
                [node(provider), node(provider), node(provider)].join(",")
            ),
        )
        .expect("write");
        check(Some(&profile))
            .expect_status(0)
            .says(&format!("3 nodes on {provider}"));

        let elsewhere = if device == "cpu" {
            "OpenVINOExecutionProvider"
        } else {
            "CPUExecutionProvider"
        };
        let one_elsewhere = format!(
            "[{},{},{}]",
            node(provider),
            node(elsewhere),
            node(provider)
        );
        let unplaced =
            r#"[{"cat":"Node","name":"qkv_kernel_time","args":{"op_name":"MatMul"}}]"#.to_owned();
        for (text, message) in [
            (
                one_elsewhere,
                format!("1 of 3 nodes ran on {elsewhere}, not on {provider}"),
            ),
            (
                format!("[{}]", node("")),
                "does not say where node `n_kernel_time` ran".to_owned(),
            ),
            (
                unplaced,
                "does not say where node `qkv_kernel_time` ran".to_owned(),
            ),
            ("[]".to_owned(), "names no node".to_owned()),
            (
                r#"[{"cat":"Session","name":"model_run"}]"#.to_owned(),
                "names no node".to_owned(),
            ),
            (String::new(), "cannot be read".to_owned()),
            (format!("[{},", node(provider)), "cannot be read".to_owned()),
        ] {
            fs::write(&profile, &text).expect("write");
            check(Some(&profile)).refuses(&[&format!("device `{device}`: "), &message]);
            expect_no_result(&report);
            run(command("calibrate")
                .arg(&bundle)
                .args(["--device", device])
                .env("SHIM_PROFILE", &profile))
            .refuses(&[&message]);
            let devices = run(command("devices").env("SHIM_PROFILE", &profile)).expect_status(0);
            let line = devices
                .stdout
                .lines()
                .find(|line| line.contains(provider))
                .expect("the device");
            assert!(
                line.contains("does not work: ") && line.contains(&message),
                "{devices}"
            );
        }
        check(Some(Path::new("")))
            .refuses(&["the runtime's profile cannot be read", "No such file"]);
        expect_no_result(&report);
    }
}

#[test]
fn a_model_that_openvino_does_not_take_whole_is_not_compared() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    // y + 0·det(yᵀy): the same numbers on the CPU, but OpenVINO has no determinant.
    let script = r#"
import sys, numpy, onnx
from onnx import helper, numpy_helper
model = onnx.load(sys.argv[1])
graph = model.graph
for node in graph.node:
    node.output[:] = ["y" if name == "submodel_output" else name for name in node.output]
graph.initializer.append(numpy_helper.from_array(numpy.zeros([], "float32"), "zero"))
graph.initializer.append(numpy_helper.from_array(numpy.array([-1, 1, 1], "int64"), "column"))
graph.node.extend([
    helper.make_node("Transpose", ["y"], ["yt"], perm=[0, 2, 1]),
    helper.make_node("MatMul", ["yt", "y"], ["square"]),
    helper.make_node("Det", ["square"], ["det"]),
    helper.make_node("Mul", ["det", "zero"], ["none"]),
    helper.make_node("Reshape", ["none", "column"], ["nothing"]),
    helper.make_node("Add", ["y", "nothing"], ["submodel_output"]),
])
onnx.checker.check_model(model)
onnx.save(model, sys.argv[1])
"#;
    let file = "onnx/submodel/model.onnx";
    python(script, &[&bundle.join(file)]).expect_status(0);
    forge(&bundle, file, |_| ());
    check(&bundle, &[]).expect_status(0);

    let report = folder.path().join("report.json");
    let mut command = Program::Verifier.command();
    command
        .arg("check")
        .arg(&bundle)
        .args(["--device", "openvino", "--runtime"])
        .arg(openvino());
    let ended = run(command.arg("--report").arg(&report))
        .refuses(&["cannot be loaded for device `openvino`"]);
    assert!(!ended.stdout.contains("compared"), "{ended}");
    expect_no_result(&report);
}

#[test]
fn openvino_runs_every_node_of_base_and_the_report_names_the_provider() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "base", 2);
    let report = folder.path().join("report.json");
    let mut command = Program::Verifier.command();
    command
        .arg("check")
        .arg(&bundle)
        .args(["--device", "openvino", "--runtime"])
        .arg(openvino());
    run(command.arg("--report").arg(&report)).expect_status(0);
    let report: Value =
        serde_json::from_str(&fs::read_to_string(&report).expect("report")).expect("JSON");
    let nodes = report["runtime"]["nodes"].as_object().expect("nodes");
    assert_eq!(
        nodes.keys().collect::<Vec<_>>(),
        ["OpenVINOExecutionProvider"],
        "{report}"
    );
    assert!(
        nodes.values().all(|count| count.as_u64() > Some(0)),
        "{report}"
    );
}
