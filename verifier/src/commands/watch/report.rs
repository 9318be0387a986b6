//! `verifier watch report`: the log from its beginning to its end, with counts of particles.

use anyhow::{Context as _, Result, bail};
use console::say;
use verifier::report::Verdict;
use verifier::report::watch::{Summary, rows_of_others};
use verifier::watch::consequences::critical;
use verifier::watch::fluence::{Conversion, Counts};
use verifier::watch::log::LogReader;
use verifier::watch::log::reader::files_of;
use verifier::watch::log_helper::{read_file, read_folder};
use verifier::watch::tally::Tally;

use crate::cli::WatchReportArgs;

pub(super) fn report(arguments: &WatchReportArgs) -> Result<Verdict> {
    let log = &arguments.log;
    if !log.exists() {
        bail!("{}: no such file or folder", log.display());
    }
    if log.is_file() {
        say!("{}", rows_of_others(&[read_file(log)?]).trim_end());
        return Ok(Verdict::Pass);
    }
    let named = || log.display().to_string();
    if files_of(log).with_context(named)?.is_empty() {
        let rows = read_folder(log).with_context(named)?;
        if rows.is_empty() {
            bail!(
                "{}: holds no log: neither `events-….jsonl` nor libLogHelper's `….log`",
                log.display()
            );
        }
        say!("{}", rows_of_others(&rows).trim_end());
        return Ok(Verdict::Pass);
    }
    let counts = arguments.fluence.as_ref().map(|path| {
        let conversion = Conversion {
            factor: arguments.factor,
            attenuation: arguments.attenuation,
            hours_ahead: arguments.hours_ahead,
        };
        Counts::read(path, conversion)
    });
    let critical = critical(log);
    let knows_critical = critical.is_some();
    let mut tally = Tally::new(counts.transpose()?, critical.unwrap_or_default());
    let mut reader = LogReader::open(log).with_context(named)?;
    while let Some(entry) = reader.next_entry()? {
        tally.add(&entry);
    }
    let summary = Summary::new(&tally, Some(reader.integrity()), knows_critical);
    say!("{}", summary.text().trim_end());
    console::ensure_printed()?;
    Ok(Verdict::Pass)
}
