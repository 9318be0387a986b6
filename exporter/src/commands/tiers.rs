//! `exporter tiers`.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use console::exit::INTERRUPTED;
use console::{ensure_printed, print_result, say, stop_flag};
use exporter::histogram;
use proto::bundle::{self, Bundle, Samples};
use proto::staging;
use proto::tier::Tiers;
use serde::Serialize;

use super::check_hashes;
use crate::cli::TiersArgs;

/// One tier, for programs.
#[derive(Serialize)]
struct Row {
    tier: usize,
    above: f64,
    up_to: f64,
    correct: usize,
    incorrect: usize,
    share: f64,
    accuracy: Option<f64>,
}

pub(crate) fn tiers(arguments: &TiersArgs) -> Result<()> {
    if let Some(path) = &arguments.plot {
        check_plot(path)?;
    }
    let stop = stop_flag(INTERRUPTED).context("no handler for signals")?;
    let bundle = Bundle::open(&arguments.bundle)?;
    check_hashes(&bundle, &[], &stop)?;
    let samples = Samples::read(&bundle)?;
    let all = samples.correct.len();
    ensure!(
        all > 0,
        "{}: a bundle without samples",
        arguments.bundle.display()
    );
    let tiers = samples.tiers(arguments.tiers);
    let rows: Vec<Row> = (0..arguments.tiers)
        .map(|tier| row(&tiers, tier, all))
        .collect();
    if arguments.json {
        print_result(&serde_json::to_string_pretty(&rows)?)?;
    } else {
        rows.iter().for_each(say_row);
        say_total(samples.correct_count(), all);
    }
    if let Some(path) = &arguments.plot {
        let title = format!(
            "Confidence of {} ({})",
            bundle.manifest().model.preset,
            arguments.bundle.display()
        );
        let text = histogram::svg(&title, &samples, arguments.tiers);
        staging::write_file(path, |file| file.write_all(text.as_bytes()))
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        if !arguments.json {
            say!("plot  {}", path.display());
        }
    }
    ensure_printed()?;
    Ok(())
}

/// Refuses a place for the plot before the work begins.
fn check_plot(path: &Path) -> Result<()> {
    let name = path.display();
    let is_svg = path.extension().is_some_and(|ending| ending == "svg");
    ensure!(is_svg, "--plot {name}: expected .svg");
    if let Some(bundle) = bundle::around(path) {
        let bundle = bundle.display();
        bail!("--plot {name}: inside the bundle {bundle}, which stays as it is");
    }
    let is_free = !path.exists() || path.is_file();
    ensure!(is_free, "--plot {name}: not a regular file");
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "--plot {name}: no such folder");
    Ok(())
}

fn row(tiers: &Tiers, tier: usize, all: usize) -> Row {
    let (correct, incorrect) = (tiers.correct[tier], tiers.incorrect[tier]);
    let both = correct + incorrect;
    Row {
        tier,
        above: match tier {
            0 => 0.0,
            _ => tiers.upper_bounds[tier - 1],
        },
        up_to: tiers.upper_bounds[tier],
        correct,
        incorrect,
        share: both as f64 / all as f64,
        accuracy: (both > 0).then(|| correct as f64 / both as f64),
    }
}

fn say_row(row: &Row) {
    if row.tier == 0 {
        say!("tier  confidence        correct  incorrect   share  accuracy");
    }
    let range = format!("({:.4}, {:.4}]", row.above, row.up_to);
    let accuracy = match row.accuracy {
        Some(accuracy) => format!("{:.2} %", 100.0 * accuracy),
        None => "–".to_owned(),
    };
    say!(
        "{:>4}  {range:<16} {:>8} {:>10} {:>6.2} % {accuracy:>8}",
        row.tier,
        row.correct,
        row.incorrect,
        100.0 * row.share
    );
}

fn say_total(correct: usize, all: usize) {
    let accuracy = format!("{:.2} %", 100.0 * correct as f64 / all as f64);
    let incorrect = all - correct;
    say!(" all                   {correct:>8} {incorrect:>10} 100.00 % {accuracy:>8}");
}
