//! A literal record in, the text of every format out.

use std::collections::BTreeMap;

use console::Host;
use insta::assert_snapshot;
use ndarray::Array3;
use proto::manifest::Golden;
use proto::npy::Dtype;
use proto::preprocessing::CIFAR10_CLASSES;

use super::bench::{Bench, BenchOptions};
use super::check::{Check, CheckOptions, ToleranceOrigin};
use super::matrix::{Matrix, MatrixOptions};
use super::record::{
    Body, BundleRecord, Format, RECORD_VERSION, Record, RuntimeRecord, TargetRecord, Verdict,
};
use super::{injected, text};
use crate::bench::Timing;
use crate::check::result::Seconds;
use crate::check::worst::WorstSample;
use crate::check::{
    BitsResult, CheckResult, FaultOutcome, FaultResult, FaultyOutput, OutputResult, Repeats, Stop,
};
use crate::compare::error_map::ErrorMap;
use crate::compare::{
    ClassChange, ClassCounts, Difference, ElementPair, Histogram, Largest, Pattern, Tolerance, Top1,
};
use crate::engine::batch_size::Origin as BatchSizeOrigin;
use crate::engine::command::{Ends, EngineSays, Expected};
use crate::engine::device::Device;
use crate::engine::files::FileRecord;
use crate::engine::onnxruntime::{LibraryInfo, Optimization};
use crate::engine::recorded::OutputsRecord;
use crate::engine::recorded::element_type::{ElementType, FloatType};
use crate::inject::WeightElement;
use crate::matrix::{Computer, Configuration, Outcome, Pair, Ran, clusters};
use crate::samples::{Origin, SampleInfo};

fn record<B: Body>(body: B) -> Record<B> {
    Record {
        record_version: RECORD_VERSION.to_owned(),
        command: B::COMMAND.to_owned(),
        verifier: "1.2.3".to_owned(),
        verdict: Verdict::Pass,
        exit_status: 0,
        error: None,
        started_unix_seconds: 1_700_000_000,
        host: Host {
            os: "linux".to_owned(),
            arch: "aarch64".to_owned(),
            cpu: "a | processor".to_owned(),
            cores: 6,
        },
        bundle: Some(BundleRecord {
            blake3: "b3".to_owned(),
            files: 41,
            preset: "nano".to_owned(),
            module: "transformer.layers.0.0.fn".to_owned(),
            weights_sha256: "aa".to_owned(),
            golden: Golden {
                libtorch: "2.13.0".to_owned(),
                device: "cpu".to_owned(),
                dtype: Dtype::Float32,
                threads: 2,
                batch_size: 100,
                cpu_features: vec!["avx2".to_owned()],
                float64: None,
                recorded: BTreeMap::new(),
            },
        }),
        body,
    }
}

fn target() -> TargetRecord {
    TargetRecord {
        device: Device::Cuda,
        device_id: Some(1),
        device_options: vec!["cudnn_conv_use_max_workspace=1".to_owned()],
        allow_reduced_precision: false,
        threads: None,
    }
}

fn runtime() -> RuntimeRecord {
    RuntimeRecord {
        library: LibraryInfo {
            path: "/opt/libonnxruntime.so".into(),
            version: "1.31.1".to_owned(),
            build: "ORT Build Info".to_owned(),
            sha256: "cc".to_owned(),
        },
        provider: "CUDAExecutionProvider".to_owned(),
        other_model: None,
        precision: "float32, TF32 off".to_owned(),
        nodes: [("CUDAExecutionProvider".to_owned(), 15)].into(),
        optimization: Optimization::All,
        deterministic: true,
        load_seconds: 0.25,
    }
}

fn check() -> Record<Check> {
    record(Check {
        options: CheckOptions {
            bundle: "bundles/nano".into(),
            part: "submodel".to_owned(),
            target: Some(target()),
            engine: None,
            outputs: None,
            tolerance: Tolerance::DEFAULT,
            tolerance_origin: ToleranceOrigin::Default,
            calibration: None,
            batch_size: Some(64),
            batch_size_origin: BatchSizeOrigin::Chosen,
            repeat: 1,
            samples: Some([0, 4]),
            faults: vec![],
            expect_detected: false,
        },
        runtime: Some(runtime()),
        engine: None,
        from_pixels: None,
        cannot_run: None,
        outputs: None,
        result: Some(clean_result()),
        worst: vec![],
    })
}

fn clean_result() -> CheckResult {
    let output = OutputResult {
        name: Some("submodel_output".to_owned()),
        elements: 24_960,
        bits: Some(BitsResult {
            differing_elements: 12_345,
            max_ulp: Largest {
                value: 1_234,
                index: Some(vec![1, 0, 7]),
            },
        }),
        max_abs_error: Largest {
            value: 4.8e-7,
            index: Some(vec![2, 64, 95]),
        },
        histogram: Some(Histogram::of(
            &[1.0, 2.0, 3.0, 4.0],
            &[1.0, 2.5, 3.0, f32::NAN],
        )),
        ..OutputResult::default()
    };
    CheckResult {
        stopped: None,
        recorded_in: Origin::Npy,
        without_golden: vec![],
        samples: 4,
        differing_samples: Some(4),
        faulty_samples: 0,
        total: OutputResult {
            name: None,
            histogram: None,
            ..output.clone()
        },
        outputs: vec![output],
        repeats: None,
        device_golden: None,
        faults: vec![],
        flagged_without_fault: 0,
        faulty: vec![],
        classes: None,
        classes_unknown: None,
        top1: None,
        seconds: Seconds {
            reading: 0.1,
            running: 1.5,
            comparing: 0.4,
        },
    }
}

/// Two faulty samples of four, five faults of every outcome, stopped in the second of three runs.
fn check_with_faults() -> Record<Check> {
    let mut record = check();
    record.verdict = Verdict::Error;
    record.exit_status = 2;
    record.error = Some("interrupted after 3 of 4 samples:\nthe result is partial".to_owned());
    let faulty = vec![
        faulty_output(1, Pattern::Row, 12.0, -0.5),
        faulty_output(2, Pattern::Single, f32::INFINITY, 0.25),
    ];
    let mut actual = vec![0.0; 65 * 96];
    actual[96] = 2e-7;
    actual[97] = 3e-6;
    actual[34 * 96 + 13] = f32::NAN;
    let pixel = |(row, column, channel)| (10 * row + 5 * column + channel) as u8;
    record.body.worst = vec![WorstSample {
        output: faulty[1].clone(),
        map: ErrorMap::new(&actual, &[0.0; 65 * 96], 96, Tolerance::DEFAULT),
        image: Some(Array3::from_shape_fn((2, 2, 3), pixel)),
    }];
    let result = record.body.result.as_mut().expect("a result");
    result.samples = 3;
    result.stopped = Some(Stop::Interrupted);
    result.faulty_samples = faulty.len();
    result.faulty = faulty;
    result.classes = Some(ClassCounts {
        tolerable: 0,
        critical: 1,
        non_finite: 1,
    });
    result.top1 = Some(Top1 {
        samples: 3,
        same_as_golden: 2,
        labelled: 3,
        correct: 1,
        golden_correct: 2,
    });
    result.total.mismatched_elements = 2;
    result.total.non_finite_elements = 1;
    result.repeats = Some(Repeats {
        runs: 2,
        total_runs: 5,
        differing_samples: 1,
        differing_elements: 3,
        largest_difference: 1.5e-8,
    });
    result.faults = [
        ("golden[1,34,13]=12", FaultOutcome::Detected, 12.5),
        ("input[2,0,7]^30", FaultOutcome::Missed, 3e38),
        ("output[0,0,0]^0", FaultOutcome::WithinTolerance, 1e-9),
        ("weight:to_qkv.weight[2,1]^0", FaultOutcome::Masked, 0.0),
        ("output[3,0,0]=inf", FaultOutcome::NotReached, 0.0),
    ]
    .map(|(text, outcome, change)| fault(text, outcome, change))
    .to_vec();
    result.faults[3].weight = Some(WeightElement {
        initializer: "to_qkv_weight".to_owned(),
        initializer_index: vec![1, 2],
        parameter: "transformer.layers.0.0.fn.to_qkv.weight".to_owned(),
        parameter_index: vec![2, 1],
    });
    record
}

/// More faults than are listed: two of each bit and two other values, one of them missed.
fn check_with_many_faults() -> Record<Check> {
    let mut record = check();
    record.verdict = Verdict::Fail;
    let result = record.body.result.as_mut().expect("a result");
    let flips = (0..32u8).flat_map(|bit| {
        let (first, second) = match bit {
            0..8 => (FaultOutcome::Masked, FaultOutcome::WithinTolerance),
            8..20 => (FaultOutcome::WithinTolerance, FaultOutcome::Detected),
            _ => (FaultOutcome::Detected, FaultOutcome::Detected),
        };
        let text = |sample: u8| format!("output[{sample},34,13]^{bit}");
        [fault(&text(0), first, 1e-9), fault(&text(1), second, 1.0)]
    });
    result.faults = flips.collect();
    result
        .faults
        .push(fault("golden[2,0,0]=12", FaultOutcome::Missed, 12.0));
    result
        .faults
        .push(fault("golden[3,0,0]=inf", FaultOutcome::NotReached, 0.0));
    record
}

fn fault(text: &str, outcome: FaultOutcome, largest_change: f64) -> FaultResult {
    let beyond = matches!(outcome, FaultOutcome::Detected | FaultOutcome::Missed);
    FaultResult {
        outcome,
        largest_change,
        samples_beyond: usize::from(beyond),
        samples_flagged: usize::from(outcome == FaultOutcome::Detected),
        ..FaultResult::new(&text.parse().expect("a fault"))
    }
}

fn faulty_output(sample: usize, pattern: Pattern, golden: f32, actual: f32) -> FaultyOutput {
    let pair = ElementPair::new(vec![sample, 34, 13], golden, actual);
    FaultyOutput {
        sample,
        info: SampleInfo {
            sample_index: 100 + sample as i64,
            label: Some(3),
            prediction: Some(5),
            confidence: Some(0.125),
            tier: (sample == 2).then_some(1),
        },
        run: sample - 1,
        output: "submodel_output".to_owned(),
        mismatched_elements: usize::from(golden.is_finite()) * 2,
        non_finite_elements: usize::from(!golden.is_finite()),
        pattern,
        first: pair.clone(),
        worst: pair,
        class: ClassChange::new(&[0.0, 1.0], &[golden, 0.5]),
    }
}

fn bench() -> Record<Bench> {
    let timing = |batch_size: usize, milliseconds: f64| Timing {
        batch_size,
        runs: 100,
        load_seconds: 0.02,
        first_seconds: 3e-3 * milliseconds,
        min_seconds: 0.9e-3 * milliseconds,
        p50_seconds: 1e-3 * milliseconds,
        p90_seconds: 1.1e-3 * milliseconds,
        p99_seconds: 1.5e-3 * milliseconds,
        max_seconds: 2e-3 * milliseconds,
        samples_per_second: 1e3 * batch_size as f64 / milliseconds,
        reading_seconds: 1e-5,
        comparing_seconds: 2e-5,
        comparing_share: 0.125,
        samples: 103 * batch_size,
        faulty_samples: 0,
        max_abs_error: 4.8e-7,
    };
    record(Bench {
        options: BenchOptions {
            bundle: "bundles/nano".into(),
            part: "submodel".to_owned(),
            target: Some(target()),
            engine: None,
            tolerance: Tolerance::DEFAULT,
            batch_sizes: vec![1, 64],
            warmup: 3,
            runs: 100,
            limit_seconds: 30.0,
            samples: None,
        },
        runtime: Some(runtime()),
        engine: None,
        timings: vec![timing(1, 0.5), timing(64, 12.0)],
        processes: vec![],
    })
}

fn matrix() -> Record<Matrix> {
    let difference = Difference {
        elements: 24_960,
        identical_elements: Some(12_615),
        non_finite_elements: 0,
        max_abs_difference: 4.8e-7,
        max_ulp: Some(1_234),
        same_argmax: None,
        samples: 4,
    };
    let within = Ran {
        within_tolerance: true,
        nodes: [("CPUExecutionProvider".to_owned(), 15)].into(),
        faulty_samples: 0,
        outside_elements: 0,
        golden: difference,
        top1: Some(Top1 {
            samples: 4,
            same_as_golden: 4,
            labelled: 4,
            correct: 3,
            golden_correct: 3,
        }),
        running_seconds: Some(0.5),
    };
    let outside = Ran {
        within_tolerance: false,
        faulty_samples: 4,
        outside_elements: 24_000,
        ..within.clone()
    };
    let configuration = |number: usize, engine: Computer, outcome: Outcome| Configuration {
        number,
        engine,
        batch_size: Some(64),
        threads: None,
        outcome,
        seconds: 1.25,
    };
    let onnxruntime = |device: Device| Computer::OnnxRuntime {
        runtime: "/opt/libonnxruntime.so".into(),
        device,
        optimization: Optimization::None,
        version: Some("1.31.1".to_owned()),
        sha256: Some("cc".to_owned()),
    };
    let control = Computer::Command {
        name: "bf16".to_owned(),
        says: EngineSays {
            version: Some("2.0".to_owned()),
            ..EngineSays::default()
        },
        expected: Ends::Several(vec![Expected::Fail, Expected::Cannot]),
    };
    let files = Computer::Outputs {
        name: "jetson".to_owned(),
        path: "a/outputs".into(),
        found: Some(OutputsRecord {
            files: vec![FileRecord {
                path: "a/outputs/submodel_output.npy".into(),
                bytes: 49_920,
                blake3: "dd".to_owned(),
            }],
            element_types: vec![ElementType::little(FloatType::Float16)],
            decimal_text: false,
            padding: 2,
        }),
    };
    let reason = "device `cuda` is not available:\nno CUDA-capable device".to_owned();
    let ran = |ran: &Ran| Outcome::Ran(Box::new(ran.clone()));
    let same = Difference {
        identical_elements: Some(24_960),
        max_abs_difference: 0.0,
        max_ulp: Some(0),
        ..difference
    };
    let pair = |configurations, difference| Pair {
        configurations,
        difference,
    };
    let pairs = vec![
        pair([1, 3], difference),
        pair([1, 4], same),
        pair([3, 4], difference),
    ];
    let mut record = record(Matrix {
        options: MatrixOptions {
            bundle: "bundles/nano".into(),
            part: "submodel".to_owned(),
            tolerance: Tolerance::DEFAULT,
            samples: None,
            allow_reduced_precision: true,
            timeout_seconds: 600.0,
        },
        configurations: vec![
            configuration(1, onnxruntime(Device::Cpu), ran(&within)),
            configuration(2, onnxruntime(Device::Cuda), Outcome::Failed { reason }),
            configuration(3, control, ran(&outside)),
            configuration(4, files, ran(&within)),
        ],
        same_bits: clusters(&pairs),
        pairs,
    });
    record.verdict = Verdict::Error;
    record.exit_status = 2;
    record
}

fn rendered<B: Body>(record: &Record<B>, format: Format) -> String {
    B::render(record, format).expect("a text")
}

/// Written as JSON and read back, a record is the same; so is each of its other formats.
fn assert_is_read_back<B: Body + PartialEq + std::fmt::Debug>(record: &Record<B>) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("record.json");
    record.write(&path).expect("written");
    assert_eq!(&Record::<B>::read(&path).expect("read"), record);
}

#[test]
fn records_are_read_back_from_json() {
    let mut faults = check_with_faults();
    faults.body.worst.clear(); // pictures are for the page alone
    assert_is_read_back(&faults);
    assert_is_read_back(&check());
    assert_is_read_back(&bench());
    assert_is_read_back(&matrix());
}

#[test]
fn a_clock_beyond_the_year_9999_is_no_reason_to_fail() {
    let mut late = check();
    late.started_unix_seconds = 253_402_300_799;
    assert_eq!(late.started(), "9999-12-31T23:59:59Z");
    late.started_unix_seconds += 1;
    assert_eq!(late.started(), "253402300800 s after 1970-01-01");
    late.started_unix_seconds = u64::MAX;
    assert!(late.started().starts_with("18446744073709551615 s"));
}

#[test]
fn a_record_of_another_command_or_layout_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("record.json");
    let mut later = check();
    later.record_version = "4.0".to_owned();
    later.write(&path).expect("written");
    let error = Record::<Check>::read(&path)
        .expect_err("a later layout")
        .to_string();
    assert_eq!(error, "record 4.0 of `check`, expected 3.3 of `check`");
    bench().write(&path).expect("written");
    assert!(Record::<Check>::read(&path).is_err());
    later.record_version = "3.9".to_owned();
    later.write(&path).expect("written");
    assert!(
        Record::<Check>::read(&path).is_ok(),
        "a later minor version is read"
    );
}

#[test]
fn a_format_that_a_command_does_not_have_is_no_file() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("table.html");
    assert!(bench().write(&path).is_err() && !path.exists());
}

#[test]
fn json_of_a_check() {
    let text = serde_json::to_string_pretty(&check_with_faults()).expect("JSON");
    assert_snapshot!("check.json", text);
}

#[test]
fn json_of_times_and_of_a_matrix() {
    let text = serde_json::to_string_pretty(&bench()).expect("JSON");
    assert_snapshot!("bench.json", text);
    let text = serde_json::to_string_pretty(&matrix()).expect("JSON");
    assert_snapshot!("compare.json", text);
}

#[test]
fn pages_of_text() {
    assert_snapshot!("check.md", rendered(&check(), Format::Markdown));
    assert_snapshot!(
        "check_faults.md",
        rendered(&check_with_faults(), Format::Markdown)
    );
    assert_snapshot!("bench.md", rendered(&bench(), Format::Markdown));
    assert_snapshot!("compare.md", rendered(&matrix(), Format::Markdown));
}

#[test]
fn a_page_with_pictures() {
    assert_snapshot!(
        "check_faults.html",
        rendered(&check_with_faults(), Format::Html)
    );
    assert_snapshot!("compare.html", rendered(&matrix(), Format::Html));
}

#[test]
fn many_faults_are_summed_up_before_some_are_listed() {
    let record = check_with_many_faults();
    let result = record.body.result.as_ref().expect("a result");
    assert_snapshot!("check_many_faults.txt", injected::text(result));
    let page = rendered(&record, Format::Markdown);
    let (_, faults) = page.split_once("## Faults").expect("a section");
    assert_snapshot!("check_many_faults.md", faults);
    let page = rendered(&record, Format::Html);
    let place = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("no {text} in\n{page}"))
    };
    let figure = place("Faults by the bit that they invert");
    let [sums, missed] = [place("22 to 16 mantissa"), place("golden[2,0,0]=12")];
    assert!(figure < sums && sums < missed, "{figure}, {sums}, {missed}");
    assert!(
        !page.contains("output[0,34,13]^31"),
        "one that is not listed"
    );
}

#[test]
fn sums_of_faults_are_made_from_a_record_that_is_read_back() {
    let record = check_with_many_faults();
    let text = serde_json::to_string(&record).expect("JSON");
    let back: Record<Check> = serde_json::from_str(&text).expect("a record");
    for format in [Format::Html, Format::Markdown] {
        assert_eq!(rendered(&back, format), rendered(&record, format));
    }
}

#[test]
fn a_map_of_logits_names_the_classes() {
    let mut record = check_with_faults();
    let worst = &mut record.body.worst[0];
    worst.output.output = "logits".to_owned();
    worst.output.worst.index = vec![2, 4];
    let mut actual = [0.0; 10];
    actual[4] = 2.5;
    worst.map = ErrorMap::new(&actual, &[0.0; 10], 10, Tolerance::DEFAULT);
    let page = rendered(&record, Format::Html);
    for text in CIFAR10_CLASSES.iter().chain(&[">class<", ">1e1<"]) {
        assert!(page.contains(text), "no {text} in\n{page}");
    }
    assert!(
        !page.contains(">token<") && !page.contains("not finite</text>"),
        "{page}"
    );
}

#[test]
fn what_no_bundle_says_has_no_place_on_a_page() {
    let mut record = check_with_faults();
    record.body.worst[0].image = None;
    record.body.worst[0].output.info = SampleInfo::default();
    let result = record.body.result.as_mut().expect("a result");
    result
        .faulty
        .iter_mut()
        .for_each(|faulty| faulty.info = SampleInfo::default());
    let page = rendered(&record, Format::Html);
    assert!(
        !page.contains("<img") && !page.contains("prediction"),
        "{page}"
    );
    let page = rendered(&record, Format::Markdown);
    assert!(
        !page.contains("| label") && !page.contains("| tier"),
        "{page}"
    );
}

#[test]
fn lists() {
    assert_snapshot!(
        "check_faults.csv",
        rendered(&check_with_faults(), Format::Csv)
    );
    assert_snapshot!("bench.csv", rendered(&bench(), Format::Csv));
    assert_snapshot!(
        "check_faults.xml",
        rendered(&check_with_faults(), Format::Junit)
    );
}

#[test]
fn a_check_on_a_terminal() {
    let record = check_with_faults();
    let result = record.body.result.as_ref().expect("a result");
    let mut shown = text::setting(&record, Origin::Npy);
    shown += &text::comparison(result);
    shown += &injected::text(result);
    shown += &text::verdict(&record, result, 4);
    assert_snapshot!("check_faults.txt", shown);
    let record = check();
    let result = record.body.result.as_ref().expect("a result");
    let mut shown = text::setting(&record, Origin::Npy);
    shown += &text::comparison(result);
    shown += &text::verdict(&record, result, 4);
    assert_snapshot!("check.txt", shown);
}
