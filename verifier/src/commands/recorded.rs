//! A command that fills in a record and writes it as reports.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, bail};
use console::{note, say};
use proto::{bundle, regular_file};
use verifier::report::{Body, Format, Record, Verdict};

use super::hints::with_hint;
use super::prepare::stop_flag;

/// Runs a command and writes its record, in the place of none of the files that it reads: before
/// the long run too, since an earlier run's verdict must not survive this one.
pub(super) fn recorded<B: Body>(
    paths: &[PathBuf],
    inputs: &[Option<&Path>],
    body: B,
    run: impl FnOnce(&mut Record<B>, Arc<AtomicBool>) -> Result<Verdict>,
) -> Result<Verdict> {
    // Before anything is written: a signal must leave no half of it.
    let stop = stop_flag()?;
    let mut record = Record::begun(body);
    for path in paths {
        check_place("--report", path)?;
        refuse_input("--report", path, inputs)?;
        write(&record, path)?;
    }
    let result = run(&mut record, stop).map_err(|error| with_hint(error, B::COMMAND));
    let error = result.as_ref().err().map(|error| format!("{error:#}"));
    record.end(*result.as_ref().unwrap_or(&Verdict::Error), error);
    for path in paths {
        match write(&record, path) {
            Ok(()) if result.is_ok() => say!("report       {}", path.display()),
            Ok(()) => {}
            // A second failure, which takes nothing from the verdict.
            Err(error) if result.is_ok() => note!("error: {error:#}; the verdict stands"),
            Err(error) => note!("error: {error:#}"),
        }
    }
    result
}

/// Removes reports of an earlier run where this one cannot write its own.
pub(crate) fn remove_reports(paths: &[PathBuf]) {
    for path in paths {
        if is_own_report(path)
            && refuse_inside("--report", path).is_ok()
            && fs::remove_file(path).is_ok()
        {
            note!("removed {}, the report of an earlier run", path.display());
        }
    }
}

/// Whether a file is what a command of this program wrote: each format says so near its beginning.
fn is_own_report(path: &Path) -> bool {
    let Some(format) = Format::of(path) else {
        return false;
    };
    let mut beginning = Vec::new();
    let read =
        regular_file::open(path).and_then(|file| file.take(4096).read_to_end(&mut beginning));
    read.is_ok() && format.begins(&String::from_utf8_lossy(&beginning))
}

fn write<B: Body>(record: &Record<B>, path: &Path) -> Result<()> {
    let written = record.write(path);
    written.with_context(|| format!("{}: cannot be written", path.display()))
}

/// A file's place must be a folder that there is, and no bundle: known before a long run.
pub(super) fn check_place(flag: &str, path: &Path) -> Result<()> {
    refuse_inside(flag, path)?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    match folder {
        Some(folder) if !folder.is_dir() => bail!(
            "{flag} {}: there is no folder {}",
            path.display(),
            folder.display()
        ),
        _ => Ok(()),
    }
}

/// No result takes the place of what a command reads: of a file, or of one in a folder of arrays.
pub(super) fn refuse_input(flag: &str, path: &Path, inputs: &[Option<&Path>]) -> Result<()> {
    let Ok(place) = path.canonicalize() else {
        return Ok(()); // nothing is there
    };
    // Reports beside the arrays are no input: a second run may write them again.
    let is_report = Format::of(path).is_some();
    for input in inputs.iter().flatten() {
        let is_input = input.canonicalize().is_ok_and(|input| {
            place == input || (input.is_dir() && place.starts_with(&input) && !is_report)
        });
        if is_input {
            bail!(
                "{flag} {}: that is an input of this command, {}\n\
                 hint: name another file for the result",
                path.display(),
                input.display()
            );
        }
    }
    Ok(())
}

/// Nothing is written into a bundle, which a check leaves as it is.
pub(super) fn refuse_inside(flag: &str, path: &Path) -> Result<()> {
    match bundle::around(path) {
        None => Ok(()),
        Some(bundle) => bail!(
            "{flag} {}: inside the bundle {}",
            path.display(),
            bundle.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_never_takes_the_place_of_an_input() {
        let folder = tempfile::tempdir().expect("folder");
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, "").expect("write");
            path
        };
        let (input, other) = (file("a.json"), file("b.json"));
        let outputs = folder.path().join("outputs");
        fs::create_dir(&outputs).expect("make");
        let (array, report) = (file("outputs/y.npy"), file("outputs/r.html"));
        let inputs = [None, Some(input.as_path()), Some(outputs.as_path())];
        let same = folder.path().join("outputs/../a.json");
        for refused in [&input, &same, &array] {
            let refused = refuse_input("--report", refused, &inputs).expect_err("an input");
            assert!(refused.to_string().contains("an input of this command"));
        }
        let new = folder.path().join("c.json");
        for taken in [&other, &report, &new] {
            refuse_input("--report", taken, &inputs).expect("no input");
        }
    }
}
