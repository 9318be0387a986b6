//! What `verifier check` adds to the record.

use std::path::PathBuf;

use console::grouped;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::CommandRecord;
use super::outputs::OutputsOptions;
use super::record::{FromPixelsRecord, Record, RuntimeRecord, TargetRecord, Verdict};
use super::table::range_text;
use crate::calibrate::file::Entry;
use crate::check::CheckResult;
use crate::check::worst::WorstSample;
use crate::compare::Tolerance;
use crate::engine::batch_size;
use crate::engine::recorded::OutputsRecord;
use crate::inject::Fault;

/// Files of outputs shown to a person; the record has all of them.
const FILES_SHOWN: usize = 5;

/// What was asked for, what ran, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    pub options: CheckOptions,
    /// The runtime and where it ran, if it could be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeRecord>,
    /// The engine that ran as a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<CommandRecord>,
    /// The input that was computed from pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_pixels: Option<FromPixelsRecord>,
    /// Why the engine's process cannot run here, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cannot_run: Option<String>,
    /// What was found in files of outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<OutputsRecord>,
    /// The comparison, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<CheckResult>,
    /// The worst of the faulty samples, for the page with pictures.
    #[serde(skip)]
    pub worst: Vec<WorstSample>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckOptions {
    /// The bundle's folder.
    #[serde(serialize_with = "proto::regular_file::path_as_text")]
    pub bundle: PathBuf,
    /// The part that runs.
    pub part: String,
    /// The device, unless outputs come from files.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetRecord>,
    /// The engine that is to run as a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The outputs that something else computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<OutputsOptions>,
    #[serde(flatten)]
    pub tolerance: Tolerance,
    /// Where the tolerance comes from.
    pub tolerance_origin: ToleranceOrigin,
    /// The calibration that the tolerance is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationRecord>,
    /// Samples in one run; absent if the run ended before it was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Who chose it.
    pub batch_size_origin: batch_size::Origin,
    /// Runs of each batch.
    pub repeat: usize,
    /// First sample and the one after the last; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<[usize; 2]>,
    /// The faults, in their grammar.
    pub faults: Vec<Fault>,
    /// Whether the exit status says that the faults were detected.
    pub expect_detected: bool,
}

/// Where a tolerance comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToleranceOrigin {
    /// The program's own, 5e-6 and 1e-5.
    Default,
    /// The user's.
    Flags,
    /// A calibration of this setting.
    Calibration,
}

/// A calibration that was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CalibrationRecord {
    #[serde(serialize_with = "proto::regular_file::path_as_text")]
    pub file: PathBuf,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub started_unix_seconds: u64,
    /// Passes over its samples.
    pub passes: usize,
    /// The first of its samples and the one after the last.
    pub samples: [usize; 2],
    /// The least `atol` without a false alarm.
    pub smallest_atol: f32,
    /// `atol` over the least one.
    pub margin: f32,
}

impl Record<Check> {
    /// The verdict in words.
    pub fn sentence(&self) -> String {
        let Some(result) = &self.body.result else {
            return "Nothing was compared, so nothing can be concluded.".to_owned();
        };
        let samples = grouped(result.samples);
        match (self.verdict, self.body.options.expect_detected) {
            (Verdict::Pass, false) => {
                format!("Every element of {samples} samples is within the tolerance.")
            }
            (Verdict::Pass, true) => format!(
                "Every fault beyond the tolerance was flagged, and no other of {samples} samples."
            ),
            (Verdict::Fail, true) => {
                "A fault was missed, or a sample without one was flagged.".to_owned()
            }
            (Verdict::Fail, false) if result.has_other_bits_alone() => format!(
                "Every element of {samples} samples is within the tolerance, but this device gave \
                 other bits before."
            ),
            (Verdict::Fail, false) => {
                let faulty = grouped(result.faulty_samples);
                format!("{faulty} of {samples} samples have an element outside.")
            }
            (Verdict::Error, _) => {
                format!("{samples} samples were compared, but the check did not come to its end.")
            }
        }
    }

    /// What ran, where and how, as names and values for a person.
    pub fn full_setting(&self) -> Vec<(&'static str, String)> {
        let Check {
            options,
            runtime,
            outputs,
            engine,
            ..
        } = &self.body;
        let mut rows = vec![
            ("bundle", options.bundle.display().to_string()),
            ("part", options.part.clone()),
        ];
        if let Some(target) = &options.target {
            rows.push(("device", target.to_string()));
        }
        rows.extend(self.body.from_pixels_row());
        rows.extend(engine.iter().flat_map(CommandRecord::rows));
        rows.extend(outputs_rows(options, outputs.as_ref()));
        rows.extend(runtime.iter().flat_map(RuntimeRecord::setting));
        rows.push(("tolerance", options.tolerance_text()));
        rows.push(("batch size", options.batch_size_text()));
        if let Some(samples) = options.samples {
            rows.push(("samples", range_text(samples)));
        }
        rows.extend(self.setting());
        rows
    }
}

/// Of outputs from files, names and values for a person.
pub fn outputs_rows(
    options: &CheckOptions,
    found: Option<&OutputsRecord>,
) -> Vec<(&'static str, String)> {
    let Some(asked) = &options.outputs else {
        return vec![];
    };
    let mut rows = vec![("outputs", asked.path.display().to_string())];
    if let Some(name) = &asked.engine_name {
        rows.push(("computed by", format!("{name}, as the user says")));
    }
    if let Some(note) = &asked.note {
        rows.push(("note", note.clone()));
    }
    rows.push(("run", "nothing was run here".to_owned()));
    if let Some(found) = found {
        let conversions = found.conversions(asked.transpose.as_deref());
        rows.extend(conversions.into_iter().map(|text| ("converted", text)));
        rows.extend(found.files.first().map(|_| ("files", found.files_text())));
        for file in found.files.iter().take(FILES_SHOWN) {
            rows.push(("BLAKE3", format!("{} {}", file.blake3, file.path.display())));
        }
    }
    rows
}

impl Check {
    /// Where an input comes from that the bundle does not record.
    pub fn from_pixels_row(&self) -> Option<(&'static str, String)> {
        let from_pixels = self.from_pixels.as_ref()?;
        Some(("input", from_pixels.text()))
    }
}

impl CheckOptions {
    /// What computed the outputs, for titles.
    pub fn computed_by(&self) -> String {
        match (&self.outputs, &self.engine, &self.target) {
            (Some(outputs), ..) => outputs.name().to_owned(),
            (None, Some(engine), _) => {
                let name = engine.split('=').next();
                name.unwrap_or(engine).to_owned()
            }
            (None, None, Some(target)) => target.device.to_string(),
            (None, None, None) => "nothing".to_owned(),
        }
    }

    /// The tolerance and where it comes from.
    pub fn tolerance_text(&self) -> String {
        let Tolerance { atol, rtol } = self.tolerance;
        let origin = match (&self.calibration, self.tolerance_origin) {
            (Some(calibration), _) => format!(
                "calibrated in {} pass{} of samples {}: {}",
                grouped(calibration.passes),
                if calibration.passes == 1 { "" } else { "es" },
                range_text(calibration.samples),
                calibration.file.display()
            ),
            (None, ToleranceOrigin::Flags) => "given".to_owned(),
            (None, _) => "the default".to_owned(),
        };
        format!("atol {atol:e}, rtol {rtol:e} ({origin})")
    }

    /// The batch size and who chose it.
    pub fn batch_size_text(&self) -> String {
        match (self.batch_size, self.batch_size_origin) {
            (None, _) => "not chosen".to_owned(),
            (Some(size), batch_size::Origin::Given) => format!("{size} (given)"),
            (Some(size), batch_size::Origin::Chosen) => {
                format!("{size} (chosen by the model and the device)")
            }
        }
    }
}

impl CalibrationRecord {
    /// Of an entry of a calibration file.
    pub fn new(path: &std::path::Path, entry: &Entry) -> Self {
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
