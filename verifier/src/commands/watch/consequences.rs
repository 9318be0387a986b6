//! `verifier watch consequences`: dumped wrong outputs through `tail`.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use console::{Progress, grouped, say};
use ndarray::ArrayD;
use proto::manifest::dataset;
use proto::staging;
use proto::tier::{DEFAULT_TIERS, Tiers};
use verifier::check::tail::Carried;
use verifier::report::Verdict;
use verifier::report::check::Check;
use verifier::report::table::table;
use verifier::samples::{SampleInfo, elements};
use verifier::watch::consequences::{
    Consequences, Dumped, FromLog, LeftOut, TABLE, Table, find, of_files,
};
use verifier::watch::log::LogReader;
use verifier::watch::log::reader::files_of;

use super::super::opened::{Opened, check_hashes};
use super::super::prepare::stop_flag;
use super::super::tail;
use crate::cli::WatchConsequencesArgs;

/// Where nothing is known of a sample's confidence.
const NO_TIER: i64 = -1;

/// How many outputs are left out, and why.
type Left = BTreeMap<LeftOut, usize>;

pub(super) fn consequences(arguments: &WatchConsequencesArgs) -> Result<Verdict> {
    let stop = stop_flag()?;
    let opened = Opened::new::<Check>(&arguments.input, None)?;
    // A log of another bundle is known before anything is hashed.
    let log = log_folder(arguments);
    let from_log = log.map(|log| read_log(log, &opened)).transpose()?;
    let opened = opened.verified(&stop)?;
    check_hashes(&opened, &stop)?;
    let dumped = dumped(arguments, &opened)?;
    if dumped.is_empty() {
        bail!(
            "there are no dumped outputs of `{}`",
            opened.part.outputs[0].name
        );
    }
    let mut left = Left::new();
    let outputs = outputs(dumped, from_log.as_ref(), &opened, &mut left)?;
    let mut tail = tail::load_on(&arguments.target, &opened, None)?;
    let golden = &opened.recordings.goldens[0];
    let progress = Progress::count("outputs", outputs.len() as u64);
    for one in &outputs {
        let actual = one.read(golden.sample_shape())?;
        let window = golden.reader().window(one.sample..one.sample + 1)?;
        let expected = elements(&window.view()).to_vec();
        let expected = ArrayD::from_shape_vec(golden.sample_shape(), expected)?;
        tail.add_faulty(one.sample, &expected.view(), &actual.view())?;
        progress.advance(1);
    }
    let Carried { changes, .. } = tail.finish()?;
    progress.finish();
    let mut found = Consequences::default();
    let mut unknown = 0;
    for (one, change) in outputs.iter().zip(changes) {
        match change {
            Some(change) => {
                let tier = tier(&opened.recordings.info[one.sample]);
                found.add(one, tier, change.outcome);
            }
            None => unknown += 1,
        }
    }
    say_found(&found, unknown, &left);
    if let Some(log) = log {
        keep(log, &found, &opened.bundle.blake3())?;
    }
    Ok(Verdict::Pass)
}

/// The folder of a watch's log, if that is what holds the dumps.
fn log_folder(arguments: &WatchConsequencesArgs) -> Option<&Path> {
    let folder = arguments.dumps.as_deref()?;
    let is_log = files_of(folder).is_ok_and(|files| !files.is_empty());
    is_log.then_some(folder)
}

/// What a log says of its wrong batches; one of other bundles, or whose table is of another one, is
/// refused.
fn read_log(log: &Path, opened: &Opened) -> Result<FromLog> {
    let named = || log.display().to_string();
    let mut from_log = FromLog::default();
    let mut reader = LogReader::open(log).with_context(named)?;
    while let Some(entry) = reader.next_entry()? {
        from_log.add(&entry);
    }
    let blake3 = opened.bundle.blake3();
    if !from_log.bundles.contains(&blake3) {
        let bundles: Vec<&str> = from_log.bundles.iter().map(String::as_str).collect();
        bail!(
            "{}: a log of another bundle, BLAKE3 {}; {} is {blake3}\n\
             hint: name the bundle that was watched",
            log.display(),
            bundles.join(", "),
            opened.bundle.root().display()
        );
    }
    // A table that is damaged is made again.
    let table = Table::read(log).ok().flatten();
    let made_with = table.as_ref().and_then(Table::bundle_blake3);
    if let Some(made_with) = made_with.filter(|made_with| *made_with != blake3) {
        bail!(
            "{}: made with the bundle {made_with}\n\
             hint: move it away to make one with {blake3}",
            log.join(TABLE).display()
        );
    }
    Ok(from_log)
}

/// Those of the outputs that are of SDCs of this bundle, as far as a log says it.
fn outputs(
    dumped: Vec<Dumped>,
    from_log: Option<&FromLog>,
    opened: &Opened,
    left: &mut Left,
) -> Result<Vec<Dumped>> {
    let golden = &opened.recordings.goldens[0];
    let (name, blake3) = (&opened.part.outputs[0].name, opened.bundle.blake3());
    let mut outputs = Vec::new();
    for one in dumped {
        let mut why = from_log.and_then(|log| log.left_out(&one, &blake3));
        if why.is_none() && one.sample >= golden.samples() {
            let (path, samples) = (one.path.display(), golden.samples());
            bail!(
                "{path}: sample {}, but the bundle has {samples}",
                one.sample
            );
        }
        if let (None, Some(log)) = (why, from_log) {
            let actual = one.read(golden.sample_shape())?;
            let is_other = log.has_other_values(&one, name, &actual.view());
            why = is_other.then_some(LeftOut::OtherValues);
        }
        match why {
            Some(why) => *left.entry(why).or_default() += 1,
            None => outputs.push(one),
        }
    }
    Ok(outputs)
}

fn say_found(found: &Consequences, unknown: usize, left: &Left) {
    let header = ["tier", "outputs", "tolerable", "critical", "non-finite"];
    say!("{}", table(&header, found.table()).trim_end());
    if unknown > 0 {
        say!(
            "{} outputs have a golden whose logits are not finite",
            grouped(unknown)
        );
    }
    for (why, outputs) in left {
        say!("left out     {} outputs {why}", grouped(*outputs));
    }
}

fn dumped(arguments: &WatchConsequencesArgs, opened: &Opened) -> Result<Vec<Dumped>> {
    let [output] = opened.part.outputs.as_slice() else {
        bail!("part `{}` has several outputs", opened.part_name);
    };
    if output.name == dataset::LOGITS {
        bail!("part `{}` gives logits itself", opened.part_name);
    }
    match (&arguments.dumps, &arguments.outputs, &arguments.numbers) {
        (Some(folder), ..) => Ok(find(folder, &output.name)?),
        (None, Some(outputs), Some(numbers)) => {
            let samples = opened.recordings.samples();
            Ok(of_files(outputs, numbers, samples)?)
        }
        _ => bail!("--dumps, or --outputs with --numbers"),
    }
}

/// The tier that the bundle gives, or a quarter of the confidence.
fn tier(info: &SampleInfo) -> i64 {
    let of_confidence = |confidence| Tiers::new(DEFAULT_TIERS).tier_of(confidence) as i64;
    info.tier
        .or(info.confidence.map(of_confidence))
        .unwrap_or(NO_TIER)
}

/// Beside the log of a watch, where its report looks for it.
fn keep(log: &Path, found: &Consequences, bundle_blake3: &str) -> Result<()> {
    let path = log.join(TABLE);
    let csv = found.csv(bundle_blake3);
    let written: io::Result<()> =
        staging::write_file(&path, |writer| writer.write_all(csv.as_bytes()));
    written.with_context(|| format!("{}: cannot be written", path.display()))?;
    say!("kept         {}", path.display());
    Ok(())
}
