//! A runtime that misbehaves is an SDC or a DUE, never a pass.

use tests::{onnxruntime, runtime_shim, scratch, tiny_bundle};

use super::started::Watch;
use super::{HOURS, watch_that_hangs};

#[test]
fn a_runtime_that_misbehaves_is_an_sdc_or_a_due_and_never_a_pass() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let shim = runtime_shim(folder.path());
    for (how, status, expected) in [
        ("zeros", 1, "stuck"),
        ("nan", 1, "stuck"),
        ("other buffer", 1, "stuck"),
        ("abort", 2, "crash"),
        ("exit", 2, "exit"),
        ("quick_exit", 2, "exit"),
        ("nothing", 2, "broke a rule"),
        ("later exit", 1, "exit"),
        ("later hang", 1, "hang"),
        ("later beyond", 1, "crash"),
        ("later free", 1, "crash|SDC"),
    ] {
        let log = folder.path().join(how.replace(' ', "_"));
        let mut command = watch_that_hangs(&bundle, &log, HOURS, 6.0);
        command.arg("--runtime").arg(&shim);
        command
            .env("SHIM_RUNTIME", onnxruntime())
            .env("SHIM_SLEEP", "5")
            .env("SHIM_RUN", how);
        let mut started = Watch::start(&mut command, &log);
        let is_seen = |watch: &Watch| {
            let said = watch.said();
            expected.split('|').any(|kind| said.contains(kind))
        };
        let is_there = started.wait_for(is_seen);
        let over = started.stop();
        let (stdout, stderr) = (over.stdout, over.stderr);
        assert!(is_there && !stderr.contains("panicked"), "{how}\n{stderr}");
        assert_eq!(over.status, Some(status), "{how}\n{stderr}");
        assert!(!stdout.contains("PASS"), "{how}\n{stdout}");
    }
}
