//! Times in files: JSON with everything needed to repeat them, Markdown for people, CSV with a line
//! for each batch size.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use proto::staging;
use serde::Serialize;

use super::Timing;
use crate::compare::Tolerance;
use crate::host::Host;
use crate::report::table::{one_line, table};
use crate::report::{Heading, RuntimeReport, TargetReport};

/// The version of the report's layout.
pub const BENCH_VERSION: &str = "1.0";

/// What the columns of the table are.
pub const LEGEND: &str = "milliseconds a batch, percentiles nearest-rank; samples/s of the latency alone; reading and comparing, medians, \
                          come beside it, and share is comparing's of all the time";

/// A report.
#[derive(Debug, Serialize)]
pub struct BenchReport {
    /// `major.minor` of this layout.
    pub bench_version: &'static str,
    /// How it ended, when and where.
    #[serde(flatten)]
    pub heading: Heading,
    /// What was asked for.
    pub options: OptionsReport,
    /// The runtime and where it ran, as for the first batch size, if it could be loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeReport>,
    /// The times of each batch size.
    pub timings: Vec<Timing>,
}

/// What was asked for.
#[derive(Debug, Serialize)]
pub struct OptionsReport {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The part that runs.
    pub part: String,
    /// Where the model runs.
    #[serde(flatten)]
    pub target: TargetReport,
    /// The tolerance.
    #[serde(flatten)]
    pub tolerance: Tolerance,
    /// Samples in one run; empty if the run ended before they were chosen.
    pub batch_sizes: Vec<usize>,
    /// Runs before the timed ones.
    pub warmup: usize,
    /// Timed runs.
    pub runs: usize,
    /// No further timed run of a batch size begins after it.
    pub limit_seconds: f64,
    /// First sample and the one after the last; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<[usize; 2]>,
}

impl BenchReport {
    /// Writes it in the format of the file's ending, JSON unless it is `.md` or `.csv`; the file is
    /// whole or as it was.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let bytes = match path.extension().and_then(|ending| ending.to_str()) {
            Some("md") => self.markdown().into_bytes(),
            Some("csv") => self.csv()?,
            _ => (serde_json::to_string_pretty(self)? + "\n").into_bytes(),
        };
        staging::write_file(path, |writer| io::Write::write_all(writer, &bytes))
    }

    fn csv(&self) -> io::Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        for timing in &self.timings {
            csv.serialize(timing)?;
        }
        csv.into_inner()
            .map_err(|error| io::Error::other(error.to_string()))
    }

    /// The page for people.
    pub fn markdown(&self) -> String {
        let Heading {
            verdict,
            error,
            host,
            bundle,
            verifier,
            ..
        } = &self.heading;
        let mut page = format!("# Times: {}\n\n", verdict.to_uppercase());
        if let Some(error) = error {
            let _ = writeln!(page, "{}\n", one_line(error));
        }
        let OptionsReport {
            part,
            target,
            tolerance,
            warmup,
            runs,
            limit_seconds,
            ..
        } = &self.options;
        let _ = writeln!(
            page,
            "- bundle `{}`, part {part}",
            self.options.bundle.display()
        );
        if let Some(bundle) = bundle {
            let _ = writeln!(
                page,
                "- {}, {}, BLAKE3 `{}`",
                bundle.preset, bundle.module, bundle.blake3
            );
        }
        let _ = writeln!(page, "- device {target}");
        if let Some(runtime) = &self.runtime {
            let nodes: Vec<String> = runtime
                .nodes
                .iter()
                .map(|(name, count)| format!("{count} on {name}"))
                .collect();
            let library = &runtime.library;
            let _ = writeln!(
                page,
                "- ONNX Runtime {}, SHA-256 `{}`",
                library.version, library.sha256
            );
            let optimization = format!("{:?}", runtime.optimization).to_lowercase();
            let _ = writeln!(
                page,
                "- nodes {}; {}; graph optimization {optimization}",
                nodes.join(", "),
                runtime.precision
            );
        }
        let _ = writeln!(
            page,
            "- {warmup} runs to warm up, then {runs}, or as many as begin within {limit_seconds} s"
        );
        let _ = writeln!(
            page,
            "- atol {:e}, rtol {:e}",
            tolerance.atol, tolerance.rtol
        );
        let Host {
            cpu,
            os,
            arch,
            cores,
        } = host;
        let _ = writeln!(page, "- started {}", self.heading.started());
        let _ = writeln!(
            page,
            "- {cpu} ({os} {arch}, {cores} cores), verifier {verifier}\n"
        );
        page.push_str(&self.table());
        let _ = writeln!(page, "\n{LEGEND}");
        page
    }

    /// The table alone; it reads as well on a terminal.
    pub fn table(&self) -> String {
        let header = [
            "batch",
            "runs",
            "first",
            "min",
            "p50",
            "p90",
            "p99",
            "max",
            "samples/s",
            "reading",
            "comparing",
            "share",
            "largest error",
            "faulty",
        ];
        let milliseconds = |seconds: f64| format!("{:.3}", 1e3 * seconds);
        let rows = self.timings.iter().map(|timing| {
            let times = [
                timing.first_seconds,
                timing.min_seconds,
                timing.p50_seconds,
                timing.p90_seconds,
                timing.p99_seconds,
                timing.max_seconds,
            ];
            let mut cells = vec![timing.batch_size.to_string(), timing.runs.to_string()];
            cells.extend(times.map(milliseconds));
            cells.push(format!("{:.0}", timing.samples_per_second));
            cells.extend([timing.reading_seconds, timing.comparing_seconds].map(milliseconds));
            cells.push(format!("{:.1} %", 100.0 * timing.comparing_share));
            cells.push(format!("{:.3e}", timing.max_abs_error));
            cells.push(format!("{} of {}", timing.faulty_samples, timing.samples));
            cells
        });
        table(&header, rows.collect())
    }
}
