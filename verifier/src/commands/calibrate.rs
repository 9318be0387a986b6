//! `verifier calibrate`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context as _, Result};
use proto::bundle::Bundle;
use proto::staging;
use verifier::calibration::file::{self, Entry, Setting};
use verifier::calibration::{self, BITS, Calibration, Floor, Request, plot};
use verifier::locate::locate;
use verifier::model::Model;
use verifier::onnxruntime::{Engine, Source};
use verifier::recording::Recordings;
use verifier::report::unix_seconds;

use super::steps::{load, progress_bar, refuse_inside, samples, stop_flag, verify};
use super::{Status, grouped, show};
use crate::cli::CalibrateArgs;

pub(crate) fn calibrate(arguments: &CalibrateArgs) -> Result<Status> {
    let started = Instant::now();
    let started_unix_seconds = unix_seconds();
    let bundle = Bundle::open(&arguments.bundle)?;
    let (path, part) = bundle.part(&arguments.part)?;
    let options = arguments.target.settle(part, arguments.batch_size);
    let stop = stop_flag()?;
    let library = locate(arguments.target.runtime.as_deref())?;
    let out = arguments
        .out
        .clone()
        .or_else(|| file::beside(bundle.root()));
    let out = out.context("the bundle's folder has no name: --out FILE names the file to write")?;
    refuse_inside("--out", &out)?;
    if let Some(plot) = &arguments.plot {
        refuse_inside("--plot", plot)?;
    }
    file::read(&out)?; // one that is damaged is to be known before the long run
    verify(&bundle)?;
    let recordings = Recordings::of(&bundle, &arguments.part)?;
    let samples = samples(&recordings, arguments.range.as_deref())?;

    let engine = Engine::start(&library)?;
    Model::open(&path, part)?;
    let mut runtime = load(
        &engine,
        Source::File(&path),
        &path,
        part,
        &options,
        &recordings,
    )?;
    show::setting(
        &bundle,
        &engine,
        &runtime,
        &options,
        &arguments.part,
        recordings.origin,
    );

    let request = Request {
        inputs: &recordings.inputs,
        goldens: &recordings.goldens,
        samples: samples.clone(),
        batch_size: arguments.batch_size,
        passes: arguments.passes,
        rtol: arguments.rtol,
        margin: arguments.margin,
    };
    let steps = samples.len() as u64 * (arguments.passes as u64 + 1);
    let bar = progress_bar(
        steps,
        "{pos}/{len} samples of all passes  {per_sec}  {eta} left",
    );
    let mut progress = |samples: usize| bar.inc(samples as u64);
    let found = calibration::calibrate(&request, &mut runtime, &mut progress, &|| {
        stop.load(Ordering::Relaxed)
    })?;
    bar.finish_and_clear();
    summary(&request, &found);
    if let Some(plot) = &arguments.plot {
        let title = format!(
            "{} on {}: flips caught at atol {:.2e}",
            arguments.part, options.device, found.tolerance.atol
        );
        let text = plot::svg(&title, &found.floor);
        staging::write_file(plot, |writer| {
            std::io::Write::write_all(writer, text.as_bytes())
        })
        .with_context(|| format!("{}: cannot be written", plot.display()))?;
        say!("plot         {}", plot.display());
    }
    if found.false_alarms > 0 {
        say!(
            "verdict      FAIL: a further pass had {} false alarms; nothing was written\nhint: more --passes or a larger --margin",
            grouped(found.false_alarms)
        );
        return Ok(Status::Fail);
    }
    let setting = Setting::new(
        bundle.blake3(),
        &arguments.part,
        engine.library(),
        &options,
        arguments.batch_size,
    );
    file::store(
        &out,
        Entry::new(setting, started_unix_seconds, &request, &found),
    )?;
    say!("written      {}", out.display());
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(Status::Pass)
}

fn summary(request: &Request<'_>, found: &Calibration) {
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
    say!(
        "largest      absolute error {}",
        show::extreme(&found.max_abs_error, |value| format!("{value:.3e}"))
    );
    say!(
        "             ULP distance   {} (large near zero)",
        show::extreme(&found.max_ulp, |value| grouped(value as usize))
    );
    say!(
        "tolerance    atol {:e}, rtol {:e}: {} times the least atol without a false alarm, {:e}",
        found.tolerance.atol,
        found.tolerance.rtol,
        request.margin,
        found.smallest_atol
    );
    say!(
        "checked      a further pass over the same samples: {} flagged",
        grouped(found.false_alarms)
    );
    floor(&found.floor);
}

/// The detection floor in a few lines; the file and the plot have every bit.
fn floor(floor: &Floor) {
    let Some(overall) = floor.overall() else {
        return;
    };
    // Rounded down: 100 % means every one.
    let percent = |share: f64| format!("{:.1} %", (1000.0 * share).floor() / 10.0);
    let least = |bits: std::ops::RangeInclusive<usize>| {
        let shares = bits.filter_map(|bit| floor.share(bit).map(|share| (share, bit)));
        let (share, bit) = shares
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap_or_default();
        format!("at least {} (bit {bit})", percent(share))
    };
    say!(
        "caught       {} of the single-bit flips in {} outputs",
        percent(overall),
        grouped(floor.elements)
    );
    say!(
        "             sign {}, exponent {}",
        percent(floor.share(31).unwrap_or_default()),
        least(23..=30)
    );
    let from = |wanted: f64| {
        (0..BITS - 9).find(|&bit| (bit..BITS - 9).all(|bit| floor.share(bit) >= Some(wanted)))
    };
    let mantissa: Vec<String> = [0.99, 0.5, 0.01]
        .into_iter()
        .filter_map(|share| from(share).map(|bit| format!("{:.0} % from bit {bit}", 100.0 * share)))
        .collect();
    let none = "less than 1 % of each bit".to_owned();
    say!(
        "             mantissa {}",
        if mantissa.is_empty() {
            none
        } else {
            mantissa.join(", ")
        }
    );
}
