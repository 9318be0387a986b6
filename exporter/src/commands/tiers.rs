//! `exporter tiers`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use console::{print_result, say};
use exporter::histogram;
use exporter::samples::Samples;
use proto::{bundle, staging};
use serde::Serialize;

use super::open_checked;
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
        ensure!(
            path.extension().is_some_and(|ending| ending == "svg"),
            "--plot {}: expected .svg",
            path.display()
        );
        if let Some(bundle) = bundle::around(path) {
            bail!(
                "--plot {}: inside the bundle {}, which stays as it is",
                path.display(),
                bundle.display()
            );
        }
        ensure!(
            !path.exists() || path.is_file(),
            "--plot {}: not a regular file",
            path.display()
        );
        let folder = path
            .parent()
            .filter(|folder| *folder != Path::new(""))
            .unwrap_or(Path::new("."));
        ensure!(folder.is_dir(), "--plot {}: no such folder", path.display());
    }
    let bundle = open_checked(&arguments.bundle)?;
    let samples = Samples::read(&bundle)?;
    let all = samples.correct.len();
    ensure!(
        all > 0,
        "{}: a bundle without samples",
        arguments.bundle.display()
    );
    let tiers = samples.tiers(arguments.tiers);
    let row = |tier: usize| {
        let (correct, incorrect) = (tiers.correct[tier], tiers.incorrect[tier]);
        let both = correct + incorrect;
        Row {
            tier,
            above: if tier == 0 {
                0.0
            } else {
                tiers.upper_bounds[tier - 1]
            },
            up_to: tiers.upper_bounds[tier],
            correct,
            incorrect,
            share: both as f64 / all as f64,
            accuracy: (both > 0).then(|| correct as f64 / both as f64),
        }
    };
    let rows: Vec<Row> = (0..arguments.tiers).map(row).collect();
    if arguments.json {
        print_result(&serde_json::to_string_pretty(&rows)?)?;
    } else {
        say!("tier  confidence        correct  incorrect   share  accuracy");
        for Row {
            tier,
            above,
            up_to,
            correct,
            incorrect,
            share,
            accuracy,
        } in &rows
        {
            let range = format!("({above:.4}, {up_to:.4}]");
            let accuracy = accuracy.map_or("–".to_owned(), |accuracy| {
                format!("{:.2} %", 100.0 * accuracy)
            });
            say!(
                "{tier:>4}  {range:<16} {correct:>8} {incorrect:>10} {:>6.2} % {accuracy:>8}",
                100.0 * share
            );
        }
        let correct = samples.correct.iter().filter(|&&correct| correct).count();
        let accuracy = 100.0 * correct as f64 / all as f64;
        say!(
            " all                   {correct:>8} {:>10} 100.00 % {:>8}",
            all - correct,
            format!("{accuracy:.2} %")
        );
    }
    if let Some(path) = &arguments.plot {
        let title = format!(
            "Confidence of {} ({})",
            bundle.manifest().model.preset,
            arguments.bundle.display()
        );
        let text = histogram::svg(&title, &samples, arguments.tiers);
        let write = |file: &mut std::io::BufWriter<&mut fs::File>| {
            std::io::Write::write_all(file, text.as_bytes())
        };
        staging::write_file(path, write)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        if !arguments.json {
            say!("plot  {}", path.display());
        }
    }
    Ok(())
}
