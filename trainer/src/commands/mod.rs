//! The commands as a person sees them: results on stdout, progress on stderr.

mod data;
mod eval;
mod machine;
mod pth;
mod train;

use std::path::Path;

use anyhow::{Result, ensure};
use trainer::weights::EXTENSION;

pub(crate) use data::data;
pub(crate) use eval::eval;
pub(crate) use pth::{export, import, sizes};
pub(crate) use train::train;

/// Refuses an `--out` that is a file or has the name of one; `weights` is what will lie in it.
fn check_out(out: &Path, weights: &Path) -> Result<()> {
    let is_named_as_file = out.extension().is_some_and(|ending| ending == EXTENSION);
    let is_free = out.symlink_metadata().is_err();
    ensure!(
        out.is_dir() || (is_free && !is_named_as_file),
        "--out {}: expected a folder\n\
         hint: --out names the folder that {} is written into",
        out.display(),
        Path::new(weights.file_name().unwrap_or_default()).display()
    );
    Ok(())
}
