//! The record on a terminal: what ran where, how it compares, the verdict.

use std::fmt::Write as _;

use console::grouped;
use proto::manifest::part;

use super::check::{Check, outputs_rows};
use super::command::CommandRecord;
use super::record::{Record, RuntimeRecord, Verdict};
use super::sample;
use crate::check::{
    CheckResult, DeviceGoldenResult, FaultOutcome, FaultyOutput, OutputResult, Repeats, Stop,
};
use crate::compare::{Class, ClassChange, ClassCounts, Largest, Top1};
use crate::engine::placement::Placement;
use crate::samples::Origin;

/// Outputs of faulty samples shown to a person; the record has all of them.
const SHOWN: usize = 20;

/// In the place of a figure that bits would show.
pub const NO_BITS: &str = "–";

/// A line: a name in a column of its own, then what there is to say.
macro_rules! line {
    ($text:expr, $name:expr, $($argument:tt)*) => {{
        let _ = write!($text, "{:<13}", $name);
        // Some of it is foreign: it ends no line.
        let _ = writeln!($text, "{}", console::one_line(&format!($($argument)*)));
    }};
}
pub(super) use line;

/// Why a check ended early.
pub fn stopped(stop: Stop) -> &'static str {
    match stop {
        Stop::Interrupted => "interrupted",
        Stop::FailFast => "ended at the first faulty batch",
    }
}

/// How outputs compare with the golden of the device.
fn device_golden(found: &DeviceGoldenResult) -> String {
    let samples = grouped(found.samples);
    match &found.first {
        None => format!("{samples} samples have the bits that this device gave before"),
        Some(first) => format!(
            "{} elements in {} outputs of {samples} samples have other bits than this device gave \
             before; the first {:?}: {:e} instead of {:e}",
            grouped(found.differing_elements),
            grouped(found.differing_outputs),
            first.index,
            first.actual,
            first.golden
        ),
    }
}

/// Whether runs gave the same bits.
pub fn repeats(repeats: &Repeats) -> String {
    let total = grouped(repeats.total_runs);
    let runs = match (repeats.runs, repeats.total_runs % repeats.runs.max(1)) {
        (1, 0) => "1 run".to_owned(),
        (runs, 0) => format!("{} runs", grouped(runs)),
        // Told to stop in the middle of a batch.
        (runs, _) => format!("at least {} runs", grouped(runs)),
    };
    if repeats.differing_elements == 0 {
        return format!("{runs} of each batch, {total} in all, gave the same bits");
    }
    format!(
        "{runs} of each batch, {total} in all: {} elements in {} samples of later runs have other \
         bits than in the first, by up to {:.3e}",
        grouped(repeats.differing_elements),
        grouped(repeats.differing_samples),
        repeats.largest_difference
    )
}

/// How many elements are outside, and the shape they make.
pub fn outside(output: &FaultyOutput) -> String {
    let all = output.mismatched_elements + output.non_finite_elements;
    let mut text = format!("{}, {}", grouped(all), output.pattern);
    if output.non_finite_elements > 0 {
        let _ = write!(text, ", {} not finite", grouped(output.non_finite_elements));
    }
    text
}

/// The largest value and where it is, of so many elements of which so many are not finite, which
/// have no part in it.
pub fn largest<T: Copy>(
    largest: &Largest<T>,
    [elements, non_finite]: [usize; 2],
    text: impl Fn(T) -> String,
) -> String {
    match &largest.index {
        None if non_finite == 0 => "0: every element is equal to the golden".to_owned(),
        None if non_finite < elements => "0: no finite element differs from the golden".to_owned(),
        None => "none: no element is finite".to_owned(),
        Some(index) => format!("{} at {index:?}", text(largest.value)),
    }
}

/// How many nodes ran on each provider.
pub fn nodes(placement: &Placement) -> String {
    let nodes = placement.iter();
    let texts: Vec<String> = nodes
        .map(|(provider, count)| format!("{count} nodes on {provider}"))
        .collect();
    texts.join(", ")
}

/// What a check runs, and where; its tensors were recorded in `origin`.
pub fn setting(record: &Record<Check>, origin: Origin) -> String {
    let Check {
        options,
        runtime,
        outputs,
        engine,
        ..
    } = &record.body;
    let mut text = String::new();
    if let Some(bundle) = &record.bundle {
        let path = options.bundle.display();
        line!(
            text,
            "bundle",
            "{path} ({}, {})",
            bundle.preset,
            bundle.module
        );
        line!(text, "hashes", "{} files as in the manifest", bundle.files);
        if !bundle.golden.recorded.is_empty() {
            line!(text, "golden", "of {}", bundle.golden);
        }
    }
    if options.part != part::SUBMODEL {
        line!(text, "part", "{}, recorded in {origin}", options.part);
    }
    if let Some(runtime) = runtime {
        let library = &runtime.library;
        let (version, path) = (&library.version, library.path.display());
        line!(text, "runtime", "ONNX Runtime {version} ({path})");
        line!(text, "", "SHA-256 {}", library.sha256);
        let (device, nodes) = (options.computed_by(), nodes(&runtime.nodes));
        line!(text, "device", "{device} ({nodes}), {}", runtime.precision);
    }
    for (name, value) in runtime.iter().flat_map(RuntimeRecord::model_rows) {
        line!(text, name, "{value}");
    }
    if let Some((name, value)) = record.body.from_pixels_row() {
        line!(text, name, "{value}");
    }
    for (name, value) in engine.iter().flat_map(CommandRecord::rows) {
        line!(text, name, "{value}");
    }
    for (name, value) in outputs_rows(options, outputs.as_ref()) {
        line!(text, name, "{value}");
    }
    if options.outputs.is_none() {
        line!(text, "batch size", "{}", options.batch_size_text());
    }
    line!(text, "tolerance", "{}", options.tolerance_text());
    text
}

/// How everything compares.
pub fn comparison(result: &CheckResult) -> String {
    let mut text = String::new();
    let total = &result.total;
    if !result.without_golden.is_empty() {
        let names = result.without_golden.join(", ");
        line!(text, "without", "golden, and not compared: {names}");
    }
    if result.samples == 0 {
        line!(text, "compared", "nothing");
        return text;
    }
    line!(
        text,
        "compared",
        "{} samples, {} elements, {:.0} samples/s with reading and comparing",
        grouped(result.samples),
        grouped(total.elements),
        result.samples_per_second()
    );
    match (&total.bits, result.differing_samples) {
        (Some(bits), Some(samples)) => line!(
            text,
            "differing",
            "{} elements in {} samples are not equal to the golden",
            grouped(bits.differing_elements),
            grouped(samples)
        ),
        _ => line!(
            text,
            "differing",
            "not known: the numbers came as decimal text"
        ),
    }
    for output in &result.outputs {
        if result.outputs.len() > 1 {
            line!(
                text,
                "output",
                "{}",
                output.name.as_deref().unwrap_or_default()
            );
        }
        text.push_str(&largest_errors(output));
    }
    if let Some(found) = &result.device_golden {
        line!(text, "device", "{}", device_golden(found));
    }
    if let Some(found) = &result.repeats {
        line!(text, "repeated", "{}", repeats(found));
    }
    line!(
        text,
        "outside",
        "{} elements, and {} that are not finite, in {} samples",
        grouped(total.mismatched_elements),
        grouped(total.non_finite_elements),
        grouped(result.faulty_samples)
    );
    for faulty in result.faulty.iter().take(SHOWN) {
        text.push_str(&faulty_line(faulty, result.outputs.len() > 1));
    }
    if result.faulty.len() > SHOWN {
        let more = grouped(result.faulty.len() - SHOWN);
        let _ = writeln!(text, "  … and {more} more (--report lists them all)");
    }
    for (name, value) in classes(result) {
        line!(text, name, "{value}");
    }
    text
}

/// What is known of classes, as names and values; nothing where nothing is.
pub fn classes(result: &CheckResult) -> Vec<(&'static str, String)> {
    let counts = result.classes.as_ref().map(class_counts);
    let unknown = result.classes_unknown.as_ref();
    let unknown = unknown.map(|reason| format!("not known: {reason}"));
    let top1 = result.top1.as_ref().map(top1_text);
    let rows = [("classes", counts), ("classes", unknown), ("top-1", top1)];
    let known = rows.into_iter().map(|(name, text)| Some((name, text?)));
    known.flatten().collect()
}

/// What became of the classes of faulty outputs.
fn class_counts(classes: &ClassCounts) -> String {
    format!(
        "{} critical (another class), {} tolerable (the same class), {} not finite",
        grouped(classes.critical),
        grouped(classes.tolerable),
        grouped(classes.non_finite)
    )
}

/// How many classes are right.
fn top1_text(top1: &Top1) -> String {
    let percent = |part: usize, all: usize| format!("{:.2} %", 100.0 * part as f64 / all as f64);
    let mut text = format!(
        "{} of {} samples have the golden's class",
        grouped(top1.same_as_golden),
        grouped(top1.samples)
    );
    if top1.labelled > 0 {
        let _ = write!(
            text,
            "; accuracy {} (golden {}) of {}",
            percent(top1.correct, top1.labelled),
            percent(top1.golden_correct, top1.labelled),
            grouped(top1.labelled)
        );
    }
    text
}

/// What an error did to the class of a sample.
pub fn class_change(change: &ClassChange) -> String {
    let of = |class: &Class| format!("{} ({:.4})", class.class, class.confidence);
    let after = change.after.as_ref().map_or("none".to_owned(), of);
    let (before, outcome) = (of(&change.before), change.outcome.name());
    format!("class {before} to {after}, {outcome}")
}

fn largest_errors(output: &OutputResult) -> String {
    let mut text = String::new();
    let counts = [output.elements, output.non_finite_elements];
    let error = largest(&output.max_abs_error, counts, |value| {
        format!("{value:.3e}")
    });
    line!(text, "largest", "finite absolute error {error}");
    if let Some(bits) = &output.bits {
        let ulp = largest(&bits.max_ulp, counts, |value| grouped(value as usize));
        line!(text, "", "finite ULP distance   {ulp} (large near zero)");
    }
    text
}

fn faulty_line(faulty: &FaultyOutput, has_several_outputs: bool) -> String {
    let mut about = sample::line(&faulty.info);
    if faulty.run > 0 {
        let _ = write!(about, ", run {}", faulty.run);
    }
    if has_several_outputs {
        let _ = write!(about, ", {}", faulty.output);
    }
    let worst = &faulty.worst;
    let xor = match worst.xor {
        Some(xor) => format!(", xor {xor:08x}"),
        None => String::new(),
    };
    let class = match &faulty.class {
        Some(change) => format!("; {}", class_change(change)),
        None => String::new(),
    };
    format!(
        "  sample {} ({about}): {} outside, {} not finite, {}; worst {:?}: golden {:e}, actual \
         {:e}{xor}{class}\n",
        faulty.sample,
        faulty.mismatched_elements,
        faulty.non_finite_elements,
        faulty.pattern,
        &worst.index[1..],
        worst.golden,
        worst.actual
    )
}

/// The verdict on a check that ended, of `asked` samples.
pub fn verdict(record: &Record<Check>, result: &CheckResult, asked: usize) -> String {
    let stopped = match result.stopped {
        Some(_) => format!(
            " (stopped after {} of {})",
            grouped(result.samples),
            grouped(asked)
        ),
        None => String::new(),
    };
    let count = |outcome| result.faults_that_are(outcome);
    let mut text = String::new();
    match (record.verdict, record.body.options.expect_detected) {
        (Verdict::Pass, true) => line!(
            text,
            "verdict",
            "PASS: every fault beyond the tolerance was flagged, and no other sample; {} masked, \
             {} within tolerance",
            count(FaultOutcome::Masked),
            count(FaultOutcome::WithinTolerance)
        ),
        (Verdict::Pass, false) => {
            line!(
                text,
                "verdict",
                "PASS: every element is within the tolerance"
            );
        }
        (_, true) => line!(
            text,
            "verdict",
            "FAIL: {} faults were missed, {} were not reached, {} samples without a fault were \
             flagged{stopped}",
            count(FaultOutcome::Missed),
            count(FaultOutcome::NotReached),
            grouped(result.flagged_without_fault)
        ),
        (_, false) if result.has_other_bits_alone() => line!(
            text,
            "verdict",
            "FAIL: every element is within the tolerance, but this device gave other bits \
             before{stopped}"
        ),
        (_, false) => line!(
            text,
            "verdict",
            "FAIL: {} of {} samples are faulty{stopped}",
            grouped(result.faulty_samples),
            grouped(result.samples)
        ),
    }
    text
}
