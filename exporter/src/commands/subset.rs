//! `exporter subset`.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use console::exit::INTERRUPTED;
use console::{Progress, say, stop_flag};
use exporter::interop;
use proto::bundle::subset::{self, Request};
use proto::bundle::{Bundle, Samples};
use proto::manifest::Choice;

use super::{check_hashes, check_out, hints, remove_leftovers, say_written};
use crate::cli::{Mode, SubsetArgs};

pub(crate) fn subset(arguments: &SubsetArgs) -> Result<()> {
    let started = Instant::now();
    let stop = stop_flag(INTERRUPTED).context("no handler for signals")?;
    let choice = choice(arguments)?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => default_out(&arguments.bundle, &choice)?,
    };
    check_out(&out)?;
    remove_leftovers(&out);
    let bundle = Bundle::open(&arguments.bundle)?;
    let arrays = bundle.manifest().datasets.values();
    let arrays: Vec<&str> = arrays.map(|dataset| dataset.file.as_str()).collect();
    check_hashes(&bundle, &arrays, &stop)?;
    let lines = chosen(&bundle, &choice)?;
    let progress = Progress::endless_bytes("written");
    let request = Request {
        bundle: &bundle,
        choice,
        raw: arguments.raw,
        out: &out,
        replace: arguments.force,
        readme: interop::readme,
    };
    let manifest = subset::write(&request, |bytes| {
        progress.advance(bytes);
        !stop.load(Ordering::Relaxed)
    })
    .map_err(hints::of_subset)?;
    progress.finish();
    say!(
        "from         {} ({} samples)",
        arguments.bundle.display(),
        bundle.manifest().accuracy.samples
    );
    lines.iter().for_each(|line| say!("{line}"));
    say_written(&manifest, &out);
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    say!(
        "next         verifier check {}   (--device cpu where there is no NVIDIA GPU)",
        out.display()
    );
    Ok(())
}

/// What is chosen from how much, in lines for a person.
fn chosen(bundle: &Bundle, choice: &Choice) -> Result<Vec<String>> {
    Ok(match choice {
        Choice::Conf { group_sizes } => {
            let available = Samples::read(bundle)?.tiers(group_sizes.len()).correct;
            let tiers = group_sizes.iter().zip(available).enumerate();
            tiers
                .map(|(tier, (size, available))| {
                    format!("tier {tier:<7} {size} of {available} correctly classified samples")
                })
                .collect()
        }
        Choice::Range { start, end } => {
            vec![format!("range        {start} to {}", end.saturating_sub(1))]
        }
    })
}

fn choice(arguments: &SubsetArgs) -> Result<Choice> {
    match (arguments.mode, &arguments.group_sizes, &arguments.range) {
        (Mode::Conf, Some(sizes), None) => {
            if let Some(tiers) = arguments.tiers {
                let given = sizes.len();
                ensure!(
                    tiers == given,
                    "--group-sizes has {given} numbers, expected {tiers}, one for each tier"
                );
            }
            Ok(Choice::Conf {
                group_sizes: sizes.clone(),
            })
        }
        (Mode::Range, None, Some(range)) => match range.as_slice() {
            &[start, end] if arguments.tiers.is_none() => Ok(Choice::Range { start, end }),
            _ => bail!("--mode range takes --range START END and no --tiers"),
        },
        (Mode::Conf, ..) => {
            bail!("--mode conf takes --group-sizes, one number for each tier, and no --range")
        }
        (Mode::Range, ..) => bail!("--mode range takes --range START END, and no --group-sizes"),
    }
}

/// Beside the bundle, named as the Python repository names its subsets.
fn default_out(bundle: &Path, choice: &Choice) -> Result<PathBuf> {
    let suffix = match choice {
        Choice::Conf { group_sizes } => format!("_cnf_{}", group_sizes.len()),
        Choice::Range { start, end } => format!("_{start}_{end}"),
    };
    // `.` and `..` have no name of their own.
    let bundle = match bundle.file_name() {
        Some(_) => bundle.to_owned(),
        None => bundle
            .canonicalize()
            .with_context(|| bundle.display().to_string())?,
    };
    let mut name = bundle.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    Ok(bundle.with_file_name(name))
}
