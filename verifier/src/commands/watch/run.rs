//! The supervisor's process: what it is called with, its log, and its verdict.

use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use console::{ensure_printed, note, say};
use proto::bundle::Bundle;
use verifier::report::Verdict;
use verifier::report::watch::Summary;
use verifier::watch::log::Settings;
use verifier::watch::log::event::Start;
use verifier::watch::message::shortened;
use verifier::watch::supervisor::{Ladder, Outside, Plan, Supervisor};
use verifier::watch::tally::Tally;

use super::super::hints::with_hint;
use super::super::prepare::stop_flag;
use super::super::recorded::{check_place, refuse_inside};
use super::account;
use super::machine::{Telemetry, boot_id, host_name};
use super::show::Show;
use super::show_apart::ShowApart;
use crate::cli::WatchRunArgs;

/// Words of the command that a record holds, and bytes of each.
const MOST_WORDS: usize = 60;
const MOST_OF_WORD: usize = 300;

pub(super) fn run(arguments: &WatchRunArgs) -> Result<Verdict> {
    supervise(arguments).map_err(|error| with_hint(error, "watch"))
}

fn supervise(arguments: &WatchRunArgs) -> Result<Verdict> {
    // Before anything is written: a signal must leave no half of it.
    let stop = stop_flag()?;
    let folder = &arguments.log;
    check_places(arguments)?;
    let bundle = Bundle::open(&arguments.input.bundle)?;
    fs::create_dir_all(folder).with_context(|| format!("--log {}", folder.display()))?;
    let _lock = lock(folder)?;
    let name = bundle
        .root()
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let benchmark = format!("{name}_{}", arguments.input.part);
    let mut show = ShowApart::start(Show::new(arguments, &benchmark)?)?;
    let rehearsal = arguments
        .rehearse
        .then(|| Outside::new(arguments.seed, 3.0 * arguments.rehearse_every));
    let telemetry = Telemetry::start();
    let ask = || telemetry.take();
    let plan = Plan {
        folder: folder.clone(),
        settings: Settings::default(),
        start: start(arguments, &bundle),
        worker: &worker_command,
        duration: arguments
            .hours
            .map(|hours| Duration::from_secs_f64(3600.0 * hours)),
        beat: Duration::from_secs_f64(arguments.beat),
        hang_after: arguments.hang_after.map(Duration::from_secs_f64),
        load_limit: Duration::from_secs_f64(arguments.load_limit),
        ladder: Ladder {
            on_hang: arguments.on_hang.clone(),
            on_dead: arguments.on_dead.clone(),
            dead_after: arguments.dead_after as u64,
        },
        rehearsal,
        telemetry: Some(&ask),
        stop: &stop,
    };
    let mut take = |seen: verifier::watch::supervisor::Seen<'_>| show.take(seen);
    let ended = Supervisor::begin(plan, &mut take).and_then(Supervisor::run);
    show.finish(ended.as_ref().ok());
    let tally = ended?;
    say!("{}", Summary::new(&tally, None, false).text().trim_end());
    let verdict = match arguments.rehearse {
        true => {
            ensure!(tally.computed.elements > 0, "nothing was compared");
            account::account(folder)?
        }
        false => verdict(&tally)?,
    };
    ensure_printed()?;
    Ok(verdict)
}

/// As long as it is there, no other watch writes into the folder.
fn lock(folder: &Path) -> Result<fs::File> {
    let shown = folder.display();
    let lock = fs::File::open(folder).with_context(|| format!("--log {shown}"))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => bail!("--log {shown}: another watch writes there"),
        // Some file systems know no locks.
        Err(TryLockError::Error(error)) => {
            note!("warning: --log {shown}: cannot be locked: {error}");
        }
        Ok(()) => {}
    }
    Ok(lock)
}

/// Nothing is written into a bundle, and what cannot be written is known before hours.
fn check_places(arguments: &WatchRunArgs) -> Result<()> {
    // Files of theirs, so that the bundle's own folder is refused too.
    refuse_inside("--log", &arguments.log.join("events"))?;
    if let Some(folder) = &arguments.log_helper {
        refuse_inside("--log-helper", &folder.join("log"))?;
    }
    ensure!(
        arguments.html.is_none() || arguments.html != arguments.copy,
        "--html and --copy name the same file"
    );
    for (flag, path) in [("--html", &arguments.html), ("--copy", &arguments.copy)] {
        if let Some(path) = path {
            check_place(flag, path)?;
            check_file(flag, path, &arguments.log)?;
        }
    }
    Ok(())
}

/// A file that is written beside the log is none of the log's own, and nothing but a file: what
/// waits for a reader would hold it up.
fn check_file(flag: &str, path: &Path, log: &Path) -> Result<()> {
    let is_file = fs::metadata(path).map_or(true, |metadata| metadata.is_file());
    ensure!(is_file, "{flag} {}: it is no file", path.display());
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new(".")).canonicalize();
    let is_in_log = parent.is_ok_and(|parent| log.canonicalize().is_ok_and(|log| parent == log));
    ensure!(
        !is_in_log,
        "{flag} {}: the log is kept there\n\
         hint: another folder",
        path.display()
    );
    Ok(())
}

/// Pass, or fail with an event; what compared nothing has no result.
fn verdict(tally: &Tally) -> Result<Verdict> {
    ensure!(tally.computed.elements > 0, "nothing was compared");
    let events = tally.events.sdcs() + tally.events.dues() + tally.events.bits_only;
    let missing = tally.lost + tally.removed_files;
    let (verdict, said) = match (events, missing, tally.has_open_end) {
        (0, 0, false) => (Verdict::Pass, "PASS: no event".to_owned()),
        (0, 0, true) => (
            Verdict::Fail,
            "FAIL: no event, but the last worker may have hung".to_owned(),
        ),
        (1, 0, _) => (Verdict::Fail, "FAIL: 1 event".to_owned()),
        (events, 0, _) => (Verdict::Fail, format!("FAIL: {events} events")),
        (events, ..) => (
            Verdict::Fail,
            format!(
                "FAIL: {events} events; the log lacks {} records that its disk did not take, and \
                 {} files that somebody removed",
                tally.lost, tally.removed_files
            ),
        ),
    };
    say!("verdict      {said}");
    say!("next         verifier watch report, which sums up all starts of this log");
    Ok(verdict)
}

/// This program, also where its file has another place or content by now.
#[cfg(target_os = "linux")]
fn program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

#[cfg(not(target_os = "linux"))]
fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "verifier".into())
}

/// This program with the same arguments, as a worker.
fn worker_command(number: u64, next_sdc: u64) -> Command {
    let mut command = Command::new(program());
    let mut words = std::env::args_os().skip(1);
    // Behind the name of the command: behind `--` it would be no flag.
    command.args(words.next());
    command.arg(format!("--worker={number}:{next_sdc}"));
    command.args(words);
    command
}

fn start(arguments: &WatchRunArgs, bundle: &Bundle) -> Start {
    let words = std::env::args_os().skip(1);
    Start {
        verifier: env!("CARGO_PKG_VERSION").to_owned(),
        host: host_name(),
        boot_id: boot_id(),
        process: std::process::id(),
        arguments: words
            .take(MOST_WORDS)
            .map(|word| shortened(&word.to_string_lossy(), MOST_OF_WORD))
            .collect(),
        bundle: bundle.root().display().to_string(),
        bundle_blake3: bundle.blake3(),
        part: arguments.input.part.clone(),
        device: arguments.target.device.to_string(),
    }
}
