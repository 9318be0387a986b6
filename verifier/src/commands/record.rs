//! `verifier record`: passes without a fault, the first of which is kept as the golden of the
//! device.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use console::{Progress, ensure_printed, grouped, say};
use verifier::calibrate::device_golden::{DeviceGolden, Recorder};
use verifier::check::{self, CheckResult, Engines, Event, Request};
use verifier::engine::Engine;
use verifier::report::check::Check;
use verifier::report::{Verdict, text, unix_seconds};

use super::hints::with_hint;
use super::opened::Opened;
use super::prepare::{Loaded, Prepared, stop_flag};
use super::recorded::refuse_inside;
use super::tolerance::tolerance;
use crate::cli::RecordArgs;

pub(crate) fn record(arguments: &RecordArgs) -> Result<Verdict> {
    run(arguments).map_err(|error| with_hint(error, "record"))
}

fn run(arguments: &RecordArgs) -> Result<Verdict> {
    let started = Instant::now();
    let recorded_unix_seconds = unix_seconds();
    let stop = stop_flag()?;
    refuse_inside("--golden", &arguments.golden)?;
    let opened = Opened::new::<Check>(&arguments.input, None)?.verified(&stop)?;
    let prepared = Prepared::new(
        opened,
        &arguments.target,
        arguments.batch_size,
        stop.clone(),
    )?;
    let setting = prepared.setting();
    let flags = [arguments.atol, arguments.rtol];
    let (tolerance, origin) = tolerance(&arguments.input.bundle, flags, &setting)?;
    let mut loaded = prepared.load(prepared.batch_size)?;
    say_setting(&prepared, &loaded);
    let (atol, rtol) = (tolerance.atol, tolerance.rtol);
    say!("tolerance    atol {atol:e}, rtol {rtol:e} ({origin})");
    let Opened {
        recordings,
        samples,
        bundle,
        ..
    } = &prepared.opened;
    let recorder = Recorder::create(&arguments.golden, &recordings.goldens, samples);
    let mut recorder = recorder.context("--golden")?;
    let request = Request {
        recordings,
        samples: samples.clone(),
        batch_size: prepared.batch_size,
        tolerance,
        faults: &[],
        repeat: 1,
        fail_fast: true,
        histogram: false,
        verdict_only: false,
        stop: &stop,
    };
    if !run_passes(
        &request,
        arguments.passes,
        &mut *loaded.engine,
        &mut recorder,
    )? {
        return Ok(Verdict::Fail);
    }
    prepared.check_unchanged()?;
    let differing = recorder.differing_samples();
    recorder.finish(DeviceGolden {
        setting,
        bundle_blake3: bundle.blake3(),
        samples: [samples.start, samples.end],
        passes: arguments.passes,
        differing_samples: 0,
        recorded_unix_seconds,
        verifier: env!("CARGO_PKG_VERSION").to_owned(),
        files: BTreeMap::new(),
    })?;
    say_repeated(arguments.passes, samples.len(), differing);
    say!("recorded     {}", arguments.golden.display());
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    ensure_printed()?;
    Ok(match differing {
        0 => Verdict::Pass,
        _ => Verdict::Fail,
    })
}

/// Runs all samples so often; false if one has an element outside the tolerance of the bundle's
/// golden, which is said.
fn run_passes(
    request: &Request<'_>,
    passes: usize,
    engine: &mut dyn Engine,
    recorder: &mut Recorder,
) -> Result<bool> {
    let all = request.samples.len() as u64 * passes as u64;
    let progress = Progress::count("samples of all passes", all);
    for pass in 1..=passes {
        let mut engines = Engines {
            fault_free: &mut *engine,
            corrupted: None,
        };
        let result = check::check(request, &mut engines, &mut |event| match event {
            Event::Outputs(samples, outputs) => recorder.take(&samples, &outputs),
            Event::Done(samples) => progress.advance(samples as u64),
            Event::Faulty(..) => {}
        })?;
        if !result.faulty.is_empty() {
            progress.finish();
            say_refusal(&result, pass);
            return Ok(false);
        }
        if result.stopped.is_some() {
            bail!("interrupted in pass {pass} of {passes}: nothing was recorded");
        }
    }
    Ok(true)
}

fn say_setting(prepared: &Prepared, loaded: &Loaded) {
    let library = &loaded.runtime.library;
    let (version, path) = (&library.version, library.path.display());
    say!("runtime      ONNX Runtime {version} ({path})");
    let nodes = text::nodes(&loaded.runtime.nodes);
    let (device, precision) = (&prepared.options.device, &loaded.runtime.precision);
    say!("device       {device} ({nodes}), {precision}");
    say!("batch size   {}", prepared.batch_size);
}

fn say_repeated(passes: usize, samples: usize, differing: usize) {
    let (passes, samples) = (grouped(passes), grouped(samples));
    match differing {
        0 => say!("repeated     {passes} passes of {samples} samples gave the same bits"),
        _ => say!(
            "repeated     NO: {} samples of later passes have other bits than in the first",
            grouped(differing)
        ),
    }
}

fn say_refusal(result: &CheckResult, pass: usize) {
    let faulty = &result.faulty[0];
    say!(
        "verdict      FAIL: sample {} of pass {pass} has {} elements outside the tolerance of the \
         bundle's golden; nothing was recorded",
        faulty.sample,
        grouped(faulty.mismatched_elements + faulty.non_finite_elements)
    );
    say!("hint: `verifier calibrate` finds the tolerance of a device that works");
}
