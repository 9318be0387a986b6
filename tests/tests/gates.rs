//! The checks between a device asked for and a result, with a runtime that lies about where its
//! nodes ran and with a model that a real provider does not take whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{
    Ended, Program, bundle, check, forge, onnxruntime, openvino, python, read_json, run,
    runtime_shim, scratch,
};

/// What `check` writes when nothing was compared: a report that says so and holds no result.
fn expect_no_result(report: &Path) {
    let report = read_json(report);
    assert_eq!(report["verdict"], "error", "{report:#}");
    assert_eq!(report["exit_status"], 2, "{report:#}");
    assert!(report.get("result").is_none(), "{report:#}");
}

/// A device, and the library that the shim stands before.
struct Device {
    name: &'static str,
    provider: &'static str,
    elsewhere: &'static str,
    runtime: PathBuf,
}

impl Device {
    fn all() -> [Self; 2] {
        let (cpu, openvino_provider) = ("CPUExecutionProvider", "OpenVINOExecutionProvider");
        [
            Self {
                name: "cpu",
                provider: cpu,
                elsewhere: openvino_provider,
                runtime: onnxruntime(),
            },
            Self {
                name: "openvino",
                provider: openvino_provider,
                elsewhere: cpu,
                runtime: openvino(),
            },
        ]
    }

    /// A command of the verifier with the shim as its runtime, which puts `profile` in the place
    /// of the real one.
    fn command(&self, name: &str, shim: &Path, profile: Option<&Path>) -> Command {
        let mut command = Program::Verifier.command();
        command
            .arg(name)
            .env("SHIM_RUNTIME", &self.runtime)
            .envs(profile.map(|profile| ("SHIM_PROFILE", profile)))
            .arg("--runtime")
            .arg(shim);
        command
    }

    /// Profiles that do not prove that every node ran on the device, each with what is said of it.
    fn profiles_without_a_proof(&self) -> [(String, String); 7] {
        let (own, other) = (node(self.provider), node(self.elsewhere));
        let (provider, elsewhere) = (self.provider, self.elsewhere);
        let unplaced = r#"{"cat":"Node","name":"qkv_kernel_time","args":{"op_name":"MatMul"}}"#;
        [
            (
                format!("[{own},{other},{own}]"),
                format!("1 of 3 nodes ran on {elsewhere}, not on {provider}"),
            ),
            (
                format!("[{}]", node("")),
                "does not say where node `n_kernel_time` ran".to_owned(),
            ),
            (
                format!("[{unplaced}]"),
                "does not say where node `qkv_kernel_time` ran".to_owned(),
            ),
            ("[]".to_owned(), "names no node".to_owned()),
            (
                r#"[{"cat":"Session","name":"model_run"}]"#.to_owned(),
                "names no node".to_owned(),
            ),
            (String::new(), "cannot be read".to_owned()),
            (format!("[{own},"), "cannot be read".to_owned()),
        ]
    }
}

/// An event of a profile: a node that ran on a provider.
fn node(provider: &str) -> String {
    let arguments = format!(r#"{{"op_name":"MatMul","provider":"{provider}"}}"#);
    format!(r#"{{"cat":"Node","name":"n_kernel_time","args":{arguments}}}"#)
}

#[test]
fn a_profile_that_does_not_prove_the_device_is_never_a_pass() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 4);
    let library = runtime_shim(folder.path());
    let report = folder.path().join("report.json");
    let profile = folder.path().join("profile.json");
    for device in Device::all() {
        let Device { name, provider, .. } = device;
        let check = |profile: Option<&Path>| -> Ended {
            let mut command = device.command("check", &library, profile);
            command.arg(&bundle).args(["--device", name, "--report"]);
            run(command.arg(&report))
        };
        // The shim lets an honest run through, and what it puts in the profile's place is judged.
        check(None).expect_status(0).says(&format!("on {provider}"));
        fs::write(&profile, format!("[{0},{0},{0}]", node(provider))).expect("write");
        check(Some(&profile))
            .expect_status(0)
            .says(&format!("3 nodes on {provider}"));

        for (text, message) in device.profiles_without_a_proof() {
            fs::write(&profile, &text).expect("write");
            check(Some(&profile)).refuses(&[&format!("device `{name}`: "), &message]);
            expect_no_result(&report);
            let mut calibrate = device.command("calibrate", &library, Some(&profile));
            run(calibrate.arg(&bundle).args(["--device", name])).refuses(&[&message]);
            let devices = run(&mut device.command("devices", &library, Some(&profile)));
            let devices = devices.expect_status(0);
            let line = devices.stdout.lines().find(|line| line.contains(provider));
            let line = line.expect("the device");
            assert!(line.contains("does not work: "), "{devices}");
            assert!(line.contains(&message), "{devices}");
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
    // The same numbers on the CPU, but OpenVINO has no determinant.
    let file = "onnx/submodel/model.onnx";
    python("append_determinant", &[&bundle.join(file)]).expect_status(0);
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
    let report = read_json(&report);
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
