//! What `verifier compare` adds to the record: a row for each configuration and for each pair of
//! those that ran, as JSON and as Markdown.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use console::grouped;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::Record;
use super::table::{one_line, range_text, table};
use crate::compare::{Difference, Tolerance};
use crate::matrix::{Configuration, Outcome, Pair};

const COLUMNS: [&str; 11] = [
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

const PAIR_COLUMNS: [&str; 5] = ["", "largest difference", "ULP", "same bits", "same class"];

/// What was asked for, and what every configuration came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Matrix {
    pub options: MatrixOptions,
    /// Each configuration against the golden.
    pub configurations: Vec<Configuration>,
    /// Those that ran against each other.
    pub pairs: Vec<Pair>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixOptions {
    /// The bundle's folder.
    #[serde(serialize_with = "proto::regular_file::path_as_text")]
    pub bundle: PathBuf,
    /// The part that runs.
    pub part: String,
    #[serde(flatten)]
    pub tolerance: Tolerance,
    /// Samples in one run; absent when each run chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// First sample and the one after the last; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<[usize; 2]>,
    /// Threads for one operation; absent when left to the runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Whether TF32 and other reduced precision were left to the providers.
    pub allow_reduced_precision: bool,
    /// Seconds after which a child is killed.
    pub timeout_seconds: f64,
}

impl Record<Matrix> {
    /// What was asked for and where, as names and values for a person.
    pub fn full_setting(&self) -> Vec<(&'static str, String)> {
        let Matrix { options, .. } = &self.body;
        let Tolerance { atol, rtol } = options.tolerance;
        let left = |number: Option<usize>, otherwise: &str| {
            number.map_or_else(|| otherwise.to_owned(), |number| number.to_string())
        };
        let mut rows = vec![
            ("bundle", options.bundle.display().to_string()),
            ("part", options.part.clone()),
            ("tolerance", format!("atol {atol:e}, rtol {rtol:e}")),
            ("batch size", left(options.batch_size, "chosen by each run")),
        ];
        if let Some(samples) = options.samples {
            rows.push(("samples", range_text(samples)));
        }
        if let Some(compared) = self.body.samples_compared() {
            rows.push(("compared", format!("{} samples", grouped(compared))));
        }
        rows.push(("threads", left(options.threads, "left to the runtime")));
        rows.push(("arithmetic", options.arithmetic().to_owned()));
        rows.push(("time limit", format!("{} s", options.timeout_seconds)));
        rows.extend(self.setting());
        rows
    }
}

impl MatrixOptions {
    /// What every run was told about its arithmetic.
    pub fn arithmetic(&self) -> &'static str {
        if self.allow_reduced_precision {
            "TF32 and other reduced precision left to the providers"
        } else {
            "TF32 and other reduced precision not allowed"
        }
    }
}

impl Matrix {
    fn samples_compared(&self) -> Option<usize> {
        let mut outcomes = self.configurations.iter().map(|one| &one.outcome);
        outcomes.find_map(|outcome| match outcome {
            Outcome::Ran(ran) => Some(ran.golden.samples),
            Outcome::Failed { .. } => None,
        })
    }

    /// The tables alone; they read as well on a terminal.
    pub fn tables(&self) -> String {
        let rows = self.configurations.iter().map(cells).collect();
        let mut text = table(&COLUMNS, rows);
        for configuration in &self.configurations {
            if let Outcome::Failed { reason } = &configuration.outcome {
                let _ = write!(text, "\n{}: {}\n", configuration.number, one_line(reason));
            }
        }
        if !self.pairs.is_empty() {
            text.push('\n');
            let rows = self.pairs.iter().map(pair_cells).collect();
            text.push_str(&table(&PAIR_COLUMNS, rows));
        }
        text
    }
}

fn cells(configuration: &Configuration) -> Vec<String> {
    let version = configuration.version.clone();
    let mut cells = vec![
        configuration.number.to_string(),
        version.unwrap_or_else(|| file_name(&configuration.runtime)),
        configuration.device.to_string(),
        configuration.optimization.name().to_owned(),
    ];
    match &configuration.outcome {
        Outcome::Ran(ran) => {
            let verdict = if ran.within_tolerance { "pass" } else { "FAIL" };
            cells.push(verdict.to_owned());
            cells.extend(difference(&ran.golden));
            cells.push(ran.outside_elements.to_string());
        }
        Outcome::Failed { .. } => {
            cells.extend(["none", "–", "–", "–", "–", "–"].map(str::to_owned));
        }
    }
    cells.push(format!("{:.1} s", configuration.seconds));
    cells
}

fn pair_cells(pair: &Pair) -> Vec<String> {
    let [a, b] = pair.configurations;
    [vec![format!("{a} and {b}")], difference(&pair.difference)].concat()
}

fn difference(found: &Difference) -> Vec<String> {
    let largest = match found.non_finite_elements {
        0 => format!("{:.3e}", found.max_abs_difference),
        count => format!("{:.3e}, {count} not finite", found.max_abs_difference),
    };
    let class = match found.same_argmax {
        Some(same) => percent(same, found.samples),
        None => "–".to_owned(),
    };
    vec![
        largest,
        found.max_ulp.to_string(),
        percent(found.identical_elements, found.elements),
        class,
    ]
}

/// Rounded down: 100 % means all.
fn percent(part: usize, all: usize) -> String {
    let hundredths = (1e4 * part as f64 / all.max(1) as f64).floor();
    format!("{:.2} %", hundredths / 100.0)
}

fn file_name(path: &Path) -> String {
    match path.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => path.display().to_string(),
    }
}
