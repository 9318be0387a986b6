//! Engines as processes: what they leave is compared as it should be, and whatever else they do is
//! told from a result.

use std::fs;
use std::path::{Path, PathBuf};

use tests::{
    Ended, Program, onnxruntime, python, python_command, read_json, root, run, scratch,
    tiny_bundle, utf8,
};

/// The tiny bundle, and an engine that does what a test wants.
struct Target {
    folder: tempfile::TempDir,
    bundle: PathBuf,
}

impl Target {
    fn new() -> Self {
        let folder = scratch();
        Self {
            bundle: tiny_bundle(folder.path()),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of engines with the one that does this; further lines of its table.
    fn engines(&self, mode: &str, lines: &str) -> PathBuf {
        let python = python_command();
        let variables = python.get_envs().filter_map(|(name, value)| {
            let value = value?.to_str().expect("UTF-8");
            Some(format!("{} = {value:?}", name.to_str().expect("UTF-8")))
        });
        let variables: Vec<String> = variables.collect();
        let interpreter = python.get_program().to_str().expect("UTF-8");
        let script = root().join("tests/python/engine_that.py");
        let text = format!(
            "[{mode}]\ncommand = '''\n'{interpreter}' '{}' {mode} {{model}} {{inputs}} {{outputs}} \
             {{batch}}'''\nenvironment = {{ {} }}\n{lines}\n",
            script.display(),
            variables.join(", ")
        );
        let file = self.path(&format!("{mode}.toml"));
        fs::write(&file, text).expect("write");
        file
    }

    /// Runs a command of the verifier with the engine that does this.
    fn command(&self, command: &str, mode: &str, more: &[&str]) -> Ended {
        let engines = self.engines(mode, "");
        self.with_engines(command, mode, &engines, more)
    }

    fn with_engines(&self, command: &str, mode: &str, engines: &Path, more: &[&str]) -> Ended {
        let arguments = ["--engine", mode, "--engines", utf8(engines)];
        verifier(command, &self.bundle, &[&arguments, more].concat())
    }

    fn check(&self, mode: &str, more: &[&str]) -> Ended {
        self.command("check", mode, more)
    }
}

fn verifier(command: &str, bundle: &Path, arguments: &[&str]) -> Ended {
    let mut verifier = Program::Verifier.command();
    // Nothing of ONNX Runtime is needed.
    verifier.env("ORT_DYLIB_PATH", "/nonexistent");
    run(verifier.arg(command).arg(bundle).args(arguments))
}

#[test]
fn outputs_of_another_engine_are_compared_and_recorded() {
    let target = Target::new();
    let report = target.path("report.json");
    let kept = target.path("kept");
    fs::create_dir(&kept).expect("make");
    let more = ["--report", utf8(&report), "--scratch", utf8(&kept)];
    let more = [&more[..], &["--batch-size", "3"]].concat();
    target
        .check("works", &more)
        .expect_status(0)
        .says("engine       works (it says: That, 1.0, float32)")
        .says("swapped inputs gave swapped outputs; a second run of 3 samples gave the same bits")
        .says("batch size   3 (given)")
        .says("PASS");
    let record = read_json(&report);
    assert_eq!(record["verdict"], "pass");
    assert_eq!(record["result"]["samples"], 8);
    assert_eq!(record["options"]["engine"], "works");
    assert_eq!(record["options"]["batch_size"], 3);
    assert!(record["options"]["device"].is_null() && record["runtime"].is_null());
    let engine = &record["engine"];
    assert_eq!(engine["says"]["load_s"], 0.25);
    assert_eq!(engine["expected"], "pass");
    assert!(engine["other_model"].is_null(), "{engine}");
    let left = fs::read_dir(&kept).expect("list").count();
    assert_eq!(left, 0, "inputs and outputs are removed in the end");
    for range in [["--range", "2", "5"], ["--range", "7", "8"]] {
        target.check("works", &range).expect_status(0).says("PASS");
    }
}

#[test]
fn wrong_values_are_a_result() {
    let target = Target::new();
    for mode in ["doubles", "rounds_to_half"] {
        target
            .check(mode, &[])
            .expect_status(1)
            .says("8 of 8 samples are faulty");
    }
    target
        .check("poisons", &[])
        .expect_status(1)
        .says("and 1 that are not finite, in 1 samples")
        .says("1 of 8 samples are faulty");
    target.check("columns", &[]).expect_status(0);
}

#[test]
fn anything_but_the_parts_outputs_is_no_result() {
    let target = Target::new();
    let cases: [(&str, &[&str]); 11] = [
        (
            "leaves_nothing",
            &["left no submodel_output.npy; it left nothing"],
        ),
        (
            "leaves_more",
            &["it left attention.npy, expected submodel_output.npy"],
        ),
        (
            "truncates",
            &["submodel_output.npy: ", "bytes of data, but", "needed"],
        ),
        (
            "prolongs",
            &["submodel_output.npy: ", "bytes of data, but", "needed"],
        ),
        (
            "gives_float64",
            &["expected float32 [8, ", "found float64 [8, "],
        ),
        (
            "gives_integers",
            &["expected float32 [8, ", "found elements of type <i4"],
        ),
        (
            "adds_an_axis",
            &["expected float32 [8, ", "found float32 [8, 1, "],
        ),
        (
            "leaves_out_a_sample",
            &["expected float32 [8, ", "found float32 [7, "],
        ),
        (
            "leaves_a_pipe",
            &["as a pipe or a device, expected a regular file"],
        ),
        ("leaves_a_folder", &["as a folder, expected a regular file"]),
        (
            "leaves_a_link",
            &["as a symbolic link, expected a regular file"],
        ),
    ];
    for (mode, texts) in cases {
        let ended = target.check(mode, &[]).refuses(texts);
        let name = format!("engine `{mode}`");
        ended.refuses(&[&name, "submodel_output.npy"]);
    }
}

#[test]
fn an_engine_that_does_not_end_well_gives_a_reason() {
    let target = Target::new();
    for (mode, text) in [
        (
            "is_killed",
            "engine `is_killed`: it crashed: ended by SIGSEGV: about to crash",
        ),
        (
            "cannot",
            "engine `cannot`: it cannot run here: no such card",
        ),
        (
            "fails",
            "engine `fails`: it ended with exit status 3: out of memory",
        ),
    ] {
        target.check(mode, &[]).refuses(&[text]);
    }
    let limit = "engine `hangs`: it was killed after the time limit of 1 s";
    target
        .check("hangs", &["--engine-timeout", "1"])
        .refuses(&[limit]);
}

#[test]
fn what_is_expected_is_told_and_the_verdict_stays() {
    let target = Target::new();
    let report = target.path("report.json");
    let expect = r#"expect = ["fail", "cannot"]"#;
    let engines = target.engines("doubles", expect);
    let more = ["--report", utf8(&report)];
    target
        .with_engines("check", "doubles", &engines, &more)
        .expect_status(1)
        .says("expected     fail or cannot; the verdict is that of the comparison");
    let record = read_json(&report);
    let expected = serde_json::json!(["fail", "cannot"]);
    assert_eq!(record["engine"]["expected"], expected);
    let engines = target.engines("cannot", expect);
    target
        .with_engines("check", "cannot", &engines, &[])
        .refuses(&["no such card", "that is expected of it: fail or cannot"]);
    let by_part = "expect = { submodel = 'fail', full = 'cannot' }";
    let engines = target.engines("works", by_part);
    target
        .with_engines("check", "works", &engines, &[])
        .expect_status(0)
        .says("expected     fail; the verdict");
    let misspelt = target.engines("works", "expect = 'fial'");
    target
        .with_engines("check", "works", &misspelt, &[])
        .refuses(&["works.toml", "expected pass, fail or cannot"]);
}

#[test]
fn a_comparison_in_which_nothing_ran_is_no_pass() {
    let target = Target::new();
    let report = target.path("report.md");
    let engines = target.engines("cannot", r#"expect = ["fail", "cannot"]"#);
    let arguments = ["--engines", utf8(&engines), "--no-tail"];
    let compare = |more: &[&str]| {
        let arguments = [&arguments[..], &["--report", utf8(&report)], more].concat();
        verifier("compare", &target.bundle, &arguments)
    };
    compare(&[])
        .expect_status(2)
        .says("NO RESULT: nothing was compared; 1 cannot run here, as expected");
    let golden = target.bundle.join("npy/submodel_output.npy");
    let copy = target.path("golden.npy");
    fs::copy(golden, &copy).expect("copy");
    compare(&["--outputs", utf8(&copy)])
        .expect_status(0)
        .says("PASS: all 1 runs are within the tolerance; 1 cannot run here, as expected");
}

#[test]
fn what_an_engine_says_begins_no_line() {
    let target = Target::new();
    let ended = target.check("says_a_verdict", &[]).expect_status(1);
    let lines = ended.stdout.lines();
    let verdicts = lines.filter(|line| line.starts_with("verdict"));
    assert_eq!(verdicts.count(), 1, "{ended}");
    target
        .check("replaces_its_folder", &[])
        .refuses(&["its folder of outputs as a symbolic link"]);
    target
        .check("works", &["--range", "0", "1"])
        .expect_status(0)
        .says("no inputs were swapped, for there is one sample");
}

#[test]
fn two_controls_show_what_an_engine_is_worth() {
    let target = Target::new();
    target
        .check("ignores_inputs", &[])
        .refuses(&["two inputs were swapped, and its outputs were not"]);
    let report = target.path("report.json");
    target
        .check("never_repeats", &["--report", utf8(&report)])
        .expect_status(0)
        .says("a second run of 8 samples gave OTHER BITS");
    let engine = &read_json(&report)["engine"];
    assert_eq!(engine["repeats"], false);
    assert_eq!(engine["swapped"], true);
}

#[test]
fn what_an_engine_does_besides_changes_no_result() {
    let target = Target::new();
    for mode in ["leaves_a_child", "spoils_its_inputs", "shouts"] {
        let ended = target.check(mode, &[]).expect_status(0);
        ended.says("it says: That, 1.0, float32").says("PASS");
    }
    target
        .check("says_odd_words", &[])
        .expect_status(0)
        .says("arithmetic   bfloat16, as it says: not float32");
    target
        .check("changes_the_model", &[])
        .refuses(&["it changed", "model.onnx, which it was given to read"]);
}

#[test]
fn faults_reach_an_engine_and_are_detected() {
    let target = Target::new();
    for fault in [
        "input[7,0,0]^30",
        "weight:to_qkv_weight[0,0]^30",
        "golden[2,1,3]=12",
        "output[1,2,3]^30",
    ] {
        target
            .check("works", &["--fault", fault, "--expect-detected"])
            .expect_status(0)
            .says("1 detected");
    }
    // Known before anything runs.
    let outside = ["--fault", "input[8,0,0]^30", "--engine-timeout", "0.001"];
    target
        .check("hangs", &outside)
        .refuses(&["input[8,0,0]^30"]);
}

#[test]
fn an_engine_of_lower_precision_gets_a_tolerance_of_its_own() {
    let target = Target::new();
    let file = target.path("halves.json");
    target
        .command("calibrate", "rounds_to_half", &["--out", utf8(&file)])
        .expect_status(0)
        .says("engine       rounds_to_half")
        .says("written");
    let calibration = ["--calibration", utf8(&file)];
    target
        .check("rounds_to_half", &calibration)
        .expect_status(0)
        .says("calibrated in 1 pass ");
    target
        .check("works", &calibration)
        .refuses(&["none is of this setting"]);
    let file = target.path("doubled.json");
    target
        .command("calibrate", "doubles", &["--out", utf8(&file)])
        .expect_status(1);
    assert!(!file.exists(), "such an engine needs a look, no tolerance");
}

#[test]
fn an_engine_runs_another_model_too() {
    let target = Target::new();
    python("other_models", &[&target.bundle, target.folder.path()]).expect_status(0);
    let report = target.path("report.json");
    let judge = |name: &str, more: &[&str]| {
        let model = target.path(name);
        let flags = ["--model", utf8(&model), "--report", utf8(&report)];
        target.check("works", &[&flags, more].concat())
    };
    judge("opset_21.onnx", &[])
        .expect_status(0)
        .says("other model  not the bundle's own");
    let files = &read_json(&report)["engine"]["other_model"]["files"];
    assert!(files[0]["blake3"].is_string(), "{files}");
    judge("external/model.onnx", &[]).expect_status(0);
    judge("batch_3.onnx", &[]).expect_status(0);
    judge("batch_3.onnx", &["--batch-size", "4"]).refuses(&["has a batch of 3"]);
    judge("doubled.onnx", &[]).expect_status(1);
    judge("renamed.onnx", &[]).refuses(&["engine `works`"]);
}

#[test]
fn a_process_is_timed_and_compared() {
    let target = Target::new();
    let [json, lines, page] = ["times.json", "times.csv", "times.md"].map(|name| target.path(name));
    let reports = [&json, &lines, &page].map(|file| ["--report", utf8(file)]);
    let more = [
        &["--runs", "2", "--batch-size", "4"],
        reports.as_flattened(),
    ]
    .concat();
    target
        .command("bench", "works", &more)
        .expect_status(0)
        .says("seconds of the whole process")
        .says("PASS");
    let record = read_json(&json);
    assert_eq!(record["timings"], serde_json::json!([]));
    let timing = &record["processes"][0];
    let number = |name: &str| {
        timing[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name}: {timing}"))
    };
    assert_eq!((number("batch_size"), number("runs")), (4.0, 2.0));
    assert_eq!((number("samples"), number("compared_samples")), (8.0, 24.0));
    assert_eq!(number("load_seconds"), 0.25);
    assert!(number("run_seconds") <= number("max_seconds"));
    let rate = 8.0 / number("run_seconds");
    assert!((number("samples_per_second") / rate - 1.0).abs() < 1e-9);
    let lines = fs::read_to_string(lines).expect("lines");
    assert!(lines.starts_with("batch_size,runs,samples,"), "{lines}");
    let page = fs::read_to_string(page).expect("page");
    assert!(
        page.contains("# Times: PASS") && page.contains("| engine | works"),
        "{page}"
    );
    let once = ["--runs", "1", "--batch-size", "8"];
    target
        .command("bench", "doubles", &once)
        .expect_status(1)
        .says("FAIL: 16 of 16 samples timed are faulty");
    target
        .command("bench", "fails", &once)
        .refuses(&["exit status 3: out of memory"]);
}

#[test]
fn what_is_no_engine_is_refused() {
    let target = Target::new();
    let check = |arguments: &[&str]| verifier("check", &target.bundle, arguments);
    check(&["--engine", "tract"]).refuses(&["there is no engines/engines.toml here", "hint:"]);
    check(&["--engine", "a=/none/such {model}"])
        .refuses(&["engine `a`: `/none/such` cannot be started"]);
    check(&["--engine", "a=run {modle}"]).refuses(&["{modle}", "{model}"]);
    let engines = target.engines("works", "");
    let named = ["--engines", utf8(&engines), "--engine"];
    check(&[&named[..], &["other"]].concat()).refuses(&["has no engine `other`, it has works"]);
    for flags in [["--device", "cpu"], ["--outputs", "x"]] {
        let arguments = [&named[..], &["works"], &flags].concat();
        check(&arguments).refuses(&["cannot be used with"]);
    }
    check(&[&named[..], &["works", "--repeat", "2"]].concat()).refuses(&["--repeat 2"]);
    check(&named[..2]).refuses(&["--engine"]);
}

/// Those of `engines/engines.toml` that install in a minute; without them there is nothing to see.
#[test]
fn real_engines_pass() {
    let target = Target::new();
    let engines = root().join("engines/engines.toml");
    let parts = |engine: &str| match engine {
        "tract" | "rten" => &["submodel", "full", "head", "tail"][..],
        _ => &["submodel"],
    };
    for engine in ["tract", "onnx-reference", "opencv", "emx", "rten"] {
        for part in parts(engine) {
            // It computes the inputs that the bundle does not record.
            let runtime = onnxruntime();
            let arguments = ["--part", part, "--runtime", utf8(&runtime)];
            let ended = target.with_engines("check", engine, &engines, &arguments);
            let absent = ["it cannot run here", "cannot be started"];
            if ended.status == 2 && absent.iter().any(|text| ended.stderr.contains(text)) {
                eprintln!("skipped: {engine}: {}", ended.stderr.trim());
                break;
            }
            ended
                .expect_status(0)
                .says("swapped inputs gave swapped outputs")
                .says("PASS");
        }
    }
}
