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
use crate::engine::command::Expected;
use crate::engine::files::FileRecord;
use crate::matrix::{Computer, Configuration, Outcome, Pair, Ran, Tally};

/// What [`cells`] are.
pub(super) const COLUMNS: [&str; 14] = [
    "",
    "engine",
    "device",
    "graph",
    "batch",
    "threads",
    "verdict",
    "largest error",
    "ULP",
    "same bits",
    "faulty samples",
    "same class",
    "running",
    "process",
];

const PAIR_COLUMNS: [&str; 5] = ["", "largest difference", "ULP", "same bits", "same class"];

/// Where there is no figure.
const NONE: &str = "–";

/// What was asked for, and what every configuration came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Matrix {
    pub options: MatrixOptions,
    /// Each configuration against the golden.
    pub configurations: Vec<Configuration>,
    /// Those that ran against each other.
    pub pairs: Vec<Pair>,
    /// Numbers of configurations whose outputs have the same bits in every element.
    #[serde(default)]
    pub same_bits: Vec<Vec<usize>>,
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
    /// First sample and the one after the last; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<[usize; 2]>,
    /// Whether TF32 and other reduced precision were left to ONNX Runtime's providers.
    pub allow_reduced_precision: bool,
    /// Seconds after which a child is killed.
    pub timeout_seconds: f64,
}

impl Record<Matrix> {
    /// What was asked for and where, as names and values for a person.
    pub fn full_setting(&self) -> Vec<(&'static str, String)> {
        let Matrix { options, .. } = &self.body;
        let Tolerance { atol, rtol } = options.tolerance;
        let mut rows = vec![
            ("bundle", options.bundle.display().to_string()),
            ("part", options.part.clone()),
            ("tolerance", format!("atol {atol:e}, rtol {rtol:e}")),
        ];
        if let Some(samples) = options.samples {
            rows.push(("samples", range_text(samples)));
        }
        if let Some(compared) = self.body.samples_compared() {
            rows.push(("compared", format!("{} samples", grouped(compared))));
        }
        rows.push(("arithmetic", options.arithmetic().to_owned()));
        rows.push(("time limit", format!("{} s", options.timeout_seconds)));
        rows.extend(self.setting());
        rows
    }
}

impl Record<Matrix> {
    /// The verdict in words.
    pub fn sentence(&self) -> String {
        let tally = Tally::of(&self.body.configurations);
        let (all, cannot) = (tally.all, tally.cannot_text());
        match tally.ran - tally.unexpected {
            _ if tally.ran == 0 => "Nothing ran, so nothing can be concluded.".to_owned(),
            count if count == all => format!("All {all} configurations ended as expected."),
            count => format!("{count} of {all} configurations ran and ended as expected{cannot}."),
        }
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
            Outcome::Cannot { .. } | Outcome::Failed { .. } => None,
        })
    }

    /// The tables alone; they read as well on a terminal.
    pub fn tables(&self) -> String {
        let rows = self.configurations.iter().map(cells).collect();
        let mut text = table(&COLUMNS, rows);
        for configuration in &self.configurations {
            if let Some(reason) = configuration.reason() {
                let _ = write!(text, "\n{}: {}\n", configuration.number, one_line(reason));
            }
            for conversion in configuration.conversions() {
                let _ = write!(text, "\n{}: {conversion}\n", configuration.number);
            }
        }
        if !self.pairs.is_empty() {
            text.push('\n');
            let rows = self.pairs.iter().map(pair_cells).collect();
            text.push_str(&table(&PAIR_COLUMNS, rows));
            let _ = write!(text, "\n{}\n", self.same_bits_text());
        }
        text
    }

    /// Number, file and SHA-256 of each ONNX Runtime library.
    pub fn runtimes(&self) -> Vec<(usize, String, &str)> {
        let configurations = self.configurations.iter();
        configurations
            .filter_map(|configuration| match &configuration.engine {
                Computer::OnnxRuntime {
                    runtime, sha256, ..
                } => Some((
                    configuration.number,
                    runtime.display().to_string(),
                    sha256.as_deref().unwrap_or("not loaded"),
                )),
                Computer::Command { .. } | Computer::Outputs { .. } => None,
            })
            .collect()
    }

    /// Number of each configuration whose outputs came in files, and these files.
    pub fn output_files(&self) -> Vec<(usize, &FileRecord)> {
        let configurations = self.configurations.iter();
        configurations
            .flat_map(|one| one.found().map(|found| (one.number, &found.files)))
            .flat_map(|(number, files)| files.iter().map(move |file| (number, file)))
            .collect()
    }

    /// Which configurations gave the same bits.
    pub fn same_bits_text(&self) -> String {
        if self.same_bits.is_empty() {
            return "No two gave the same bits in every element.".to_owned();
        }
        let clusters = self.same_bits.iter().map(|cluster| and(cluster));
        let clusters: Vec<String> = clusters.collect();
        format!("The same bits in every element: {}.", clusters.join("; "))
    }
}

impl Configuration {
    /// What computed, for a table.
    pub fn name(&self) -> String {
        match &self.engine {
            Computer::OnnxRuntime {
                runtime, version, ..
            } => match version {
                Some(version) => format!("ONNX Runtime {version}"),
                None => file_name(runtime),
            },
            Computer::Command { name, says, .. } => match &says.version {
                Some(version) => format!("{name} {version}"),
                None => name.clone(),
            },
            Computer::Outputs { name, .. } => format!("{name} (files)"),
        }
    }

    /// The verdict on it in a word or two.
    pub fn verdict(&self) -> String {
        let verdict = match &self.outcome {
            Outcome::Ran(ran) if ran.within_tolerance => "pass",
            Outcome::Ran(_) => "FAIL",
            Outcome::Cannot { .. } => "cannot",
            Outcome::Failed { .. } => "none",
        };
        let is_control = match &self.engine {
            Computer::Command { expected, .. } => !expected.include(Expected::Pass),
            Computer::OnnxRuntime { .. } | Computer::Outputs { .. } => false,
        };
        match (is_control, self.is_as_expected()) {
            (true, true) => format!("{verdict}, as expected"),
            (true, false) => format!("{verdict}, NOT expected"),
            (false, _) => verdict.to_owned(),
        }
    }

    /// What was done to numbers from files before they were compared.
    pub fn conversions(&self) -> Vec<String> {
        let found = self.found();
        found.map_or(vec![], |found| found.conversions(None))
    }

    /// Why it has no result.
    pub fn reason(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Ran(_) => None,
            Outcome::Cannot { reason } | Outcome::Failed { reason } => Some(reason),
        }
    }
}

/// A row of the table.
pub(super) fn cells(configuration: &Configuration) -> Vec<String> {
    let optional = |number: Option<usize>| number.map_or(NONE.to_owned(), |one| one.to_string());
    let (device, graph) = match &configuration.engine {
        Computer::OnnxRuntime {
            device,
            optimization,
            ..
        } => (device.to_string(), optimization.name()),
        Computer::Command { .. } | Computer::Outputs { .. } => (NONE.to_owned(), NONE),
    };
    let mut cells = vec![
        configuration.number.to_string(),
        configuration.name(),
        device,
        graph.to_owned(),
        optional(configuration.batch_size),
        optional(configuration.threads),
        configuration.verdict(),
    ];
    match &configuration.outcome {
        Outcome::Ran(ran) => cells.extend(result_cells(ran)),
        Outcome::Cannot { .. } | Outcome::Failed { .. } => {
            cells.extend([NONE; 6].map(str::to_owned))
        }
    }
    cells.push(format!("{:.1} s", configuration.seconds));
    cells
}

fn result_cells(ran: &Ran) -> Vec<String> {
    let [largest, ulp, same_bits, _] = difference(&ran.golden);
    let class = match &ran.top1 {
        Some(top1) => percent(top1.same_as_golden, top1.samples),
        None => NONE.to_owned(),
    };
    let running = match ran.running_seconds {
        Some(seconds) => format!("{seconds:.2} s"),
        None => NONE.to_owned(),
    };
    let faulty = grouped(ran.faulty_samples);
    vec![largest, ulp, same_bits, faulty, class, running]
}

/// Numbers in a row: `1, 2 and 3`.
fn and(numbers: &[usize]) -> String {
    let texts: Vec<String> = numbers.iter().map(usize::to_string).collect();
    match texts.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => texts.concat(),
    }
}

fn pair_cells(pair: &Pair) -> Vec<String> {
    let [a, b] = pair.configurations;
    let difference = difference(&pair.difference);
    [&[format!("{a} and {b}")], difference.as_slice()].concat()
}

fn difference(found: &Difference) -> [String; 4] {
    let largest = match found.non_finite_elements {
        0 => format!("{:.3e}", found.max_abs_difference),
        count => format!("{:.3e}, {count} not finite", found.max_abs_difference),
    };
    let identical = found.identical_elements;
    let identical = identical.map(|identical| percent(identical, found.elements));
    let class = match found.same_argmax {
        Some(same) => percent(same, found.samples),
        None => NONE.to_owned(),
    };
    [
        largest,
        found.max_ulp.map_or(NONE.to_owned(), |ulp| ulp.to_string()),
        identical.unwrap_or(NONE.to_owned()),
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
