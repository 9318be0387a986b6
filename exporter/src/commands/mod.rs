//! The commands as a person sees them: results on stdout, progress on stderr.

mod bundle;
mod hints;
mod images;
mod subset;
mod tiers;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use console::{Progress, say};
use proto::bundle::Bundle;
use proto::manifest::Manifest;

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
