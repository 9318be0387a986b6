//! The golden of a device.

use tests::{Program, run, scratch, tiny_bundle};

#[test]
fn a_golden_of_the_device_sees_what_the_tolerance_lets_pass() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let golden = folder.path().join("golden");
    let verifier = |command: &str| {
        let mut verifier = Program::Verifier.command();
        verifier.arg(command).arg(&bundle).args(["--device", "cpu"]);
        verifier.arg("--golden").arg(&golden);
        verifier
    };
    run(&mut verifier("record")).expect_status(0);
    run(&mut verifier("check"))
        .expect_status(0)
        .says("the bits that this device gave before");
    let weight = ["--fault", "weight:to_qkv_weight[10,20]^0"];
    run(verifier("check").args(weight))
        .expect_status(1)
        .says("other bits than this device gave before");
    let other_setting = ["--batch-size", "3"];
    run(verifier("check").args(other_setting)).refuses(&["another setting", "batch_size"]);
    run(&mut verifier("record")).refuses(&["already exists"]);
}
