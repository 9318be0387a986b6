//! `verifier calibrate`: passes without a fault, the tolerance that follows, and its file.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use console::{Progress, grouped, note, one_line, say};
use proto::staging;
use verifier::calibrate::file::{self, Entry};
use verifier::calibrate::{self, BITS, Calibration, Floor, Request};
use verifier::check::Event;
use verifier::report::check::Check;
use verifier::report::floor_plot::floor_plot;
use verifier::report::{Verdict, text, unix_seconds};

use super::hints::with_hint;
use super::opened::Opened;
use super::prepare::stop_flag;
use super::recorded::{check_place, refuse_input};
use super::source::{Asked, Source};
use crate::cli::{CalibrateArgs, inputs};

pub(crate) fn calibrate(arguments: &CalibrateArgs) -> Result<Verdict> {
    run(arguments).map_err(|error| with_hint(error, "calibrate"))
}

fn run(arguments: &CalibrateArgs) -> Result<Verdict> {
    let started = Instant::now();
    let started_unix_seconds = unix_seconds();
    let stop = stop_flag()?;
    let opened = Opened::new::<Check>(&arguments.input, None)?;
    let out = output_file(arguments)?;
    file::read(&out)?; // one that is damaged is to be known before the long run
    let asked = Asked {
        target: &arguments.target,
        outputs: &arguments.outputs,
        engine: &arguments.engine,
        batch_size: arguments.batch_size,
    };
    let mut source = Source::open(opened, &asked, &[], stop.clone())?;
    let setting = source.setting().context(
        "--outputs without --engine-name: a calibration is of one engine, and is found by its name",
    )?;
    say_setting(&source);
    let passes = match source.runtime() {
        Some(_) => arguments.passes,
        None => 1,
    };
    let batch_size = source.batch_size();

    let (opened, _, engines) = source.split();
    let request = Request {
        recordings: &opened.recordings,
        samples: opened.samples.clone(),
        batch_size,
        passes,
        rtol: arguments.rtol,
        margin: arguments.margin,
        stop: &stop,
    };
    let steps = opened.samples.len() as u64 * (passes as u64 + 1);
    let progress = Progress::count("samples of all passes", steps);
    let found = calibrate::calibrate(&request, engines.fault_free, &mut |event| {
        if let Event::Done(samples) = event {
            progress.advance(samples as u64);
        }
    })?;
    progress.finish();
    let bundle = opened.bundle.blake3();
    let entry = Entry::new(setting, bundle, started_unix_seconds, &request, &found);
    say_summary(&request, &found);
    source.finish()?;
    if let Some(reason) = refusal(arguments, &found) {
        say!("verdict      FAIL: {reason}");
        return Ok(Verdict::Fail);
    }
    file::store(&out, entry)?;
    say!("written      {}", out.display());
    if let Some(path) = &arguments.plot {
        match plot(path, arguments, &source, &found) {
            Ok(()) => say!("plot         {}", path.display()),
            Err(error) => note!("error: --plot {error:#}; the calibration is written"),
        }
    }
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(Verdict::Pass)
}

/// Why nobody should check with what was found.
fn refusal(arguments: &CalibrateArgs, found: &Calibration) -> Option<String> {
    if found.false_alarms > 0 {
        return Some(format!(
            "a further pass had {} false alarms; nothing was written\n\
             hint: more --passes or a larger --margin",
            grouped(found.false_alarms)
        ));
    }
    let share = least_share(&found.floor);
    if share < arguments.least_caught / 100.0 {
        return Some(format!(
            "the tolerance would catch {} of the flips of the sign or of a bit of the exponent, \
             expected {} %; nothing was written\n\
             hint: does the device compute what the model says? Compare it with --device cpu; \
             --least-caught PERCENT takes less",
            percent(share),
            arguments.least_caught
        ));
    }
    None
}

/// The file to write; refused where nothing may be written.
fn output_file(arguments: &CalibrateArgs) -> Result<PathBuf> {
    let out = arguments
        .out
        .clone()
        .or_else(|| file::beside(&arguments.input.bundle));
    let out = out.context("the bundle's folder has no name: --out FILE names the file to write")?;
    let inputs = inputs(
        &arguments.target,
        Some(&arguments.outputs),
        &arguments.engine,
    );
    check_place("--out", &out)?;
    refuse_input("--out", &out, &inputs)?;
    if let Some(plot) = &arguments.plot {
        check_place("--plot", plot)?;
        refuse_input("--plot", plot, &inputs)?;
    }
    Ok(out)
}

fn say_setting(source: &Source) {
    let Opened {
        bundle,
        part_name,
        recordings,
        ..
    } = source.opened();
    let manifest = bundle.manifest();
    let root = bundle.root().display();
    say!(
        "bundle       {root} ({}, {})",
        manifest.model.preset,
        manifest.module
    );
    say!(
        "hashes       {} files as in the manifest",
        manifest.files.len()
    );
    say!(
        "part         {part_name}, recorded in {}",
        recordings.origin
    );
    if let (Some(runtime), Some(device)) = (source.runtime(), source.device()) {
        let library = &runtime.library;
        let (version, path) = (&library.version, library.path.display());
        say!("runtime      ONNX Runtime {version} ({path})");
        say!("             SHA-256 {}", library.sha256);
        let nodes = text::nodes(&runtime.nodes);
        say!("device       {device} ({nodes}), {}", runtime.precision);
        for (name, value) in runtime.model_rows() {
            say!("{name:<13}{}", one_line(&value));
        }
        say!("batch size   {}", source.batch_size());
    }
    for (name, value) in source.command().iter().flat_map(|command| command.rows()) {
        say!("{name:<13}{}", one_line(&value));
    }
}

fn plot(
    path: &Path,
    arguments: &CalibrateArgs,
    source: &Source,
    found: &Calibration,
) -> Result<()> {
    let computed_by = match (source.command(), &arguments.outputs.engine_name) {
        (Some(command), _) => command.engine.name.clone(),
        (None, Some(name)) => name.clone(),
        (None, None) => arguments.target.device.to_string(),
    };
    let title = format!(
        "{} on {computed_by}: flips caught at atol {:.2e}",
        arguments.input.part, found.tolerance.atol
    );
    let svg = floor_plot(&title, &found.floor);
    let written = staging::write_file(path, |writer| writer.write_all(svg.as_bytes()));
    written.with_context(|| format!("{}: cannot be written", path.display()))
}

fn say_summary(request: &Request<'_>, found: &Calibration) {
    say!(
        "passes       {} without a fault, each of {} samples, {} elements",
        grouped(request.passes),
        grouped(request.samples.len()),
        grouped(found.elements)
    );
    match (request.passes, found.differing_samples) {
        (1, _) => {}
        (_, 0) => say!("repeated     every pass gave the same bits"),
        (_, count) => say!(
            "repeated     {} samples of later passes have other bits than in the first",
            grouped(count)
        ),
    }
    // One that is not finite ends a calibration.
    let counts = [found.elements, 0];
    let error = text::largest(&found.max_abs_error, counts, |value| format!("{value:.3e}"));
    say!("largest      absolute error {error}");
    let ulp = text::largest(&found.max_ulp, counts, |value| grouped(value as usize));
    say!("             ULP distance   {ulp} (large near zero)");
    say!(
        "tolerance    atol {:e}, rtol {:e}: {} times the least atol without a false alarm, {:e}",
        found.tolerance.atol,
        found.tolerance.rtol,
        request.margin,
        found.smallest_atol
    );
    let flagged = grouped(found.false_alarms);
    say!("checked      a further pass over the same samples: {flagged} flagged");
    say_floor(&found.floor);
}

/// The detection floor in a few lines; the file and the plot have every bit.
fn say_floor(floor: &Floor) {
    let Some(overall) = floor.overall() else {
        return;
    };
    let elements = grouped(floor.elements);
    say!(
        "caught       {} of the single-bit flips in {elements} outputs",
        percent(overall)
    );
    let sign = percent(floor.share(31).unwrap_or_default());
    say!(
        "             sign {sign}, exponent {}",
        least_caught(floor, 23..=30)
    );
    let mantissa: Vec<String> = [0.99, 0.5, 0.01]
        .into_iter()
        .filter_map(|share| {
            let bit = first_bit_with(floor, share)?;
            Some(format!("{:.0} % from bit {bit}", 100.0 * share))
        })
        .collect();
    if mantissa.is_empty() {
        say!("             mantissa less than 1 % of each bit");
    } else {
        say!("             mantissa {}", mantissa.join(", "));
    }
}

/// Of the flips of the sign and of each bit of the exponent, the smallest share that is caught; 1
/// where nothing was flipped.
fn least_share(floor: &Floor) -> f64 {
    let shares = (BITS - 9..BITS).filter_map(|bit| floor.share(bit));
    shares.fold(1.0, f64::min)
}

/// Rounded down: 100 % means every one.
fn percent(share: f64) -> String {
    format!("{:.1} %", (1000.0 * share).floor() / 10.0)
}

fn least_caught(floor: &Floor, bits: std::ops::RangeInclusive<usize>) -> String {
    let shares = bits.filter_map(|bit| floor.share(bit).map(|share| (share, bit)));
    let (share, bit) = shares
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap_or_default();
    format!("at least {} (bit {bit})", percent(share))
}

/// The lowest bit of the mantissa from which on each has at least this share.
fn first_bit_with(floor: &Floor, share: f64) -> Option<usize> {
    let mantissa = 0..BITS - 9;
    let reaches = |bit: usize| floor.share(bit) >= Some(share);
    mantissa
        .clone()
        .find(|&bit| (bit..mantissa.end).all(reaches))
}
