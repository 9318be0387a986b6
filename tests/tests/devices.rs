//! A device asked for is a device used, or the exit status is 2. OpenVINO stands for every device
//! but the CPU.

use std::path::Path;
use std::process::Command;

use tests::{Program, bundle, openvino, read_json, run, scratch};

#[test]
fn cuda_is_the_default_and_its_absence_is_an_error_that_says_what_to_do() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let report = folder.path().join("report.json");
    for arguments in [&[][..], &["--device", "cuda"]] {
        let mut command = Program::Verifier.command();
        command.arg("check").arg(&bundle).args(arguments);
        let not_enabled = "not enabled in this build";
        let ended = run(command.arg("--report").arg(&report)).refuses(&[
            "CUDAExecutionProvider",
            not_enabled,
            "--device cpu",
        ]);
        assert_eq!(ended.stdout, "", "nothing that reads like a result");
        let report = read_json(&report);
        assert_eq!(report["verdict"], "error");
        assert_eq!(report["exit_status"], 2);
        assert!(report.get("result").is_none(), "{report:#}");
    }
}

/// `verifier check` on a device.
fn check_on(device: &str, bundle: &Path) -> Command {
    let mut command = Program::Verifier.command();
    command.arg("check").arg(bundle).args(["--device", device]);
    command
}

#[test]
fn openvino_runs_every_node_and_proves_it() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 40);
    let mut command = check_on("openvino", &bundle);
    let ended = run(command.arg("--runtime").arg(openvino()))
        .expect_status(0)
        .says("ONNX Runtime 1.24.1")
        .says("on OpenVINOExecutionProvider");
    assert!(!ended.stdout.contains("CPUExecutionProvider"), "{ended}");
    run(command.arg("--atol=0").arg("--rtol=0"))
        .expect_status(1)
        .says("FAIL");
}

#[test]
fn openvino_in_a_build_without_it_is_an_error() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    run(&mut check_on("openvino", &bundle)).refuses(&["OpenVINOExecutionProvider", "--device cpu"]);
    for (device, provider) in [
        ("xnnpack", "XnnpackExecutionProvider"),
        ("gpu", "gpuExecutionProvider"),
    ] {
        run(&mut check_on(device, &bundle)).refuses(&[provider, "could not be created"]);
    }
    run(check_on("cpu", &bundle).args(["--device-id", "1"])).refuses(&["--device-id"]);
}

#[test]
fn devices_are_listed_and_tried() {
    let mut command = Program::Verifier.command();
    run(command.arg("devices"))
        .expect_status(0)
        .says("ONNX Runtime 1.31.1")
        .says("cpu (CPUExecutionProvider)");
    let ended = run(command.arg("--runtime").arg(openvino())).expect_status(0);
    let line = ended
        .stdout
        .lines()
        .find(|line| line.contains("openvino (OpenVINOExecutionProvider)"));
    assert!(line.is_some_and(|line| line.ends_with(" works")), "{ended}");
}

#[test]
fn the_library_can_be_named_by_flag_and_by_variable() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let mut command = check_on("cpu", &bundle);
    command.env("ORT_DYLIB_PATH", openvino());
    run(&mut command)
        .expect_status(0)
        .says("ONNX Runtime 1.24.1")
        .says("CPUExecutionProvider");
    let other = tests::onnxruntime();
    run(command.arg("--runtime").arg(other))
        .expect_status(0)
        .says("ONNX Runtime 1.31.1");
}
