//! The tolerance of a calibration, where there is one of this setting.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use console::{grouped, say};
use verifier::calibrate::file::{self, LookUp};
use verifier::report::Record;
use verifier::report::check::{CalibrationRecord, Check, ToleranceOrigin};

use super::super::opened::Opened;
use super::super::source::Source;
use crate::cli::CheckArgs;

/// Takes the tolerance of a calibration of this setting, unless the user has another wish.
pub(super) fn apply_calibration(
    arguments: &CheckArgs,
    source: &Source,
    record: &mut Record<Check>,
) -> Result<Option<(PathBuf, LookUp)>> {
    let calibration = find_calibration(arguments, source)?;
    if let Some((path, LookUp::Same(entry))) = &calibration {
        let options = &mut record.body.options;
        options.tolerance = entry.tolerance;
        options.tolerance_origin = ToleranceOrigin::Calibration;
        options.calibration = Some(CalibrationRecord::new(path, entry));
    }
    Ok(calibration)
}

/// What there is of calibrations, and in which file.
fn find_calibration(arguments: &CheckArgs, source: &Source) -> Result<Option<(PathBuf, LookUp)>> {
    if let Some(path) = arguments.calibration.as_ref().filter(|path| !path.exists()) {
        bail!("--calibration {}: no such file", path.display());
    }
    if arguments.no_calibration || arguments.has_tolerance() {
        return Ok(None);
    }
    let path = match &arguments.calibration {
        Some(path) => Some(path.clone()),
        None => file::beside(&arguments.input.bundle),
    };
    let Some(path) = path else {
        return Ok(None);
    };
    let Some(setting) = source.setting() else {
        ensure!(
            arguments.calibration.is_none(),
            "--calibration with --outputs needs --engine-name: a calibration is of one engine"
        );
        return Ok(None);
    };
    let found = file::look_up(&path, &setting)?;
    // One that is there by chance may be of another setting; one that was asked for may not.
    match (&found, arguments.calibration.is_some()) {
        (LookUp::Others(differences), true) => bail!(
            "--calibration {}: none is of this setting; the nearest is for {}\n\
             hint: `verifier calibrate` with the same flags, or --no-calibration",
            path.display(),
            differences.join(", ")
        ),
        (LookUp::Nothing, true) => {
            bail!("--calibration {}: holds no calibration", path.display())
        }
        _ => Ok(Some((path, found))),
    }
}

pub(super) fn say_about_calibration(calibration: Option<&(PathBuf, LookUp)>, opened: &Opened) {
    let Opened {
        bundle, samples, ..
    } = opened;
    match calibration {
        Some((path, LookUp::Others(differences))) => {
            let differences = differences.join(", ");
            say!(
                "             not that of {}, which is for {differences}",
                path.display()
            );
        }
        Some((_, LookUp::Same(entry))) => {
            let [first, end] = entry.samples;
            let is_of_bundle = entry.bundle_blake3 == bundle.blake3();
            if !is_of_bundle || first > samples.start || end < samples.end {
                let of = if is_of_bundle { "this" } else { "another" };
                say!(
                    "             it was found on {} samples of {of} bundle, others than the {} \
                     checked here: one that it did not see may need more",
                    grouped(end - first),
                    grouped(samples.len())
                );
            }
        }
        _ => {}
    }
}
