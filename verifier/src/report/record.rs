//! The record of a command: how it ended, when and where, what was asked for, what ran, and what
//! came of it.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use console::{Host, printable};
use proto::bundle::Bundle;
use proto::manifest::Golden;
use proto::staging;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::other_model::OtherModelRecord;
use crate::engine::Device;
use crate::engine::onnxruntime::{LibraryInfo, Optimization, Options, Session};
use crate::engine::placement::Placement;
use crate::samples::of_part::Computed;

/// `major.minor` of the record's layout; a reader refuses another major one.
pub const RECORD_VERSION: &str = "3.3";

/// 9999-12-31T23:59:59Z, in seconds since 1970-01-01 UTC.
const LAST_OF_9999: u64 = 253_402_300_799;

/// The record of one command, with everything needed to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record<B> {
    /// `major.minor` of this layout.
    pub record_version: String,
    /// The command: `check`, `compare` or `bench`.
    pub command: String,
    /// The version of the verifier.
    pub verifier: String,
    pub verdict: Verdict,
    /// The exit status: 0, 1 or 2.
    pub exit_status: u8,
    /// Why nothing could be concluded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When the run began, in seconds since 1970-01-01 UTC.
    pub started_unix_seconds: u64,
    pub host: Host,
    /// The bundle, if it could be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleRecord>,
    #[serde(flatten)]
    pub body: B,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything was compared and is within the tolerance.
    Pass,
    /// Compared, and something is outside.
    Fail,
    /// Nothing can be concluded: it could not run or could not finish.
    Error,
}

/// The formats a record can be written in, by the ending of the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.json`: everything.
    Json,
    /// `.md`: a page of text.
    Markdown,
    /// `.html`: a page with pictures, in one file.
    Html,
    /// `.csv`: a line for each thing listed.
    Csv,
    /// `.xml`: JUnit, for test runners.
    Junit,
}

/// What a command adds to the record.
pub trait Body: Serialize + DeserializeOwned + JsonSchema {
    /// The command's name.
    const COMMAND: &'static str;
    /// The formats that it can be written in, JSON among them.
    const FORMATS: &'static [Format];

    /// Renders the record in a format other than JSON.
    fn render(record: &Record<Self>, format: Format) -> io::Result<String>;
}

/// The bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleRecord {
    /// BLAKE3 of `manifest.json`, which names the hashes of all other files.
    pub blake3: String,
    /// How many files the manifest lists.
    pub files: usize,
    /// Preset of the network.
    pub preset: String,
    /// The module that is the submodel.
    pub module: String,
    /// SHA-256 of the weights.
    pub weights_sha256: String,
    /// Where the golden comes from.
    pub golden: Golden,
}

/// The device, and how it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetRecord {
    pub device: Device,
    /// Which one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<u32>,
    /// Settings of the provider, `key=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_options: Vec<String>,
    /// Whether reduced precision was allowed.
    pub allow_reduced_precision: bool,
    /// Threads for one operation; absent when left to the runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// An input that the bundle does not record, and what computed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FromPixelsRecord {
    #[serde(flatten)]
    pub computed: Computed,
    /// ONNX Runtime's device that computed it.
    pub device: Device,
}

/// The runtime, and where it ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeRecord {
    #[serde(flatten)]
    pub library: LibraryInfo,
    /// The execution provider asked for.
    pub provider: String,
    /// Its arithmetic.
    pub precision: String,
    /// The model, unless it is the bundle's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_model: Option<OtherModelRecord>,
    /// Nodes that ran on each provider in the profiled first run.
    pub nodes: Placement,
    /// Graph optimisation level.
    pub optimization: Optimization,
    /// Whether deterministic kernels were asked for.
    pub deterministic: bool,
    /// Seconds that creating the session took.
    pub load_seconds: f64,
}

impl<B: Body> Record<B> {
    /// Of a run that begins now: as long as it has not ended, there is no result.
    pub fn begun(body: B) -> Self {
        Self {
            record_version: RECORD_VERSION.to_owned(),
            command: B::COMMAND.to_owned(),
            verifier: env!("CARGO_PKG_VERSION").to_owned(),
            verdict: Verdict::Error,
            exit_status: Verdict::Error.exit_status(),
            error: Some("the run did not finish".to_owned()),
            started_unix_seconds: unix_seconds(),
            host: Host::this(),
            bundle: None,
            body,
        }
    }

    /// Sets how the run ended; an error has a message.
    pub fn end(&mut self, verdict: Verdict, error: Option<String>) {
        self.verdict = verdict;
        self.exit_status = verdict.exit_status();
        self.error = error;
    }

    /// When the run began, as RFC 3339 has it, which ends with the year 9999.
    pub fn started(&self) -> String {
        let seconds = self.started_unix_seconds;
        if seconds > LAST_OF_9999 {
            return format!("{seconds} s after 1970-01-01");
        }
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
    }

    /// Writes the record in the format of the file's ending; the file is whole or as it was.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let format = Format::of(path).filter(|format| B::FORMATS.contains(format));
        let format = format.ok_or_else(|| io::Error::other("no format has this ending"))?;
        let text = match format {
            Format::Json => serde_json::to_string_pretty(self)? + "\n",
            // Whatever a file or a library said is shown, not obeyed, also on a page.
            other => printable(&B::render(self, other)?).into_owned(),
        };
        staging::write_file(path, |writer| writer.write_all(text.as_bytes()))
    }

    /// Reads a record back from JSON; another command's and another major version's are refused.
    pub fn read(path: &Path) -> io::Result<Self> {
        let record: Self = serde_json::from_slice(&proto::regular_file::read(path)?)?;
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if record.command != B::COMMAND || major(&record.record_version) != major(RECORD_VERSION) {
            return Err(io::Error::other(format!(
                "record {} of `{}`, expected {RECORD_VERSION} of `{}`",
                record.record_version,
                record.command,
                B::COMMAND
            )));
        }
        Ok(record)
    }

    /// Where, when and with which bundle, as names and values for a person.
    pub fn setting(&self) -> Vec<(&'static str, String)> {
        let Host {
            cpu,
            os,
            arch,
            cores,
        } = &self.host;
        let mut rows = vec![
            ("started", self.started()),
            ("host", format!("{cpu} ({os} {arch}, {cores} cores)")),
            ("verifier", self.verifier.clone()),
        ];
        if let Some(bundle) = &self.bundle {
            let golden = &bundle.golden;
            rows.push(("model", format!("{}, {}", bundle.preset, bundle.module)));
            rows.push(("golden", golden.to_string()));
            rows.push(("bundle BLAKE3", bundle.blake3.clone()));
            rows.push(("weights SHA-256", bundle.weights_sha256.clone()));
        }
        rows
    }
}

impl Verdict {
    /// 0, 1 or 2.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Error => 2,
        }
    }

    /// As it stands in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }
}

impl Format {
    /// By a file's ending.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "md" => Some(Self::Markdown),
            "html" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            "xml" => Some(Self::Junit),
            _ => None,
        }
    }

    /// Whether a file of this ending begins as records in this format do.
    pub fn begins(self, text: &str) -> bool {
        let begins = |texts: &[&str]| texts.iter().any(|beginning| text.starts_with(beginning));
        match self {
            Self::Json => text.contains("\"record_version\""),
            Self::Markdown => {
                begins(&["# Verification: ", "# Times: ", "# Comparison of engines: "])
            }
            Self::Html => text.contains(r#"<link rel="icon" href="data:,"><title>"#),
            Self::Csv => begins(&["sample,sample_index,", "batch_size,runs,"]),
            Self::Junit => text.contains(r#"<testsuites name="vit-part verifier""#),
        }
    }

    /// The ending, with its dot.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Json => ".json",
            Self::Markdown => ".md",
            Self::Html => ".html",
            Self::Csv => ".csv",
            Self::Junit => ".xml",
        }
    }
}

impl BundleRecord {
    /// Of an open bundle.
    pub fn new(bundle: &Bundle) -> Self {
        let manifest = bundle.manifest();
        Self {
            blake3: bundle.blake3(),
            files: manifest.files.len(),
            preset: manifest.model.preset.clone(),
            module: manifest.module.clone(),
            weights_sha256: manifest.model.weights_sha256.clone(),
            golden: manifest.golden.clone(),
        }
    }
}

impl fmt::Display for TargetRecord {
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

impl FromPixelsRecord {
    /// For a person.
    pub fn text(&self) -> String {
        let (Computed { tensor, parts }, device) = (&self.computed, &self.device);
        format!(
            "{tensor} from pixels by {} on {device}",
            parts.join(" and ")
        )
    }
}

impl RuntimeRecord {
    /// Of a loaded session.
    pub fn new(
        library: &LibraryInfo,
        session: &Session,
        options: &Options,
        other_model: Option<OtherModelRecord>,
    ) -> Self {
        Self {
            library: library.clone(),
            provider: options.device.provider(),
            precision: options.precision(),
            other_model,
            nodes: session.placement().clone(),
            optimization: options.optimization,
            deterministic: true,
            load_seconds: session.load_seconds(),
        }
    }

    /// How many nodes ran on each provider.
    fn nodes_text(&self) -> String {
        let nodes = self.nodes.iter();
        let texts: Vec<String> = nodes
            .map(|(name, count)| format!("{count} on {name}"))
            .collect();
        texts.join(", ")
    }

    /// Names and values for a person.
    pub fn setting(&self) -> Vec<(&'static str, String)> {
        let LibraryInfo {
            path,
            version,
            sha256,
            ..
        } = &self.library;
        let mut rows = self.model_rows();
        rows.extend([
            ("nodes", self.nodes_text()),
            ("arithmetic", self.precision.clone()),
            (
                "runtime",
                format!("ONNX Runtime {version}, {}", path.display()),
            ),
            ("runtime SHA-256", sha256.clone()),
            ("optimization", self.optimization.name().to_owned()),
        ]);
        rows
    }

    /// The files of a model that is not the bundle's own.
    pub fn model_rows(&self) -> Vec<(&'static str, String)> {
        let model = self.other_model.iter();
        model.flat_map(OtherModelRecord::rows).collect()
    }
}

/// Seconds since 1970-01-01 UTC.
pub fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |elapsed| elapsed.as_secs())
}
