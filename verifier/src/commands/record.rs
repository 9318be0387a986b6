//! `verifier record`: passes without a fault, the first of which is kept as the golden of the
//! device.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use console::{Progress, grouped, say};
use verifier::calibrate::device_golden::{DeviceGolden, Recorder};
use verifier::check::{self, CheckResult, Engines, Event, Request};
use verifier::report::check::Check;
use verifier::report::{Verdict, text, unix_seconds};

use super::hints::with_hint;
use super::opened::Opened;
use super::prepare::{Prepared, stop_flag};
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
    let library = &loaded.runtime.library;
    say!(
        "runtime      ONNX Runtime {} ({})",
        library.version,
        library.path.display()
    );
    let nodes = text::nodes(&loaded.runtime.nodes);
    say!(
        "device       {} ({nodes}), {}",
        prepared.options.device,
        loaded.runtime.precision
    );
    say!("batch size   {}", prepared.batch_size);
    say!(
        "tolerance    atol {:e}, rtol {:e} ({origin})",
        tolerance.atol,
        tolerance.rtol
    );

    let Opened {
        recordings,
        samples,
        bundle,
        ..
    } = &prepared.opened;
    let recorder = Recorder::create(&arguments.golden, &recordings.goldens, samples);
    let mut recorder = recorder.context("--golden")?;
    let all = samples.len() as u64 * arguments.passes as u64;
    let progress = Progress::count("samples of all passes", all);
    let request = Request {
        recordings,
        samples: samples.clone(),
        batch_size: prepared.batch_size,
        tolerance,
        faults: &[],
        repeat: 1,
        fail_fast: true,
        histogram: false,
        stop: &stop,
    };
    for pass in 1..=arguments.passes {
        let mut engines = Engines {
            fault_free: &mut *loaded.engine,
            corrupted: None,
        };
        let result = check::check(&request, &mut engines, &mut |event| match event {
            Event::Outputs(samples, outputs) => recorder.take(&samples, &outputs),
            Event::Done(samples) => progress.advance(samples as u64),
            Event::Faulty(..) => {}
        })?;
        if !result.faulty.is_empty() {
            progress.finish();
            say_refusal(&result, pass);
            return Ok(Verdict::Fail);
        }
        if result.stopped.is_some() {
            bail!(
                "interrupted in pass {pass} of {}: nothing was recorded",
                arguments.passes
            );
        }
    }
    progress.finish();
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
    let (passes, of) = (grouped(arguments.passes), grouped(samples.len()));
    match differing {
        0 => say!("repeated     {passes} passes of {of} samples gave the same bits"),
        _ => say!(
            "repeated     NO: {} samples of later passes have other bits than in the first",
            grouped(differing)
        ),
    }
    say!("recorded     {}", arguments.golden.display());
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(match differing {
        0 => Verdict::Pass,
        _ => Verdict::Fail,
    })
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
