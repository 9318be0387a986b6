//! A device asked for is a device used, or the exit status is 2. OpenVINO stands for every device
//! but the CPU.

use tests::{Program, bundle, openvino, run, scratch};

#[test]
fn cuda_is_the_default_and_its_absence_is_an_error_that_says_what_to_do() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let report = folder.path().join("report.json");
    for arguments in [&[][..], &["--device", "cuda"]] {
        let mut command = Program::Verifier.command();
        let ended = run(command
            .arg("check")
            .arg(&bundle)
            .args(arguments)
            .arg("--report")
            .arg(&report));
        if ended.status == 0 {
            assert!(
                ended.stdout.contains("nodes on CUDAExecutionProvider"),
                "{ended}"
            );
            return; // a machine with a GPU
        }
        let ended = ended.refuses(&[
            "CUDAExecutionProvider",
            "not enabled in this build",
            "--device cpu",
        ]);
        assert_eq!(ended.stdout, "", "nothing that reads like a result");
        let report = std::fs::read_to_string(&report).expect("report");
        assert!(
            report.contains(r#""verdict": "error""#) && report.contains(r#""exit_status": 2"#),
            "{report}"
        );
        assert!(!report.contains("\"result\""), "{report}");
    }
}

#[test]
fn openvino_runs_every_node_and_proves_it() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 40);
    let mut command = Program::Verifier.command();
    command
        .arg("check")
        .arg(&bundle)
        .args(["--device", "openvino", "--runtime"])
        .arg(openvino());
    let ended = run(&mut command)
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
    let mut command = Program::Verifier.command();
    run(command
        .arg("check")
        .arg(&bundle)
        .args(["--device", "openvino"]))
    .refuses(&["OpenVINOExecutionProvider", "--device cpu"]);
    for (device, provider) in [
        ("xnnpack", "XnnpackExecutionProvider"),
        ("gpu", "gpuExecutionProvider"),
    ] {
        let mut command = Program::Verifier.command();
        run(command.arg("check").arg(&bundle).args(["--device", device]))
            .refuses(&[provider, "could not be created"]);
    }
    let mut command = Program::Verifier.command();
    run(command
        .arg("check")
        .arg(&bundle)
        .args(["--device", "cpu", "--device-id", "1"]))
    .refuses(&["--device-id"]);
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
    let mut command = Program::Verifier.command();
    command
        .arg("check")
        .arg(&bundle)
        .args(["--device", "cpu"])
        .env("ORT_DYLIB_PATH", openvino());
    run(&mut command)
        .expect_status(0)
        .says("ONNX Runtime 1.24.1")
        .says("CPUExecutionProvider");
    let other = tests::onnxruntime();
    run(command.arg("--runtime").arg(other))
        .expect_status(0)
        .says("ONNX Runtime 1.31.1");
}
