//! The commands as a person sees them: results on stdout, progress on stderr.

mod bundle;
mod hints;
mod images;
mod list;
mod recorded;
mod subset;
mod tiers;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use console::{Progress, note, say};
use proto::bundle::Bundle;
use proto::manifest::Manifest;
use proto::staging;

pub(crate) use bundle::bundle;
pub(crate) use subset::subset;
pub(crate) use tiers::tiers;

/// Compares every file of a bundle with its hash, but for those of `later`, which the caller hashes
/// as it reads them; `stop` ends it.
fn check_hashes(bundle: &Bundle, later: &[&str], stop: &AtomicBool) -> anyhow::Result<()> {
    let progress = Progress::bytes("hashed", bundle.unverified_bytes(later));
    bundle.verify_files(later, |bytes| {
        progress.advance(bytes);
        !stop.load(Ordering::Relaxed)
    })?;
    Ok(())
}

/// Refuses an `--out` that is a file, or has the name of one file of a bundle.
fn check_out(out: &Path) -> anyhow::Result<()> {
    let ending = out.extension().unwrap_or_default();
    let is_named_as_file = ["onnx", "safetensors", "npy"]
        .iter()
        .any(|name| ending == *name);
    let is_free = out.symlink_metadata().is_err();
    ensure!(
        out.is_dir() || (is_free && !is_named_as_file),
        "--out {}: expected a folder\n\
         hint: a bundle is a folder with models, weights and arrays in it",
        out.display()
    );
    Ok(())
}

/// Removes what killed runs have left where a bundle is about to be written: it may need the room.
fn remove_leftovers(out: &Path) {
    for leftover in staging::remove_leftovers_beside(out) {
        note!("removed {leftover}, left by a run that was killed");
    }
}

/// What was written, in two lines.
fn say_written(manifest: &Manifest, out: &Path) {
    let accuracy = &manifest.accuracy;
    let bytes: u64 = manifest.files.values().map(|digest| digest.size).sum();
    if accuracy.samples > 0 {
        say!(
            "samples      {} of the {} split, of which {} are classified correctly ({:.2} %)",
            accuracy.samples,
            manifest.selection.split,
            accuracy.correct,
            100.0 * accuracy.correct as f64 / accuracy.samples as f64
        );
    } else {
        say!("samples      none: models and weights alone");
    }
    say!(
        "bundle       {} ({} files, {:.1} MB, manifest.json and SHA256SUMS)",
        out.display(),
        manifest.files.len(),
        bytes as f64 / 1e6
    );
}
