//! `verifier watch consequences`: dumped wrong outputs through `tail`.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use console::{Progress, grouped, say};
use proto::manifest::dataset;
use proto::staging;
use proto::tier::{DEFAULT_TIERS, Tiers};
use verifier::check::tail::Carried;
use verifier::report::Verdict;
use verifier::report::check::Check;
use verifier::report::table::table;
use verifier::samples::{SampleInfo, elements};
use verifier::watch::consequences::{Consequences, Dumped, TABLE, find, of_files};
use verifier::watch::log::reader::files_of;

use super::super::opened::{Opened, check_hashes};
use super::super::prepare::stop_flag;
use super::super::tail;
use crate::cli::WatchConsequencesArgs;

/// Where nothing is known of a sample's confidence.
const NO_TIER: i64 = -1;

pub(super) fn consequences(arguments: &WatchConsequencesArgs) -> Result<Verdict> {
    let stop = stop_flag()?;
    let opened = Opened::new::<Check>(&arguments.input, None)?.verified(&stop)?;
    check_hashes(&opened, &stop)?;
    let dumped = dumped(arguments, &opened)?;
    if dumped.is_empty() {
        bail!(
            "there are no dumped outputs of `{}`",
            opened.part.outputs[0].name
        );
    }
    let golden = &opened.recordings.goldens[0];
    let mut tail = tail::load_on(&arguments.target, &opened, None)?;
    let progress = Progress::count("outputs", dumped.len() as u64);
    for one in &dumped {
        if one.sample >= golden.samples() {
            let (path, samples) = (one.path.display(), golden.samples());
            bail!(
                "{path}: sample {}, but the bundle has {samples}",
                one.sample
            );
        }
        let actual = one.read(golden.sample_shape())?;
        let window = golden.reader().window(one.sample..one.sample + 1)?;
        let expected = elements(&window.view()).to_vec();
        let expected = ndarray::ArrayD::from_shape_vec(golden.sample_shape(), expected)?;
        tail.add_faulty(one.sample, &expected.view(), &actual.view())?;
        progress.advance(1);
    }
    let Carried { changes, .. } = tail.finish()?;
    progress.finish();
    let mut found = Consequences::default();
    let mut unknown = 0;
    for (one, change) in dumped.iter().zip(changes) {
        match change {
            Some(change) => {
                let tier = tier(&opened.recordings.info[one.sample]);
                found.add(one, tier, change.outcome);
            }
            None => unknown += 1,
        }
    }
    let header = ["tier", "outputs", "tolerable", "critical", "non-finite"];
    say!("{}", table(&header, found.table()).trim_end());
    if unknown > 0 {
        say!(
            "{} outputs have a golden whose logits are not finite",
            grouped(unknown)
        );
    }
    keep(arguments.dumps.as_deref(), &found)?;
    Ok(Verdict::Pass)
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
fn keep(folder: Option<&Path>, found: &Consequences) -> Result<()> {
    let Some(folder) =
        folder.filter(|folder| files_of(folder).is_ok_and(|files| !files.is_empty()))
    else {
        return Ok(());
    };
    let path = folder.join(TABLE);
    let csv = found.csv();
    let written: io::Result<()> =
        staging::write_file(&path, |writer| writer.write_all(csv.as_bytes()));
    written.with_context(|| format!("{}: cannot be written", path.display()))?;
    say!("kept         {}", path.display());
    Ok(())
}
