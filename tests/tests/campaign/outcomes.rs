//! What faults do, and what reports say of it.

use super::*;

#[test]
fn a_fault_that_is_replayed_does_the_same_and_check_takes_it() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    run(&mut campaign(
        &bundle,
        &out,
        &["--count", "600", "--seed", "5"],
    ))
    .expect_status(0);
    reports(&out);
    let list = fs::read_to_string(out.join("r.csv")).expect("a list");
    let mut kinds = std::collections::BTreeSet::new();
    for line in list.lines().skip(1) {
        // Between quotes where it has a comma in it.
        let quoted = line.split('"').nth(1);
        let fault = quoted.or_else(|| line.split(',').nth(5)).expect("a fault");
        let kind = fault.split(['[', ':']).next().expect("a target").to_owned();
        if kinds.insert(kind) {
            let number = line
                .split(',')
                .next()
                .expect("a number")
                .parse()
                .expect("a number");
            replay(&out, number)
                .expect_status(0)
                .says("recorded     the same")
                .says(fault);
            let checked = check(&bundle, &["--fault", fault]);
            assert!(checked.status < 2, "{checked}");
        }
    }
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    replay(&out, 600).refuses(&["faults 0 to 599"]);
}

#[test]
fn plain_numpy_and_pytorch_come_to_the_same_outcomes() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let faults = folder.path().join("faults.csv");
    let arguments = [
        "--count",
        "500",
        "--samples-per-weight-fault",
        "1000",
        "--report",
    ];
    run(campaign(&bundle, &out, &arguments).arg(&faults)).expect_status(0);
    let again = |mut command: Command, backend: &str| {
        let command = command.arg(tests_script("campaign_again"));
        run(command.arg(&bundle).arg(&faults).arg(backend))
            .expect_status(0)
            .says("500 faults")
            .says(" 0 different");
    };
    again(python_command(), "numpy");
    match python_with_pytorch() {
        Some(command) => again(command, "torch"),
        None => eprintln!("skipped: PyTorch is not there; `make bench` installs it"),
    }
}

#[test]
fn rounds_end_when_the_rate_is_as_narrow_as_asked() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let asked = ["--margin", "1.5%", "--sites", "edge:softmax,weights,output"];
    run(&mut campaign(&bundle, &out, &asked)).expect_status(0);
    reports(&out);
    let report = read_json(&out.join("r.json"));
    let total = report["total"].as_array().expect("rates");
    let critical = total
        .iter()
        .find(|rate| rate["event"] == "critical-sdc" && rate["among"] == "all");
    let critical = critical.expect("the rate asked for");
    let [low, high] = ["low", "high"].map(|limit| critical[limit].as_f64().expect("a limit"));
    assert!(high - low <= 0.03, "{critical}");
    assert!(
        report["rounds"]
            .as_array()
            .is_some_and(|rounds| rounds.len() > 1)
    );
}

#[test]
fn every_model_of_faults_and_every_part_runs() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let cases = [
        ["adjacent:2", "element", "submodel"],
        ["bits:3", "row", "submodel"],
        ["stuck-at-1", "column", "tail"],
        ["zero", "head", "submodel"],
        ["value:0x7fc00001", "token", "full"],
        ["random", "block:2x4", "head"],
        ["bit", "every:7", "full"],
    ];
    for (number, [faults, region, part]) in cases.iter().enumerate() {
        let out = folder.path().join(number.to_string());
        let arguments = [
            "--count", "40", "--faults", faults, "--region", region, "--part", part,
        ];
        run(&mut campaign(&bundle, &out, &arguments))
            .expect_status(0)
            .says("40 faults");
        replay(&out, 7)
            .expect_status(0)
            .says("recorded     the same");
    }
}

#[test]
fn faults_of_weights_say_on_how_many_samples_they_were_run_and_are_all_counted() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let json = folder.path().join("r.json");
    let arguments = ["--margin", "20%", "--sites", "weight:scale"];
    let few = ["--samples-per-weight-fault", "1", "--report", utf8(&json)];
    let arguments = [&arguments[..], &few].concat();
    let ended = run(&mut campaign(&bundle, &out, &arguments)).expect_status(0);
    let ended = ended
        .says("32 faults at one site")
        .says("Faults of weights were run on ");
    assert!(
        ended.stderr.contains("each fault of a weight is run on "),
        "{ended}"
    );
    let report = read_json(&json);
    for rate in report["sites"][0]["rates"].as_array().expect("rates") {
        assert_eq!(rate["faults"], 32, "the pilot ran them all: {rate}");
    }
    let samples = &report["population"]["weight_samples"];
    let listed = samples["samples"].as_array().expect("samples");
    assert_eq!(samples["run"], listed.len());
    let stand_for: f64 = listed
        .iter()
        .map(|own| own["stands_for"].as_f64().expect("a number"))
        .sum();
    let all = samples["of"].as_f64().expect("a number");
    assert!((stand_for - all).abs() < 1e-9, "{samples}");
}

#[test]
fn the_list_has_no_bit_where_none_is_meant_and_says_what_became_no_number() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let list = folder.path().join("r.csv");
    let arguments = [
        "--faults",
        "value:0x7fc00001",
        "--sites",
        "output",
        "--count",
        "9",
    ];
    let arguments = [&arguments[..], &["--report", utf8(&list)]].concat();
    run(&mut campaign(&bundle, &out, &arguments)).expect_status(0);
    let text = fs::read_to_string(&list).expect("a list");
    for line in text.lines().skip(1) {
        assert_eq!(line.split(',').nth(3), Some(""), "bit of {line}");
        assert_eq!(
            line.rsplit(',').nth(2),
            Some("nan"),
            "largest change of {line}"
        );
    }
    replay(&out, 3)
        .expect_status(0)
        .says("largest      nan")
        .says("recorded     the same");
}

#[test]
fn without_a_tail_there_are_rates_of_sdc_alone() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let out = folder.path().join("study");
    let [json, page] = ["r.json", "r.md"].map(|name| folder.path().join(name));
    let arguments = ["--count", "300", "--no-tail", "--report"];
    let arguments = [&arguments[..], &[utf8(&json), "--report", utf8(&page)]].concat();
    let ended = run(&mut campaign(&bundle, &out, &arguments)).expect_status(0);
    assert!(!ended.stdout.contains("critical"), "{ended}");
    assert!(ended.stdout.contains("beyond tolerance"), "{ended}");
    for path in [json, page] {
        let text = fs::read_to_string(&path).expect("a report");
        let claims = [
            "critical-sdc",
            "tolerable-sdc",
            "critical SDC",
            "tolerable SDC",
        ];
        assert!(!claims.iter().any(|claim| text.contains(claim)), "{text}");
    }
}
