//! Flags. Meaning lives in the library, printing in `commands`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand};
use proto::manifest::Part;
use verifier::device::{Device, key_values};
use verifier::fault::Fault;
use verifier::onnxruntime::{Memory, Optimization, Options};
use verifier::report::{Format, TargetReport};

/// Whole numbers in a range.
type Number = RangedU64ValueParser<usize>;

/// Runs a bundle's submodel on the target and compares every element with the golden.
#[derive(Debug, Parser)]
#[command(
    name = "verifier",
    version,
    after_help = "Example:\n  verifier check bundles/nano --device cpu\n\nExit status:\n  0  everything compared and within tolerance\n  1  compared, and something was outside\n  2  could not run or could not finish"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a part on every sample and compare it with the golden
    #[command(
        after_help = "Examples:\n  verifier check bundles/nano --device cuda --atol 5e-6 --rtol 1e-5 --batch-size 64\n  verifier check bundles/nano --device cpu --inject --report faults.json --report faults.md\n  verifier check bundles/nano --device cpu --fault 'weight:to_qkv_weight[10,20]^30' --expect-detected\n\nA device asked for is a device used: if any part would run elsewhere, the exit status is 2.\nFaults act all at once, in copies in memory: the bundle stays as it is.\n\nExit status:\n  0  everything compared and within tolerance\n  1  compared, and something was outside\n  2  could not run or could not finish"
    )]
    Check(Box<CheckArgs>),
    /// Find the tolerance that fits this device, and which bit flips it would catch
    #[command(
        after_help = "Example:\n  verifier calibrate bundles/nano --device cuda --passes 20 --plot floor.svg\n\nRuns without faults; writes bundles/nano.calibration.json, which `check` uses for the same bundle,\npart, runtime library, device, options, threads, batch size and machine. A file that is there keeps its other settings.\n\nExit status:\n  0  written\n  1  a further pass had a false alarm: nothing was written\n  2  could not run or could not finish"
    )]
    Calibrate(Box<CalibrateArgs>),
    /// Run several runtimes, devices and optimisation levels, and compare them with the golden and
    /// with each other
    #[command(
        after_help = "Example:\n  verifier compare bundles/nano --device cpu --device openvino --runtime a/libonnxruntime.so --runtime b/libonnxruntime.so \\\n    --optimization none --optimization all --report compare.md\n\nEach combination is a process of its own: one that crashes or hangs is a row of the table, not the end.\n\nExit status:\n  0  all ran, and are within tolerance of the golden\n  1  all ran, and something was outside\n  2  some did not come to an end"
    )]
    Compare(Box<CompareArgs>),
    /// Time a part at several batch sizes, and compare everything that is timed with the golden
    #[command(
        after_help = "Example:\n  verifier bench bundles/nano --device cuda --batch-size 1 --batch-size 64 --report latency.md\n\nLatency is from handing over a batch to having its outputs; percentiles are nearest-rank.\n\nExit status:\n  0  timed, and everything within tolerance\n  1  timed, and something was outside\n  2  could not run or could not finish"
    )]
    Bench(Box<BenchArgs>),
    /// Show what the ONNX Runtime library offers, and which devices work here
    #[command(
        after_help = "Example:\n  verifier devices --runtime /opt/onnxruntime/lib/libonnxruntime.so"
    )]
    Devices(DevicesArgs),
    /// Show what a bundle, an ONNX file or an NPY file holds
    #[command(
        after_help = "Example:\n  verifier inspect bundles/nano\n  verifier inspect bundles/nano/onnx/submodel/model.onnx\n  verifier inspect bundles/nano/npy/logits.npy"
    )]
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Folder that `exporter bundle` wrote
    pub(crate) bundle: PathBuf,
    /// Part to run: submodel, or full, head and tail on their test data sets
    #[arg(long, default_value = "submodel", value_name = "NAME")]
    pub(crate) part: String,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Absolute tolerance [default: calibrated, else 5e-6]
    #[arg(long, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: Option<f32>,
    /// Tolerance relative to the golden [default: calibrated, else 1e-5]
    #[arg(long, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: Option<f32>,
    /// Calibrations, one of them of this setting [default: <BUNDLE>.calibration.json, if it has
    /// one]
    #[arg(long, value_name = "FILE", conflicts_with = "no_calibration")]
    pub(crate) calibration: Option<PathBuf>,
    /// Use no calibration
    #[arg(long)]
    pub(crate) no_calibration: bool,
    /// Samples in one run of the model
    #[arg(long, alias = "batch_size", default_value_t = 64, value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) batch_size: usize,
    /// Samples START up to, but not including, END [default: all]
    #[arg(long, num_args = 2, value_names = ["START", "END"])]
    pub(crate) range: Option<Vec<usize>>,
    /// Run every batch N times: each run is compared with the golden, and bit for bit with the
    /// first
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) repeat: usize,
    /// End with the first batch that has a faulty sample
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Keep golden, output and positions of every faulty sample as NPY in this new folder
    #[arg(long, value_name = "DIR")]
    pub(crate) dump_faulty: Option<PathBuf>,
    /// Keep all that the runtime computed, before any fault of outputs, as NPY in this new folder
    #[arg(long, value_name = "DIR", conflicts_with = "fail_fast")]
    pub(crate) save_outputs: Option<PathBuf>,
    /// Self-test: put the five wrong values of the Python repository into the golden, to see them
    /// found (needs 301 samples)
    #[arg(long, overrides_with = "no_inject")]
    pub(crate) inject: bool,
    /// Put no error anywhere (the default)
    #[arg(long, hide = true)]
    pub(crate) no_inject: bool,
    /// Change one value: TARGET[INDEX]=VALUE or TARGET[INDEX]^BIT, TARGET one of golden, input,
    /// output, weight:NAME; repeatable
    #[arg(long = "fault", value_name = "SPEC", allow_hyphen_values = true)]
    pub(crate) faults: Vec<Fault>,
    /// Exit status 0 if every fault beyond the tolerance was flagged, and no sample without a
    /// fault; else 1
    #[arg(long)]
    pub(crate) expect_detected: bool,
    /// Write the result: FILE.html, .json, .md, .csv or .xml (JUnit); repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = report_file)]
    pub(crate) reports: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// Folder that `exporter bundle` wrote
    pub(crate) bundle: PathBuf,
    /// Part to run: submodel, or full, head and tail on their test data sets
    #[arg(long, default_value = "submodel", value_name = "NAME")]
    pub(crate) part: String,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Passes over all samples before the tolerance is chosen; one more checks it
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) passes: usize,
    /// Relative part of the tolerance; the absolute part is found
    #[arg(long, default_value = "0", value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: f32,
    /// How many times the least absolute tolerance without a false alarm to choose
    #[arg(long, default_value = "2", value_name = "F", value_parser = margin, allow_negative_numbers = true)]
    pub(crate) margin: f32,
    /// Samples in one run of the model
    #[arg(long, alias = "batch_size", default_value_t = 64, value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) batch_size: usize,
    /// Samples START up to, but not including, END [default: all]
    #[arg(long, num_args = 2, value_names = ["START", "END"])]
    pub(crate) range: Option<Vec<usize>>,
    /// File to write, or to add this setting to [default: <BUNDLE>.calibration.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Draw the detection floor, which share of the flips of each bit is caught
    #[arg(long, value_name = "FILE.svg", value_parser = svg_file)]
    pub(crate) plot: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Folder that `exporter bundle` wrote
    pub(crate) bundle: PathBuf,
    /// ONNX Runtime library; repeatable [default: as for `check`]
    #[arg(long = "runtime", value_name = "LIB")]
    pub(crate) runtimes: Vec<PathBuf>,
    /// Device; repeatable
    #[arg(long = "device", value_name = "NAME", required = true)]
    pub(crate) devices: Vec<Device>,
    /// How far the runtime may rewrite the graph; repeatable
    #[arg(
        long = "optimization",
        value_enum,
        value_name = "LEVEL",
        default_value = "all"
    )]
    pub(crate) optimizations: Vec<Optimization>,
    /// Part to run: submodel, or full, head and tail on their test data sets
    #[arg(long, default_value = "submodel", value_name = "NAME")]
    pub(crate) part: String,
    /// Absolute tolerance [default: 5e-6]
    #[arg(long, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: Option<f32>,
    /// Tolerance relative to the golden [default: 1e-5]
    #[arg(long, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: Option<f32>,
    /// Samples in one run of the model
    #[arg(long, alias = "batch_size", default_value_t = 64, value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) batch_size: usize,
    /// Samples START up to, but not including, END [default: all]
    #[arg(long, num_args = 2, value_names = ["START", "END"])]
    pub(crate) range: Option<Vec<usize>>,
    /// Threads for one operation on the CPU [default: the runtime's choice, one per core]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
    /// Seconds after which a run is killed
    #[arg(long, default_value = "600", value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: f64,
    /// Folder for the outputs of all runs, which are removed in the end [default: the system's
    /// temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
    /// Write the tables: FILE.json or .md; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = table_file)]
    pub(crate) reports: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Folder that `exporter bundle` wrote
    pub(crate) bundle: PathBuf,
    /// Part to run: submodel, or full, head and tail on their test data sets
    #[arg(long, default_value = "submodel", value_name = "NAME")]
    pub(crate) part: String,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Samples in one run of the model; repeatable [default: 1, 8 and 64, as far as there are so
    /// many samples]
    #[arg(long = "batch-size", alias = "batch_size", value_name = "N", value_parser = Number::new().range(1..))]
    pub(crate) batch_sizes: Vec<usize>,
    /// Runs before those that are timed
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = Number::new().range(1..=1_000_000))]
    pub(crate) warmup: usize,
    /// Timed runs of each batch size
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = Number::new().range(1..=1_000_000))]
    pub(crate) runs: usize,
    /// Seconds after which no further timed run of a batch size begins
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) seconds: f64,
    /// Samples START up to, but not including, END [default: all]
    #[arg(long, num_args = 2, value_names = ["START", "END"])]
    pub(crate) range: Option<Vec<usize>>,
    /// Absolute tolerance [default: 5e-6]
    #[arg(long, value_name = "A", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) atol: Option<f32>,
    /// Tolerance relative to the golden [default: 1e-5]
    #[arg(long, value_name = "R", value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) rtol: Option<f32>,
    /// Write the times: FILE.json, .md or .csv; repeatable
    #[arg(long = "report", value_name = "FILE", value_parser = times_file)]
    pub(crate) reports: Vec<PathBuf>,
}

/// What runs a model, and where.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// Device to run on: cpu, cuda, tensorrt, openvino, or another provider of the runtime by its
    /// name
    #[arg(long, default_value = "cuda", value_name = "NAME")]
    pub(crate) device: Device,
    /// Which one of several such devices
    #[arg(long, value_name = "N")]
    pub(crate) device_id: Option<u32>,
    /// A setting of the device's provider, handed on as it is; repeatable
    #[arg(long = "device-option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) device_options: Vec<(String, String)>,
    /// Leave TF32 and other reduced precision to the provider [default: off]
    #[arg(long)]
    pub(crate) allow_reduced_precision: bool,
    /// How far the runtime may rewrite the graph
    #[arg(long, value_enum, default_value = "all", value_name = "LEVEL")]
    pub(crate) optimization: Optimization,
    /// ONNX Runtime library [default: ORT_DYLIB_PATH, beside the executable, .deps, the system's]
    #[arg(long, value_name = "LIB")]
    pub(crate) runtime: Option<PathBuf>,
    /// Threads for one operation on the CPU [default: the runtime's choice, one per core]
    #[arg(long, value_name = "N", value_parser = Number::new().range(1..=1024))]
    pub(crate) threads: Option<usize>,
}

impl CheckArgs {
    /// Whether the user gave a tolerance, which then is the one.
    pub(crate) fn has_tolerance(&self) -> bool {
        self.atol.is_some() || self.rtol.is_some()
    }
}

impl TargetArgs {
    /// As reports have it.
    pub(crate) fn report(&self) -> TargetReport {
        TargetReport {
            device: self.device.clone(),
            device_id: self.device_id,
            device_options: key_values(&self.device_options),
            allow_reduced_precision: self.allow_reduced_precision,
            threads: self.threads,
        }
    }

    /// How a part is to be run. Large ones on the CPU let the process begin again: nothing may have
    /// been done yet.
    pub(crate) fn settle(&self, part: &Part, batch_size: usize) -> Options {
        let memory = Memory::of_runs(part, batch_size);
        if self.device == Device::Cpu {
            memory.settle();
        }
        Options {
            device: self.device.clone(),
            device_id: self.device_id,
            device_options: self.device_options.clone(),
            allow_reduced_precision: self.allow_reduced_precision,
            threads: self.threads,
            optimization: self.optimization,
            memory,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// ONNX Runtime library [default: ORT_DYLIB_PATH, beside the executable, .deps, the system's]
    #[arg(long, value_name = "LIB")]
    pub(crate) runtime: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A bundle's folder, an ONNX file or an NPY file
    pub(crate) path: PathBuf,
}

/// Rounded twice, as a Python number that `torch.isclose` is given for float32 tensors.
fn tolerance(text: &str) -> Result<f32, String> {
    match text.parse::<f64>().map(|value| value as f32) {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("expected a finite number from 0".to_owned()),
    }
}

fn margin(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && value >= 1.0 => Ok(value),
        _ => Err("expected a finite number from 1".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1e9 => Ok(value),
        _ => Err("expected a number of seconds above 0".to_owned()),
    }
}

fn times_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json" | "md" | "csv") => Ok(path),
        _ => Err("expected a name that ends in .json, .md or .csv".to_owned()),
    }
}

fn table_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json" | "md") => Ok(path),
        _ => Err("expected a name that ends in .json or .md".to_owned()),
    }
}

fn svg_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension == "svg" => Ok(path),
        _ => Err("expected a name that ends in .svg".to_owned()),
    }
}

fn report_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match Format::of(&path) {
        Some(_) => Ok(path),
        None => Err("expected a name that ends in .html, .json, .md, .csv or .xml".to_owned()),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

impl Command {
    /// Whether reduced precision may be left to the provider.
    pub(crate) fn allows_reduced_precision(&self) -> bool {
        match self {
            Self::Bench(arguments) => arguments.target.allow_reduced_precision,
            Self::Calibrate(arguments) => arguments.target.allow_reduced_precision,
            Self::Check(arguments) => arguments.target.allow_reduced_precision,
            Self::Compare(_) | Self::Devices(_) | Self::Inspect(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_rounded_as_torch_rounds_them() {
        // torch.isclose(torch.tensor(1 + 2**-23), torch.tensor(0.0), rtol=0,
        // atol=1.000000059604644775390626) is false: in float64 the tolerance lies halfway between
        // 1 and that, in decimals above.
        assert_eq!(tolerance("1.000000059604644775390626"), Ok(1.0));
        assert_eq!(tolerance("5e-6"), Ok(5e-6));
        for refused in ["1e39", "inf", "nan", "-1", ""] {
            assert!(tolerance(refused).is_err(), "{refused}");
        }
    }
}
