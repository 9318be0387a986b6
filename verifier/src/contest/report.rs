//! The table of a contest, as JSON and as Markdown.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use proto::staging;
use serde::Serialize;

use super::pair::Difference;
use crate::compare::Tolerance;
use crate::host::Host;
use crate::onnxruntime::Optimization;
use crate::report::table::{one_line, table};
use crate::report::{Heading, grouped, range_text};

/// The version of the report's layout.
pub const CONTEST_VERSION: &str = "1.0";

/// A report.
#[derive(Debug, Serialize)]
pub struct ContestReport {
    /// `major.minor` of this layout.
    pub contest_version: &'static str,
    /// How it ended, when and where.
    #[serde(flatten)]
    pub heading: Heading,
    /// What was asked for.
    pub options: OptionsReport,
    /// Each contestant against the golden.
    pub contestants: Vec<Contestant>,
    /// Those that ran against each other.
    pub pairs: Vec<Pair>,
}

/// What was asked for.
#[derive(Debug, Serialize)]
pub struct OptionsReport {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The part that runs.
    pub part: String,
    /// The tolerance.
    #[serde(flatten)]
    pub tolerance: Tolerance,
    /// Samples in one run.
    pub batch_size: usize,
    /// First sample and the one after the last; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<[usize; 2]>,
    /// Threads for one operation; absent when left to the runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Seconds after which a child is killed.
    pub timeout_seconds: f64,
}

/// One runtime on one device.
#[derive(Debug, Clone, Serialize)]
pub struct Contestant {
    /// Its number in the table, from 1.
    pub number: usize,
    /// The runtime library.
    pub runtime: PathBuf,
    /// The device.
    pub device: String,
    /// Graph optimisation level.
    pub optimization: Optimization,
    /// Its version, if it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// SHA-256 of the library, if it was loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What it came to.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Seconds of the whole process.
    pub seconds: f64,
}

/// What a contestant came to.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// It ran to its end.
    Ran(Box<Ran>),
    /// It did not.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A contestant against the golden.
#[derive(Debug, Clone, Serialize)]
pub struct Ran {
    /// Whether every element is within the tolerance.
    pub within_tolerance: bool,
    /// Nodes on each execution provider.
    pub nodes: serde_json::Value,
    /// Samples with an element outside.
    pub faulty_samples: u64,
    /// Elements outside, those that are not finite included.
    pub outside_elements: u64,
    /// Against the golden.
    pub golden: Difference,
    /// Seconds in the runtime.
    pub running_seconds: f64,
}

/// Two contestants.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    /// Their numbers.
    pub contestants: [usize; 2],
    /// How far they are apart.
    #[serde(flatten)]
    pub difference: Difference,
}

impl ContestReport {
    /// Writes it: JSON, or a page where the file's name ends in `.md`; the file is whole or as it
    /// was.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = match path.extension() {
            Some(ending) if ending == "md" => self.markdown(),
            _ => serde_json::to_string_pretty(self)? + "\n",
        };
        staging::write_file(path, |writer| io::Write::write_all(writer, text.as_bytes()))
    }

    /// The page for people.
    pub fn markdown(&self) -> String {
        let mut page = String::from("# Comparison of runtimes\n\n");
        let _ = writeln!(page, "**{}**\n", self.heading.verdict.to_uppercase());
        if let Some(error) = &self.heading.error {
            let _ = writeln!(page, "{}\n", one_line(error));
        }
        let OptionsReport {
            bundle,
            part,
            tolerance,
            batch_size,
            samples,
            threads,
            timeout_seconds,
        } = &self.options;
        let _ = writeln!(page, "- bundle `{}`, part {part}", bundle.display());
        if let Some(bundle) = &self.heading.bundle {
            let _ = writeln!(
                page,
                "- {}, {}, BLAKE3 `{}`",
                bundle.preset, bundle.module, bundle.blake3
            );
            let _ = writeln!(
                page,
                "- golden of libtorch {} on {}",
                bundle.golden.libtorch, bundle.golden.device
            );
        }
        let _ = writeln!(
            page,
            "- atol {:e}, rtol {:e}, batch size {batch_size}",
            tolerance.atol, tolerance.rtol
        );
        if let Some(samples) = samples {
            let _ = writeln!(page, "- samples {}", range_text(*samples));
        }
        let compared = self
            .contestants
            .iter()
            .find_map(|contestant| match &contestant.outcome {
                Outcome::Ran(ran) => Some(ran.golden.samples),
                Outcome::Failed { .. } => None,
            });
        if let Some(compared) = compared {
            let _ = writeln!(page, "- {} samples compared", grouped(compared));
        }
        let threads = threads.map_or_else(
            || "left to the runtime".to_owned(),
            |threads| threads.to_string(),
        );
        let _ = writeln!(page, "- threads {threads}, time limit {timeout_seconds} s");
        let Host {
            cpu,
            os,
            arch,
            cores,
        } = &self.heading.host;
        let _ = writeln!(page, "- started {}", self.heading.started());
        let _ = writeln!(
            page,
            "- {cpu} ({os} {arch}, {cores} cores), verifier {}\n",
            self.heading.verifier
        );
        page.push_str(&self.tables());
        page.push_str("\nSHA-256 of the runtimes:\n\n");
        for contestant in &self.contestants {
            let sha256 = contestant.sha256.as_deref().unwrap_or("not loaded");
            let _ = writeln!(
                page,
                "- {} `{}`: {sha256}",
                contestant.number,
                contestant.runtime.display()
            );
        }
        page
    }

    /// The tables alone; they read as well on a terminal.
    pub fn tables(&self) -> String {
        let header = [
            "",
            "runtime",
            "device",
            "graph",
            "verdict",
            "largest error",
            "ULP",
            "same bits",
            "same class",
            "outside",
            "process",
        ];
        let rows = self.contestants.iter().map(|contestant| {
            let version = contestant
                .version
                .clone()
                .unwrap_or_else(|| file_name(&contestant.runtime));
            let graph = format!("{:?}", contestant.optimization).to_lowercase();
            let mut cells = vec![
                contestant.number.to_string(),
                version,
                contestant.device.clone(),
                graph,
            ];
            match &contestant.outcome {
                Outcome::Ran(ran) => {
                    cells.push(if ran.within_tolerance { "pass" } else { "FAIL" }.to_owned());
                    cells.extend(difference(&ran.golden));
                    cells.push(ran.outside_elements.to_string());
                }
                Outcome::Failed { .. } => {
                    cells.extend(["none"].into_iter().chain(["–"; 5]).map(str::to_owned))
                }
            }
            cells.push(format!("{:.1} s", contestant.seconds));
            cells
        });
        let mut text = table(&header, rows.collect());
        for contestant in &self.contestants {
            if let Outcome::Failed { reason } = &contestant.outcome {
                let _ = write!(text, "\n{}: {}\n", contestant.number, one_line(reason));
            }
        }
        if !self.pairs.is_empty() {
            let rows = self.pairs.iter().map(|pair| {
                let [a, b] = pair.contestants;
                [vec![format!("{a} and {b}")], difference(&pair.difference)].concat()
            });
            text.push('\n');
            text.push_str(&table(
                &["", "largest difference", "ULP", "same bits", "same class"],
                rows.collect(),
            ));
        }
        text
    }
}

fn difference(found: &Difference) -> Vec<String> {
    let share = |part: usize, all: usize| {
        format!(
            "{:.2} %",
            (1e4 * part as f64 / all.max(1) as f64).floor() / 100.0
        )
    };
    let largest = match found.non_finite_elements {
        0 => format!("{:.3e}", found.max_abs_difference),
        count => format!("{:.3e}, {count} not finite", found.max_abs_difference),
    };
    let class = found
        .same_argmax
        .map_or_else(|| "–".to_owned(), |same| share(same, found.samples));
    vec![
        largest,
        found.max_ulp.to_string(),
        share(found.identical_elements, found.elements),
        class,
    ]
}

fn file_name(path: &std::path::Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
