//! Outputs that something else computed: written with other people's tools, judged by the verifier
//! without a runtime.

use std::fs;
use std::path::Path;

use tests::{Ended, Program, python, read_json, run, scratch, tiny_bundle, utf8};

/// Not exact: what they hold is the golden rounded to fewer digits.
const ROUNDED: [&str; 3] = ["trtexec", "bfloat16", "float16"];

/// The verifier where no ONNX Runtime can be found.
fn judge(command: &str, bundle: &Path, arguments: &[&str]) -> Ended {
    let mut verifier = Program::Verifier.command();
    verifier.env("ORT_DYLIB_PATH", "/there/is/none");
    run(verifier.arg(command).arg(bundle).args(arguments))
}

#[test]
fn every_form_of_the_golden_passes_and_a_flipped_bit_is_found_where_it_is() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let forms = python("forms_of_outputs", &[&bundle, folder.path()]).expect_status(0);
    let mut judged = 0;
    let is_form = |line: &&str| line.starts_with("golden ") || line.starts_with("flipped ");
    for line in forms.stdout.lines().filter(is_form) {
        let mut words = line.split(' ');
        let (kind, form) = (words.next().expect("kind"), words.next().expect("form"));
        let mut arguments = vec!["--outputs"];
        arguments.extend(words);
        let report = folder.path().join("report.json");
        arguments.extend(["--report", utf8(&report)]);
        if ROUNDED.contains(&form) {
            arguments.extend(["--atol", "1e-1"]);
        }
        let is_golden = kind == "golden";
        let ended = judge("check", &bundle, &arguments).expect_status(i32::from(!is_golden));
        let ended = ended.says("nothing was run here");
        let record = read_json(&report);
        if is_golden {
            let error = &record["result"]["max_abs_error"]["value"];
            assert_eq!(*error == 0.0, !ROUNDED.contains(&form), "{form}: {error}");
        } else {
            let faulty = &record["result"]["faulty"];
            assert_eq!(faulty.as_array().map(Vec::len), Some(1), "{form}: {faulty}");
            assert_eq!(faulty[0]["worst"]["index"].to_string(), "[5,2,3]", "{form}");
            let xor = faulty[0]["worst"]["xor"].as_str();
            let expected = (!ROUNDED.contains(&form)).then_some("20000000");
            assert!(xor == expected || form.ends_with("16"), "{form}: {xor:?}");
        }
        let no_bits = record["result"].get("differing_elements").is_none();
        assert_eq!(no_bits, form == "trtexec", "{form}");
        assert!(
            record["outputs"]["files"][0]["blake3"].is_string(),
            "{form}: {ended}"
        );
        judged += 1;
    }
    assert_eq!(judged, 32, "{forms}");
}

#[test]
fn one_thing_wrong_is_refused_or_found() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let golden = fs::read(bundle.join("npy/submodel_output.npy")).expect("golden");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("write");
        utf8(&path).to_owned()
    };
    let cut = write("cut.npy", &golden[..golden.len() - 4]);
    judge("check", &bundle, &["--outputs", &cut]).refuses(&["cut.npy: ", "bytes of data"]);
    let exact = write("exact.npy", &golden);
    judge(
        "check",
        &bundle,
        &["--outputs", &exact, "--range", "0", "7"],
    )
    .refuses(&["8 samples in 1 file, expected 7: samples 0 to 6"]);
    let head = ["--outputs", &exact, "--part", "head"];
    judge("check", &bundle, &head)
        .expect_status(1)
        .says("golden, and not compared: residual");
    judge("check", &bundle, &[&head[..], &["--test-data"]].concat())
        .refuses(&["exact.npy: nothing says of which output"]);
    for flag in [["--device", "cpu"], ["--threads", "2"]] {
        let arguments = [&["--outputs", &exact][..], &flag].concat();
        judge("check", &bundle, &arguments).refuses(&["cannot be used with"]);
    }
    judge("check", &bundle, &["--outputs", &exact, "--repeat", "2"]).refuses(&["are there once"]);
    let fault = ["--outputs", &exact, "--fault", "input[0,0,0]=1"];
    judge("check", &bundle, &fault).refuses(&["input[0,0,0]=1 with --outputs: nothing is run"]);
    let fault = [
        "--outputs",
        &exact,
        "--fault",
        "output[1,2,3]^30",
        "--expect-detected",
    ];
    judge("check", &bundle, &fault)
        .expect_status(0)
        .says("1 detected");

    let mut not_a_number = golden.clone();
    let last = not_a_number.len() - 4;
    not_a_number[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let path = write("nan.npy", &not_a_number);
    judge("check", &bundle, &["--outputs", &path])
        .expect_status(1)
        .says("1 of 8 samples are faulty");
    let missing = utf8(&folder.path().join("missing.npy")).to_owned();
    judge("check", &bundle, &["--outputs", &missing]).refuses(&["missing.npy: No such file"]);
    let text = write("outputs.txt", b"0.5 0.25");
    judge("check", &bundle, &["--outputs", &text]).refuses(&["outputs.txt: no file of outputs"]);
}

#[test]
fn outputs_of_lower_precision_get_a_tolerance_of_their_own() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    python("forms_of_outputs", &[&bundle, folder.path()]).expect_status(0);
    let halves = folder.path().join("golden/float16.npy");
    let outputs = ["--outputs", utf8(&halves), "--engine-name", "halves"];
    judge("check", &bundle, &outputs).expect_status(1);
    judge("calibrate", &bundle, &outputs[..2]).refuses(&["without --engine-name"]);
    judge("calibrate", &bundle, &outputs)
        .expect_status(0)
        .says("written");
    judge("check", &bundle, &outputs)
        .expect_status(0)
        .says("calibrated in 1 pass of")
        .says("float16: converted to float32, exactly");
    // The tolerance is of the engine with this name alone.
    let others = ["--outputs", utf8(&halves), "--engine-name", "others"];
    judge("check", &bundle, &others).expect_status(1);
    let saved = folder.path().join("saved");
    let keep = [&outputs[..], &["--save-outputs", utf8(&saved)]].concat();
    judge("check", &bundle, &keep).expect_status(0);
    let saved = ["--outputs", utf8(&saved), "--engine-name", "halves"];
    judge("check", &bundle, &saved).expect_status(0);
}

#[test]
fn a_bundle_with_a_damaged_input_gives_no_verdict_although_nothing_takes_it() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let golden = folder.path().join("golden.npy");
    fs::copy(bundle.join("npy/submodel_output.npy"), &golden).expect("copy");
    let input = bundle.join("npy/submodel_input.npy");
    let mut bytes = fs::read(&input).expect("read");
    *bytes.last_mut().expect("bytes") ^= 1;
    fs::write(&input, bytes).expect("write");
    judge("check", &bundle, &["--outputs", utf8(&golden)])
        .refuses(&["submodel_input.npy", "BLAKE3"]);
}

#[test]
fn a_report_never_takes_the_place_of_what_is_read() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let outputs = folder.path().join("outputs.json");
    let text = r#"{"lst": [["a", []]]}"#;
    fs::write(&outputs, text).expect("write");
    let named = utf8(&outputs);
    for command in ["check", "compare"] {
        judge(command, &bundle, &["--outputs", named, "--report", named])
            .refuses(&["--report", "an input of this command"]);
    }
    let golden = bundle.join("npy/submodel_output.npy");
    let calibration = ["--outputs", utf8(&golden), "--calibration", named];
    let arguments = [&calibration[..], &["--report", named]].concat();
    judge("check", &bundle, &arguments).refuses(&["an input of this command"]);
    assert_eq!(fs::read_to_string(&outputs).expect("still there"), text);
}

#[test]
fn outputs_from_files_are_compared_by_what_is_known_of_them() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    python("forms_of_outputs", &[&bundle, folder.path()]).expect_status(0);
    let place = |name: &str| folder.path().join("golden").join(name);
    let [text, batches, exact] =
        ["trtexec.json", "batches", "some.npy"].map(|name| utf8(&place(name)).to_owned());
    let twice = [format!("a={exact}"), format!("a={batches}")];
    let arguments = ["--outputs", &twice[0], "--outputs", &twice[1], "--no-tail"];
    judge("compare", &bundle, &arguments).refuses(&["two are called `a`"]);
    let report = folder.path().join("report.json");
    let (text, batches) = (format!("text={text}"), format!("batches={batches}"));
    let arguments = [
        &["--outputs", &text, "--outputs", &batches, "--no-tail"][..],
        &["--atol", "1e-1", "--report", utf8(&report)],
    ]
    .concat();
    judge("compare", &bundle, &arguments)
        .expect_status(0)
        .says("1: decimal text: no bits are compared")
        .says("2: 1 samples of padding at the end left out")
        .says("PASS: all 2 runs are within the tolerance");
    let record = read_json(&report);
    let [decimal, padded] = [0, 1].map(|number| &record["configurations"][number]);
    assert!(decimal["golden"].get("max_ulp").is_none(), "{decimal}");
    assert_eq!(padded["golden"]["max_ulp"], 0);
    assert!(
        padded["found"]["files"][0]["blake3"].is_string(),
        "{padded}"
    );
    assert!(record["pairs"][0].get("identical_elements").is_none());
}

#[test]
fn what_is_not_finite_is_not_said_to_be_equal() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let mut golden = fs::read(bundle.join("npy/submodel_output.npy")).expect("golden");
    let path = folder.path().join("nan.npy");
    let last = golden.len() - 4;
    golden[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, &golden).expect("write");
    judge("check", &bundle, &["--outputs", utf8(&path), "--no-tail"])
        .expect_status(1)
        .says("0: no finite element differs from the golden");
}

#[test]
fn flags_of_files_are_refused_where_something_runs() {
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    for flag in [
        ["--dtype", "float16"],
        ["--engine-name", "a"],
        ["--note", "b"],
    ] {
        let arguments = [["--device", "cpu"], flag].concat();
        judge("check", &bundle, &arguments).refuses(&["cannot be used with"]);
    }
}
