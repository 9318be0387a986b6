//! A check as a person reads it: what runs where, how it compares, what became of the faults.

use std::ops::Range;
use std::path::PathBuf;

use proto::bundle::Bundle;
use proto::manifest::part;
use verifier::calibration::file::LookUp;
use verifier::fault::Fault;
use verifier::onnxruntime::{Engine, OnnxRuntime, Options};
use verifier::report::OptionsReport;
use verifier::verdict::{Extreme, Fate, FaultySample, OutputVerdict, Verdict};

use super::grouped;

/// Faulty samples shown to a person; the report has all of them.
const SHOWN: usize = 20;

pub(super) fn setting(
    bundle: &Bundle,
    engine: &Engine,
    runtime: &OnnxRuntime,
    options: &Options,
    part_name: &str,
    origin: &str,
) {
    let manifest = bundle.manifest();
    let placed: Vec<String> = runtime
        .placement()
        .iter()
        .map(|(provider, nodes)| format!("{nodes} nodes on {provider}"))
        .collect();
    let library = engine.library();
    say!(
        "bundle       {} ({}, {})",
        bundle.root().display(),
        manifest.model.preset,
        manifest.module
    );
    say!(
        "hashes       {} files as in the manifest",
        manifest.files.len()
    );
    if part_name != part::SUBMODEL {
        say!("part         {part_name}, recorded in {origin}");
    }
    say!(
        "runtime      ONNX Runtime {} ({})",
        library.version,
        library.path.display()
    );
    say!("             SHA-256 {}", library.sha256);
    say!(
        "device       {} ({}), {}",
        options.device,
        placed.join(", "),
        options.precision()
    );
}

pub(super) fn tolerance(
    options: &OptionsReport,
    calibration: Option<&(PathBuf, LookUp)>,
    samples: &Range<usize>,
) {
    say!("tolerance    {}", options.tolerance_text());
    match calibration {
        Some((path, LookUp::Others(differences))) => {
            say!(
                "             not that of {}, which is for {}",
                path.display(),
                differences.join(", ")
            );
        }
        Some((_, LookUp::Same(entry)))
            if entry.samples[0] > samples.start || entry.samples[1] < samples.end =>
        {
            say!(
                "             it was found on other samples than the {} to {} checked here: one that it did not see may need more",
                samples.start,
                samples.end - 1
            );
        }
        _ => {}
    }
}

pub(super) fn comparison(verdict: &Verdict, sample_index: impl Fn(usize) -> i64) {
    let total = verdict.total();
    say!(
        "compared     {} samples, {} elements, {:.0} samples/s with reading and comparing",
        grouped(verdict.samples),
        grouped(total.elements),
        verdict.samples as f64
            / (verdict.seconds.running + verdict.seconds.comparing + verdict.seconds.reading)
    );
    say!(
        "differing    {} elements in {} samples are not equal to the golden",
        grouped(total.differing_elements),
        grouped(verdict.differing_samples)
    );
    if let [output] = verdict.outputs.as_slice() {
        largest(output);
    } else {
        for output in &verdict.outputs {
            say!("output       {}", output.name);
            largest(output);
        }
    }
    if let Some(repeats) = &verdict.repeats {
        match repeats.differing_elements {
            0 => say!(
                "repeated     {} runs of each batch gave the same bits",
                grouped(repeats.runs)
            ),
            count => say!(
                "repeated     {} runs of each batch: {} elements in {} samples of later runs have other bits, by up to {:.3e}",
                grouped(repeats.runs),
                grouped(count),
                grouped(repeats.differing_samples),
                repeats.largest_difference
            ),
        }
    }
    say!(
        "outside      {} elements, and {} that are not finite, in {} samples",
        grouped(total.mismatches),
        grouped(total.non_finite),
        grouped(verdict.faulty_samples())
    );
    for faulty in verdict.faulty.iter().take(SHOWN) {
        faulty_sample(faulty, sample_index(faulty.sample), &verdict.outputs);
    }
    if verdict.faulty.len() > SHOWN {
        say!(
            "  … and {} more samples (--report lists them all)",
            grouped(verdict.faulty.len() - SHOWN)
        );
    }
}

fn largest(output: &OutputVerdict) {
    say!(
        "largest      finite absolute error {}",
        extreme(&output.max_abs_error, |value| format!("{value:.3e}"))
    );
    say!(
        "             finite ULP distance   {} (large near zero)",
        extreme(&output.max_ulp, |value| grouped(value as usize))
    );
}

fn faulty_sample(faulty: &FaultySample, sample_index: i64, outputs: &[OutputVerdict]) {
    for output in &faulty.outputs {
        let worst = &output.worst;
        let run = if faulty.run > 0 {
            format!(", run {}", faulty.run)
        } else {
            String::new()
        };
        let name = if outputs.len() > 1 {
            format!(", {}", outputs[output.output].name)
        } else {
            String::new()
        };
        say!(
            "  sample {} (image {sample_index}{run}{name}): {} outside, {} not finite, {}; worst {:?}: golden {:e}, found {:e}, xor {:08x}",
            faulty.sample,
            output.mismatches,
            output.non_finite,
            output.geometry,
            &worst.index[1..],
            worst.golden,
            worst.actual,
            worst.xor()
        );
    }
}

pub(super) fn faults(verdict: &Verdict, faults: &[Fault]) {
    if faults.is_empty() {
        return;
    }
    let count = |fate| {
        verdict
            .faults
            .iter()
            .filter(|result| result.fate() == fate)
            .count()
    };
    say!(
        "injected     {} faults: {} found, {} missed, {} masked; {} samples without one were flagged",
        faults.len(),
        count(Fate::Detected),
        count(Fate::Missed),
        count(Fate::Masked),
        grouped(verdict.flagged_without_fault(faults))
    );
    for (fault, result) in faults.iter().zip(&verdict.faults) {
        let change = match result.non_finite {
            true => "to or from a value that is not finite".to_owned(),
            false => format!("by up to {:.3e}", result.largest_change),
        };
        let fate = match result.fate() {
            Fate::Detected => "found",
            Fate::Missed => "MISSED",
            Fate::Masked => "masked",
        };
        say!(
            "  {fate:<7} {fault}: changed {change}; beyond the tolerance in {} samples, flagged in {}",
            grouped(result.samples_beyond),
            grouped(result.samples_flagged)
        );
    }
}

pub(super) fn extreme<T: Copy>(extreme: &Extreme<T>, value: impl Fn(T) -> String) -> String {
    match &extreme.index {
        None => "0: every element is equal to the golden".to_owned(),
        Some(index) => format!("{} at {index:?}", value(extreme.value)),
    }
}
