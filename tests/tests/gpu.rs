//! What must hold on a GPU, from `check` to training; `docs/gpu.md` says what a run prints.
//!
//! Each rule is held to a stand-in, OpenVINO or the CPU, on every machine, and to an NVIDIA GPU
//! where `nvidia-smi` answers. Elsewhere one line says that the GPU is skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tests::{
    Ended, Gpu, Program, bundle, data, export_command, fresh_weights, gpu, interrupt, onnxruntime,
    openvino, read_json, run, scratch, show, utf8, with_gpus,
};

/// `--inject` needs 301.
const SAMPLES: usize = 320;
/// What a device in float32 is calibrated to, at the most: twice an error that is 5e-7 for the
/// submodel and 1.5e-6 for the full model on CPUs. With TF32 it is 1e-4 and more.
const LARGEST_ATOL: f64 = 2e-5;
/// Errors of reduced precision: of TF32 some 1e-4, of bfloat16 some 1e-2.
const LARGEST_REDUCED_ERROR: f64 = 0.1;
/// How much larger the error is where TF32 is used, at the least.
const LEAST_GAIN_OF_FLOAT32: f64 = 4.0;
const OPTIMIZATIONS: [&str; 4] = ["none", "basic", "extended", "all"];

/// What runs a part: a device, and the library that has it.
struct Target {
    device: &'static str,
    provider: &'static str,
    runtime: PathBuf,
    /// Whether it is known to have an arithmetic that is less precise than float32.
    has_reduced_precision: bool,
    /// Whether what was measured is shown.
    is_shown: bool,
}

impl Target {
    fn cpu() -> Self {
        Self::stand_in("cpu", "CPUExecutionProvider", onnxruntime())
    }

    fn stand_in(device: &'static str, provider: &'static str, runtime: PathBuf) -> Self {
        Self {
            device,
            provider,
            runtime,
            has_reduced_precision: false,
            is_shown: false,
        }
    }

    /// The stand-in, and what a GPU offers.
    fn all() -> Vec<Self> {
        let stand_in = Self::stand_in("openvino", "OpenVINOExecutionProvider", openvino());
        let of_gpu = gpu().map(Self::of_gpu).unwrap_or_default();
        [stand_in].into_iter().chain(of_gpu).collect()
    }

    fn of_gpu(gpu: &Gpu) -> Vec<Self> {
        let target = |device, provider| Self {
            device,
            provider,
            runtime: gpu.runtime.clone(),
            has_reduced_precision: gpu.has_tf32 == Some(true),
            is_shown: true,
        };
        let tensorrt = target("tensorrt", "TensorrtExecutionProvider");
        let tensorrt = gpu.has_tensorrt.then_some(tensorrt);
        let cuda = target("cuda", "CUDAExecutionProvider");
        [cuda].into_iter().chain(tensorrt).collect()
    }

    /// Runs a command of the verifier on it.
    fn verify(&self, command: &str, bundle: &Path, arguments: &[&str]) -> Ended {
        let mut started = with_gpus(Program::Verifier.command());
        started.arg(command).arg(bundle);
        started.args(["--device", self.device]).args(arguments);
        run(started.arg("--runtime").arg(&self.runtime))
    }

    fn show(&self, line: &str) {
        if self.is_shown {
            show(&format!("gpu: {}: {line}", self.device));
        }
    }

    /// Panics unless every node ran on the device, as a record says it.
    #[track_caller]
    fn expect_all_nodes(&self, nodes: &Value) -> u64 {
        let nodes = nodes.as_object().expect("nodes");
        assert!(nodes.keys().eq([self.provider]), "{nodes:?}");
        let count = nodes[self.provider].as_u64().expect("a number");
        assert!(count > 0, "{nodes:?}");
        count
    }

    /// A tolerance is found, small enough for float32, and with it every sample passes; gives it.
    fn passes_once_calibrated(&self, bundle: &Path, part: &str) -> f64 {
        let report = bundle.with_extension("check.json");
        let part_flag = ["--part", part];
        let arguments = [&part_flag[..], &["--passes", "5"]].concat();
        self.verify("calibrate", bundle, &arguments)
            .expect_status(0)
            .says(&format!(" nodes on {})", self.provider));
        let arguments = [&part_flag[..], &["--report", utf8(&report)]].concat();
        self.verify("check", bundle, &arguments)
            .expect_status(0)
            .says("calibrated in 5 passes")
            .says("PASS");
        let record = read_json(&report);
        let nodes = self.expect_all_nodes(&record["runtime"]["nodes"]);
        assert_eq!(record["runtime"]["provider"], self.provider);
        assert_eq!(record["options"]["allow_reduced_precision"], false);
        assert_eq!(record["result"]["faulty_samples"], 0);
        let atol = number(&record["options"]["atol"]);
        assert!(atol > 0.0 && atol <= LARGEST_ATOL, "{part}: atol {atol:e}");
        let precision = record["runtime"]["precision"].as_str().expect("a text");
        self.show(&format!(
            "{part}: {nodes} nodes, {precision}, calibrated to atol {atol:.1e}"
        ));
        atol
    }

    /// With the calibration, faults are detected, and no sample without one is flagged.
    fn detects(&self, bundle: &Path, faults: &[&str], count: usize) {
        self.verify("check", bundle, &[faults, &["--expect-detected"]].concat())
            .expect_status(0)
            .says("calibrated in ")
            .says(&format!("{count} faults: {count} detected"));
        let faults = faults.join(" ");
        self.show(&format!("{faults}: {count} of {count} detected"));
    }

    fn is_timed(&self, bundle: &Path) {
        let report = bundle.with_extension("bench.json");
        let sizes = ["--batch-size", "1", "--batch-size", "64"];
        let runs = ["--runs", "20", "--report", utf8(&report)];
        self.verify("bench", bundle, &[sizes, runs].concat())
            .expect_status(0)
            .says("PASS: all that was timed is within the tolerance");
        let record = read_json(&report);
        self.expect_all_nodes(&record["runtime"]["nodes"]);
        for timing in record["timings"].as_array().expect("timings") {
            let [median, rate] = ["p50_seconds", "samples_per_second"].map(|name| &timing[name]);
            assert!(number(median) > 0.0 && number(rate) > 0.0, "{timing}");
            let (size, milliseconds) = (&timing["batch_size"], 1e3 * number(median));
            self.show(&format!("batch of {size}: median {milliseconds:.3} ms"));
        }
    }

    /// At every optimisation the device is as near to the golden as the CPU, and to the CPU; with
    /// reduced precision it is not, where it has such.
    fn is_near_the_cpu(&self, bundle: &Path) {
        let full = self.errors_beside_the_cpu(bundle, &[]);
        let reduced = self.errors_beside_the_cpu(bundle, &["--allow-reduced-precision"]);
        assert_eq!(full.cpu, reduced.cpu, "the CPU has one arithmetic");
        assert_eq!(full.status, 0, "{full:?}");
        assert!(full.largest_to_cpu <= LARGEST_ATOL, "{full:?}");
        for (level, (full, reduced)) in full.device.iter().zip(&reduced.device).enumerate() {
            let level = OPTIMIZATIONS[level];
            let text = format!("graph {level}: error {full:.1e}, reduced precision {reduced:.1e}");
            assert!(
                *full <= LARGEST_ATOL && *reduced <= LARGEST_REDUCED_ERROR,
                "{text}"
            );
            if self.has_reduced_precision {
                assert!(*reduced >= LEAST_GAIN_OF_FLOAT32 * full, "{text}");
            }
            self.show(&text);
        }
    }

    /// `verifier compare` of the device with the CPU; every run must come to an end.
    fn errors_beside_the_cpu(&self, bundle: &Path, more: &[&str]) -> Errors {
        let report = bundle.with_extension("compare.json");
        let levels = OPTIMIZATIONS.map(|level| ["--optimization", level]);
        let own = ["--device", "cpu", "--report", utf8(&report)];
        let ended = self.verify(
            "compare",
            bundle,
            &[levels.as_flattened(), &own, more].concat(),
        );
        assert!(ended.status < 2, "\n{ended}");
        let record = read_json(&report);
        let is_allowed = &record["options"]["allow_reduced_precision"];
        assert_eq!(is_allowed, &Value::from(!more.is_empty()));
        let rows = record["configurations"].as_array().expect("rows");
        let (of_device, of_cpu) = rows.split_at(OPTIMIZATIONS.len());
        let errors = |rows: &[Value], target: &Self| -> Vec<f64> {
            let error = |(row, level): (&Value, &str)| {
                let setting = [&row["outcome"], &row["device"], &row["optimization"]];
                assert_eq!(setting, ["ran", target.device, level], "{row:#}");
                target.expect_all_nodes(&row["nodes"]);
                number(&row["golden"]["max_abs_difference"])
            };
            rows.iter().zip(OPTIMIZATIONS).map(error).collect()
        };
        assert_eq!(of_cpu.len(), OPTIMIZATIONS.len());
        let pairs = record["pairs"].as_array().expect("pairs");
        let differences = pairs.iter().map(|pair| number(&pair["max_abs_difference"]));
        Errors {
            status: ended.status,
            device: errors(of_device, self),
            cpu: errors(of_cpu, &Self::cpu()),
            largest_to_cpu: differences.fold(0.0, f64::max),
        }
    }
}

/// What `verifier compare` found, at each optimisation.
#[derive(Debug)]
struct Errors {
    status: i32,
    /// Largest error against the golden.
    device: Vec<f64>,
    cpu: Vec<f64>,
    /// Largest difference of two runs.
    largest_to_cpu: f64,
}

#[track_caller]
fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[test]
fn a_device_passes_once_calibrated_and_every_fault_is_detected() {
    for target in Target::all() {
        let folder = scratch();
        let bundle = bundle(folder.path(), "nano", SAMPLES);
        target.passes_once_calibrated(&bundle, "submodel");
        target.detects(&bundle, &["--inject"], 5);
        target.detects(&bundle, &["--fault", "weight:to_qkv_weight[10,20]^30"], 1);
        target.detects(&bundle, &["--fault", "input[3,0,7]^30"], 1);
    }
}

#[test]
fn the_full_model_passes_on_a_device_once_calibrated() {
    for target in Target::all() {
        let folder = scratch();
        let weights = fresh_weights(folder.path(), "nano");
        let bundle = folder.path().join("bundle");
        let mut command = export_command(&weights, &bundle);
        run(command.args(["--samples", "16", "--test-data-sets", "16"])).expect_status(0);
        target.passes_once_calibrated(&bundle, "full");
    }
}

#[test]
fn a_device_is_timed_and_what_is_timed_is_right() {
    for target in Target::all() {
        let folder = scratch();
        target.is_timed(&bundle(folder.path(), "nano", 64));
    }
}

#[test]
fn a_device_is_near_the_cpu_at_every_optimization() {
    for target in Target::all() {
        let folder = scratch();
        target.is_near_the_cpu(&bundle(folder.path(), "nano", 64));
    }
}

/// What the trainer and the exporter run on.
struct TorchDevice {
    /// The flag's value.
    flag: &'static str,
    /// Its name in what they print.
    name: &'static str,
    precisions: &'static [&'static str],
}

impl TorchDevice {
    fn all() -> Vec<Self> {
        let cpu = Self {
            flag: "cpu",
            name: "cpu",
            precisions: &["bf16"],
        };
        let of_gpu = gpu().map(|_| Self {
            flag: "cuda",
            name: "cuda:0",
            precisions: &["bf16", "tf32"],
        });
        [cpu].into_iter().chain(of_gpu).collect()
    }

    /// `trainer train` of `nano`: a second an epoch on one core, and long enough for a signal on a
    /// GPU.
    fn train(&self, out: &Path, epochs: &str, more: &[&str]) -> Command {
        const RUN: &str = "train --model nano --batch-size 32 --train-samples 640 \
                           --test-samples 100 --epochs";
        let mut command = with_gpus(Program::Trainer.command());
        command.args(RUN.split_whitespace()).arg(epochs).args(more);
        command.args(["--device", self.flag]);
        command.arg("--data").arg(data()).arg("--out").arg(out);
        command
    }

    fn show(&self, line: &str) {
        if self.flag != "cpu" {
            show(&format!("gpu: {}: {line}", self.name));
        }
    }
}

/// What the epochs of a run came to: loss of training, loss of the test, correct test images.
fn epochs(out: &Path) -> Vec<[f64; 3]> {
    let file = out.join("vit_nano_cifar10/metrics.jsonl");
    let text = fs::read_to_string(file).expect("metrics");
    let numbers = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        ["train_loss", "test_loss", "test_correct"].map(|name| number(&row[name]))
    };
    text.lines().map(numbers).collect()
}

/// Largest difference of a loss between two runs.
fn largest_difference(a: &[[f64; 3]], b: &[[f64; 3]]) -> f64 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).flat_map(|(a, b)| {
        let losses = a[..2].iter().zip(&b[..2]);
        losses.map(|(a, b)| (a - b).abs())
    });
    differences.fold(0.0, f64::max)
}

/// Where a device adds in an order of its own, two runs of 120 steps drift apart by less.
const LARGEST_DRIFT: f64 = 0.05;

#[test]
fn a_resumed_run_has_the_epochs_of_one_that_was_not_stopped() {
    for device in TorchDevice::all() {
        let folders = [(); 3].map(|()| scratch());
        let [first, second, stopped] = folders.each_ref().map(|folder| folder.path());
        for out in [first, second] {
            run(&mut device.train(out, "6", &[]))
                .expect_status(0)
                .says(&format!("device       {} (", device.name));
        }
        let (status, stderr) = interrupt(&mut device.train(stopped, "6", &[]), "    1 ");
        assert_eq!(status, Some(2), "{stderr}");
        assert!(stderr.contains("stopped in epoch"), "{stderr}");
        let before = epochs(stopped);
        run(&mut device.train(stopped, "6", &["--resume"])).expect_status(0);

        let [first, second, resumed] = [first, second, stopped].map(epochs);
        assert_eq!(before, resumed[..before.len()], "epochs that had ended");
        let repeated = largest_difference(&first, &second);
        let drift = largest_difference(&first, &resumed);
        // What gives the same bits twice gives them after a stop as well.
        let allowed = if first == second { 0.0 } else { LARGEST_DRIFT };
        assert!(drift <= allowed, "{drift:e}: {first:?} {resumed:?}");
        let [before, after] = [0, first.len() - 1].map(|epoch| first[epoch][0]);
        device.show(&format!(
            "training: loss {before:.3} to {after:.3}; repeated {repeated:.1e} apart, resumed \
             {drift:.1e}"
        ));
    }
}

/// Between the training losses of the first epoch.
const LARGEST_DIFFERENCE_OF_PRECISIONS: f64 = 0.1;

#[test]
fn every_precision_trains_alike() {
    for device in TorchDevice::all() {
        let loss = |precision: &str| {
            let folder = scratch();
            let precision = ["--precision", precision];
            run(&mut device.train(folder.path(), "1", &precision)).expect_status(0);
            epochs(folder.path())[0][0]
        };
        let expected = loss("f32");
        for precision in device.precisions {
            let difference = (loss(precision) - expected).abs();
            let text = format!("training in {precision}: loss {difference:.1e} from float32's");
            assert!(difference <= LARGEST_DIFFERENCE_OF_PRECISIONS, "{text}");
            device.show(&text);
        }
    }
}

#[test]
fn a_golden_recorded_on_a_device_passes_on_the_cpu() {
    for device in TorchDevice::all() {
        let folder = scratch();
        let weights = fresh_weights(folder.path(), "nano");
        let bundle = folder.path().join("bundle");
        let mut command = with_gpus(export_command(&weights, &bundle));
        command.args(["--samples", "40", "--test-data-sets", "16"]);
        run(command.args(["--device", device.flag]))
            .expect_status(0)
            .says(&format!("golden       {} (", device.name));
        let manifest = read_json(&bundle.join("manifest.json"));
        assert_eq!(manifest["golden"]["device"], device.name);
        for part in ["submodel", "full"] {
            let atol = Target::cpu().passes_once_calibrated(&bundle, part);
            device.show(&format!(
                "golden of {part}: calibrated to atol {atol:.1e} on the CPU"
            ));
        }
    }
}
