//! The tolerance of commands that look for a calibration beside the bundle.

use std::path::Path;

use anyhow::Result;
use verifier::calibrate::file::{self, LookUp};
use verifier::calibrate::setting::Setting;
use verifier::compare::Tolerance;

/// The tolerance that flags give, or the calibration beside the bundle that is of this setting, or
/// the usual one; and which of them.
pub(super) fn tolerance(
    bundle: &Path,
    [atol, rtol]: [Option<f32>; 2],
    setting: &Setting,
) -> Result<(Tolerance, &'static str)> {
    let usual = Tolerance::DEFAULT;
    if atol.is_some() || rtol.is_some() {
        let given = Tolerance {
            atol: atol.unwrap_or(usual.atol),
            rtol: rtol.unwrap_or(usual.rtol),
        };
        return Ok((given, "as given"));
    }
    let Some(path) = file::beside(bundle) else {
        return Ok((usual, "default"));
    };
    Ok(match file::look_up(&path, setting)? {
        LookUp::Same(entry) => (entry.tolerance, "calibrated"),
        LookUp::Others(_) => (usual, "default; the calibration is of another setting"),
        LookUp::Nothing => (usual, "default"),
    })
}
