//! From what a command was asked for and found to what stands in its report.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::bundle::Bundle;

use super::layout::{
    BundleReport, CalibrationReport, ElementReport, ExtremeReport, FaultReport, FaultyReport,
    Heading, HistogramReport, OptionsReport, OutputReport, ResultReport, RuntimeReport,
    TargetReport, ToleranceOrigin,
};
use super::{grouped, range_text};
use crate::calibration::file::Entry;
use crate::compare::Tolerance;
use crate::fault::Fault;
use crate::host::Host;
use crate::onnxruntime::{Library, OnnxRuntime, Options};
use crate::verdict::{
    ElementPair, Extreme, Fate, FaultResult, FaultyOutput, FaultySample, OutputVerdict, Verdict,
};

impl Heading {
    /// When the run began, as RFC 3339 has it.
    pub fn started(&self) -> String {
        humantime::format_rfc3339_seconds(
            UNIX_EPOCH + Duration::from_secs(self.started_unix_seconds),
        )
        .to_string()
    }

    /// Of a run that begins now: as long as it has not ended, there is no result.
    pub fn begun() -> Self {
        Self {
            verifier: env!("CARGO_PKG_VERSION"),
            verdict: "error",
            exit_status: 2,
            error: Some("the run did not finish".to_owned()),
            started_unix_seconds: unix_seconds(),
            host: Host::this(),
            bundle: None,
        }
    }
}

impl CalibrationReport {
    /// From a file's entry.
    pub fn new(path: &Path, entry: &Entry) -> Self {
        Self {
            file: path.to_owned(),
            started_unix_seconds: entry.started_unix_seconds,
            passes: entry.passes,
            samples: entry.samples,
            smallest_atol: entry.smallest_atol,
            margin: entry.margin,
        }
    }
}

impl OptionsReport {
    /// The tolerance and where it comes from.
    pub fn tolerance_text(&self) -> String {
        let Tolerance { atol, rtol } = self.tolerance;
        let origin = match (&self.calibration, self.tolerance_origin) {
            (Some(calibration), _) => format!(
                "calibrated in {} passes of samples {}: {}",
                grouped(calibration.passes),
                range_text(calibration.samples),
                calibration.file.display()
            ),
            (None, ToleranceOrigin::Flags) => "given".to_owned(),
            (None, _) => "the default".to_owned(),
        };
        format!("atol {atol:e}, rtol {rtol:e} ({origin})")
    }
}

impl fmt::Display for TargetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.device)?;
        if let Some(id) = self.device_id {
            write!(f, " {id}")?;
        }
        for option in &self.device_options {
            write!(f, ", {option}")?;
        }
        match self.threads {
            Some(threads) => write!(f, ", {threads} threads"),
            None => Ok(()),
        }
    }
}

impl BundleReport {
    /// From an open bundle.
    pub fn new(bundle: &Bundle) -> Self {
        let manifest = bundle.manifest();
        Self {
            blake3: bundle.blake3(),
            preset: manifest.model.preset.clone(),
            module: manifest.module.clone(),
            weights_sha256: manifest.model.weights_sha256.clone(),
            golden: manifest.golden.clone(),
        }
    }
}

impl RuntimeReport {
    /// From a loaded runtime.
    pub fn new(library: &Library, runtime: &OnnxRuntime, options: &Options) -> Self {
        Self {
            library: library.clone(),
            provider: options.device.provider(),
            precision: options.precision(),
            nodes: runtime.placement().clone(),
            optimization: options.optimization,
            deterministic: true,
            load_seconds: runtime.load_seconds(),
        }
    }
}

impl ResultReport {
    /// From a verdict; `sample_index` gives a row's position in the split of CIFAR-10.
    pub fn new(
        verdict: &Verdict,
        faults: &[Fault],
        sample_index: impl Fn(usize) -> i64,
        recorded_in: &'static str,
    ) -> Self {
        let names: Vec<&str> = verdict
            .outputs
            .iter()
            .map(|output| output.name.as_str())
            .collect();
        Self {
            stopped: verdict.stopped,
            recorded_in,
            samples: verdict.samples,
            differing_samples: verdict.differing_samples,
            faulty_samples: verdict.faulty_samples(),
            total: output_report(None, &verdict.total()),
            outputs: verdict
                .outputs
                .iter()
                .map(|output| output_report(Some(output.name.clone()), output))
                .collect(),
            repeats: verdict.repeats,
            faults: faults
                .iter()
                .zip(&verdict.faults)
                .map(|(fault, result)| fault_report(fault, result))
                .collect(),
            flagged_without_fault: verdict.flagged_without_fault(faults),
            faulty: verdict
                .faulty
                .iter()
                .flat_map(|sample| sample.outputs.iter().map(move |output| (sample, output)))
                .map(|(sample, output)| {
                    faulty_report(
                        sample,
                        output,
                        names[output.output],
                        sample_index(sample.sample),
                    )
                })
                .collect(),
            seconds: verdict.seconds,
        }
    }
}

fn output_report(name: Option<String>, output: &OutputVerdict) -> OutputReport {
    OutputReport {
        name,
        elements: output.elements,
        differing_elements: output.differing_elements,
        mismatched_elements: output.mismatches,
        non_finite_elements: output.non_finite,
        max_abs_error: extreme(&output.max_abs_error),
        max_ulp: extreme(&output.max_ulp),
        histogram: output.histogram.as_ref().map(|counts| HistogramReport {
            equal: counts.equal,
            non_finite: counts.non_finite,
            bins: counts.bins().collect(),
        }),
    }
}

fn fault_report(fault: &Fault, result: &FaultResult) -> FaultReport {
    FaultReport {
        fault: fault.to_string(),
        fate: result.fate(),
        found: result.fate() == Fate::Detected,
        largest_change: result.largest_change,
        non_finite: result.non_finite,
        samples_beyond: result.samples_beyond,
        samples_flagged: result.samples_flagged,
    }
}

fn faulty_report(
    sample: &FaultySample,
    output: &FaultyOutput,
    name: &str,
    sample_index: i64,
) -> FaultyReport {
    FaultyReport {
        sample: sample.sample,
        sample_index,
        run: sample.run,
        output: name.to_owned(),
        mismatched_elements: output.mismatches,
        non_finite_elements: output.non_finite,
        geometry: output.geometry,
        first: element(&output.first),
        worst: element(&output.worst),
    }
}

fn extreme<T: Copy>(extreme: &Extreme<T>) -> ExtremeReport<T> {
    ExtremeReport {
        value: extreme.value,
        index: extreme.index.clone(),
    }
}

fn element(pair: &ElementPair) -> ElementReport {
    ElementReport {
        index: pair.index.clone(),
        golden: format!("{:e}", pair.golden),
        actual: format!("{:e}", pair.actual),
        xor: format!("{:08x}", pair.xor()),
    }
}

/// Seconds since 1970-01-01 UTC.
pub fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}
