//! What cannot be run, and what was altered.

use super::*;

#[test]
fn what_cannot_be_run_is_refused_and_what_was_altered_is_noticed() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let refused = |arguments: &[&str], texts: &[&str]| {
        run(&mut campaign(&bundle, &out, arguments)).refuses(texts);
    };
    refused(
        &["--sites", "edge:softmx"],
        &["no site `edge:softmx`", "softmax"],
    );
    refused(&["--shard", "17/16"], &["17/16", "I of 1 to N"]);
    refused(&["--shard", "+1/16"], &["I of 1 to N"]);
    refused(&["--confidence", "0.1"], &["from 50% to 99.9999%"]);
    refused(&["--confidence", "95"], &["such as 95% or 0.95"]);
    refused(&["--margin", "0.5"], &["at most 20%", "such as 0.5%"]);
    refused(
        &["--region", "block:100x100"],
        &["as large as `block:100x100`; the largest is `"],
    );
    refused(&["--faults", "bits:33"], &["bits:33"]);
    refused(
        &["--sites", "weights", "--region", "token"],
        &["regions `token`"],
    );
    check(&bundle, &["--fault", "edge:softmax[0,0,0,0]^32"]).refuses(&["bits 0 to 31"]);
    check(&bundle, &["--fault", "edge:softmx[0,0,0,0]^3"]).refuses(&["there are softmax"]);

    run(&mut campaign(&bundle, &out, &["--count", "50"])).expect_status(0);
    refused(&["--count", "51"], &["holds another campaign", "sampling"]);
    let plan = out.join("plan.json");
    let text = fs::read_to_string(&plan).expect("a plan");
    fs::write(&plan, text.replace("\"seed\": 0", "\"seed\": 1")).expect("write");
    let report = || {
        let mut report = Program::Verifier.command();
        run(report.args(["campaign", "report"]).arg(&out))
    };
    report().refuses(&["its plan has the hash"]);
    fs::write(&plan, text).expect("write");

    let file = files_of_results(&out).remove(0);
    let bytes = fs::read(&file).expect("results");
    let mut altered = bytes.clone();
    altered[bytes.len() / 2] ^= 4;
    fs::write(&file, altered).expect("write");
    report().refuses(&["altered or damaged"]);
    fs::write(&file, &bytes[..bytes.len() - 1]).expect("write");
    report().refuses(&["0 of 50 faults are there", "--array=1"]);
    fs::write(&file, bytes).expect("write");
    report().expect_status(0);
}

#[test]
fn what_cannot_run_leaves_no_plan_and_reports_spare_the_campaigns_own_files() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let mut elsewhere = Program::Verifier.command();
    elsewhere.args(["campaign", "run"]).arg(&bundle);
    elsewhere.args(["--count", "50", "--device", "xnnpack", "--out"]);
    run(elsewhere.arg(&out)).refuses(&["could not be created"]);
    let all = ["--sites", "weight:scale", "--count", "1000000000"];
    run(&mut campaign(&bundle, &out, &all)).refuses(&["hint: --count of "]);
    assert!(!out.join("plan.json").exists());

    // The other shard has the only batch.
    run(&mut campaign(
        &bundle,
        &out,
        &["--count", "50", "--shard", "2/2"],
    ))
    .expect_status(0);
    for own in ["plan.json", "results/../plan.json", "results/r.json"] {
        let report = out.join(own);
        let arguments = ["--count", "50", "--report", utf8(&report)];
        run(&mut campaign(&bundle, &out, &arguments)).refuses(&["keeps its plan"]);
    }
    let moved = folder.path().join("moved");
    fs::rename(&bundle, &moved).expect("move");
    run(&mut campaign(&moved, &out, &["--count", "50"]))
        .expect_status(0)
        .says("50 faults");
    let report = |arguments: &[&str]| {
        let folder = ["campaign", "report", utf8(&out)];
        let arguments: Vec<&str> = folder
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let ended = Program::Verifier.run(&arguments);
        assert!(!ended.stderr.contains("--expect-bundle"), "{ended}");
        ended
    };
    report(&[]).refuses(&["bundle is not there", "hint: --bundle DIR"]);
    forge_manifest(&moved, |manifest| {
        manifest.producer.version = "0.0.0".to_owned();
    });
    report(&["--bundle", utf8(&moved)])
        .refuses(&["not the campaign's bundle", "hint: --bundle DIR"]);
}
