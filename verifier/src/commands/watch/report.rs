//! `verifier watch report`: the log from its beginning to its end, with counts of particles.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use console::{printable, say};
use proto::staging;
use verifier::report::watch::{CountsReport, OthersReport, WatchReport};
use verifier::report::{Format, Verdict};
use verifier::watch::consequences::Table;
use verifier::watch::fluence::{Conversion, Counts};
use verifier::watch::log::LogReader;
use verifier::watch::log::reader::files_of;
use verifier::watch::log_helper::{read_file, read_folder};
use verifier::watch::sums::Sums;

use super::super::recorded::{check_place, refuse_input};
use crate::cli::WatchReportArgs;

/// A report in each of its forms.
struct Rendered {
    text: String,
    markdown: String,
    json: String,
}

pub(super) fn report(arguments: &WatchReportArgs) -> Result<Verdict> {
    let inputs = [Some(arguments.log.as_path()), arguments.fluence.as_deref()];
    for path in &arguments.reports {
        check_place("--report", path)?;
        refuse_input("--report", path, &inputs)?;
    }
    let rendered = rendered(arguments)?;
    say!("{}", rendered.text.trim_end());
    for path in &arguments.reports {
        write(&rendered, path).with_context(|| format!("{}: cannot be written", path.display()))?;
        say!("report       {}", path.display());
    }
    console::ensure_printed()?;
    Ok(Verdict::Pass)
}

fn rendered(arguments: &WatchReportArgs) -> Result<Rendered> {
    let log = &arguments.log;
    if !log.exists() {
        bail!("{}: no such file or folder", log.display());
    }
    let is_watch = log.is_dir() && !files_of(log).context(log.display().to_string())?.is_empty();
    match is_watch {
        true => of_watch(arguments),
        false => of_others(arguments),
    }
}

fn of_watch(arguments: &WatchReportArgs) -> Result<Rendered> {
    let log = &arguments.log;
    let conversion = Conversion {
        factor: arguments.factor,
        attenuation: arguments.attenuation,
        hours_ahead: arguments.hours_ahead,
    };
    let file = arguments.fluence.as_deref();
    let counts = file
        .map(|file| Counts::read(file, conversion))
        .transpose()?;
    let of_file = file.zip(counts.as_ref());
    let of_file = of_file.map(|(file, counts)| CountsReport::new(file, counts, conversion));
    let mut sums = Sums::new(counts, Table::read(log)?);
    let mut reader = LogReader::open(log).context(log.display().to_string())?;
    while let Some(entry) = reader.next_entry()? {
        sums.add(&entry);
    }
    if sums.tallies().len() == 0 {
        bail!("{}: holds no whole record", log.display());
    }
    let report = WatchReport::new(log, &sums, reader.integrity(), of_file);
    Ok(Rendered {
        text: report.text(),
        markdown: report.to_markdown(),
        json: report.to_json(),
    })
}

/// Of libLogHelper's logs: a file, or those of a folder.
fn of_others(arguments: &WatchReportArgs) -> Result<Rendered> {
    let log = &arguments.log;
    let files = match log.is_dir() {
        true => read_folder(log).context(log.display().to_string())?,
        false => vec![read_file(log)?],
    };
    let report = OthersReport::new(files);
    if report.runs.is_empty() {
        bail!(
            "{}: holds no log: neither `events-….jsonl` nor libLogHelper's `….log`\n\
             hint: of a watch name the folder that --log named",
            log.display()
        );
    }
    if arguments.fluence.is_some() {
        bail!(
            "--fluence: libLogHelper's logs do not say when their exposure was\n\
             hint: give the counts to a report of the log of a watch"
        );
    }
    Ok(Rendered {
        text: report.text(),
        markdown: report.to_markdown(),
        json: report.to_json(),
    })
}

fn write(rendered: &Rendered, path: &Path) -> io::Result<()> {
    staging::write_file(path, |writer| match Format::of(path) {
        // Whatever a file said is shown, not obeyed.
        Some(Format::Markdown) => writer.write_all(printable(&rendered.markdown).as_bytes()),
        _ => writer.write_all(rendered.json.as_bytes()),
    })
}
