//! What goes to a target: one small file that needs a C library, and ONNX Runtime beside it.

use std::fs;
use std::process::Command;

use tests::{Program, bundle, onnxruntime, run, scratch, utf8};

/// The binary was 5 MiB when this was written; a runtime linked into it would be 20 more.
const LARGEST: u64 = 20 << 20;

#[test]
fn the_verifier_runs_from_a_folder_of_its_own_with_an_empty_environment() {
    let folder = scratch();
    let made = bundle(folder.path(), "nano", 4);
    let target = folder.path().join("target");
    fs::create_dir(&target).expect("make");
    let verifier = target.join("verifier");
    fs::copy(Program::Verifier.path(), &verifier).expect("copy");
    let library = onnxruntime();
    fs::copy(&library, target.join(library.file_name().expect("a name"))).expect("copy");
    fs::rename(&made, target.join("nano")).expect("move");

    let elsewhere = scratch();
    let bare = |arguments: &[&str]| {
        let mut command = Command::new(&verifier);
        run(command
            .args(arguments)
            .env_clear()
            .current_dir(elsewhere.path()))
    };
    let bundle = target.join("nano");
    let bundle = utf8(&bundle);
    let on_cpu = ["check", bundle, "--device", "cpu"];
    bare(&on_cpu)
        .expect_status(0)
        .says(utf8(&target.join("libonnxruntime.so")))
        .says("PASS");
    bare(&[&on_cpu[..], &["--fault", "output[1,2,3]=9"]].concat())
        .expect_status(1)
        .says("1 of 4 samples");
    bare(&["check", bundle]).refuses(&["device `cuda` is not available", "nothing was run"]);
    bare(&["devices"])
        .expect_status(0)
        .says("cpu (CPUExecutionProvider)");
    bare(&["inspect", bundle]).expect_status(0);
    assert_eq!(
        fs::read_dir(elsewhere.path()).expect("list").count(),
        0,
        "nothing is left where it ran"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn the_verifier_needs_only_the_c_library() {
    let verifier = Program::Verifier.path();
    let size = fs::metadata(&verifier).expect("metadata").len();
    // A build for tests in the development profile has its debug information inside.
    assert!(size < LARGEST || cfg!(debug_assertions), "{size} bytes");

    let ended = run(Command::new("ldd").arg(&verifier)).expect_status(0);
    let names = ended
        .stdout
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let names: Vec<&str> = names
        .map(|name| name.rsplit('/').next().expect("a name"))
        .collect();
    // Before glibc 2.34 some of the C library's parts were files of their own.
    let allowed = [
        "linux-vdso.",
        "ld-linux",
        "libc.",
        "libm.",
        "libgcc_s.",
        "libdl.",
        "libpthread.",
        "librt.",
    ];
    let foreign: Vec<&&str> = names
        .iter()
        .filter(|name| !allowed.iter().any(|own| name.starts_with(own)))
        .collect();
    assert!(
        foreign.is_empty() && names.contains(&"libc.so.6"),
        "{ended}"
    );
}
