//! The commands as a person sees them: results on stdout, progress on stderr.

mod bundle;
mod hints;
mod images;
mod subset;
mod tiers;

use indicatif::{ProgressBar, ProgressStyle};
use proto::bundle::Bundle;
use proto::manifest::Manifest;

pub(crate) use bundle::bundle;
pub(crate) use subset::subset;
pub(crate) use tiers::tiers;

/// Prints a line. A reader who has gone away must not end the work: the result is also in files and
/// the exit status.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}
use say;

fn progress_bar(length: u64, counts: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{{bar:40}} {counts}  {{eta}} left"));
    ProgressBar::new(length).with_style(style.expect("a valid template"))
}

/// Opens a bundle and compares every file with its hash.
fn open_checked(path: &std::path::Path) -> anyhow::Result<Bundle> {
    let bundle = Bundle::open(path)?;
    let bar = progress_bar(
        bundle.total_bytes(),
        "{bytes}/{total_bytes} hashed  {binary_bytes_per_sec}",
    );
    bundle.verify_files(|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    Ok(bundle)
}

/// What was written, in two lines.
fn say_written(manifest: &Manifest, out: &std::path::Path) {
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
