//! PyTorch checkpoints in and out.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use console::say;
use trainer::pth;
use trainer::weights::{self, Loaded, WeightsInfo};

use super::check_out;
use crate::cli::{ExportArgs, ImportArgs};

pub(crate) fn import(arguments: &ImportArgs) -> Result<()> {
    let started = Instant::now();
    let path = weights::default_path(&arguments.out, &arguments.model);
    check_out(&arguments.out, &path)?;
    ensure_free(&path, arguments.force, "--out names another folder")?;
    let config = arguments.model.config().clone();
    let pth::Checkpoint { vit, epoch } = pth::load(&arguments.pth, &config)?;
    make_folder_of(&path)?;
    weights::save(
        &path,
        &vit,
        &WeightsInfo {
            config,
            training: None,
        },
    )?;
    let epoch = epoch.map_or_else(
        || "names no epoch".to_owned(),
        |epoch| format!("epoch {epoch} by its own count"),
    );
    say!("checkpoint   {} ({epoch})", arguments.pth.display());
    say!(
        "model        {} ({} parameters)",
        arguments.model,
        vit.config().parameter_count()
    );
    say!("weights      {}", path.display());
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) fn export(arguments: &ExportArgs) -> Result<()> {
    let started = Instant::now();
    let target = &arguments.pth;
    ensure_free(target, arguments.force, "--pth names another file")?;
    let Loaded {
        path, vit, info, ..
    } = weights::load_chosen(
        arguments.weights.as_deref(),
        arguments.model.as_ref(),
        tch::Device::Cpu,
    )?;
    ensure!(
        !is_same_file(&path, target),
        "{} holds the weights themselves\nhint: --pth names another file",
        path.display()
    );
    make_folder_of(target)?;
    pth::save(target, &vit)?;
    let bytes = target
        .metadata()
        .with_context(|| target.display().to_string())?
        .len();
    say!(
        "weights      {} ({}, {})",
        path.display(),
        info.preset_name(),
        info.epoch()
    );
    say!(
        "checkpoint   {} ({} tensors, {:.1} MB)",
        target.display(),
        vit.variables().len(),
        bytes as f64 / 1e6
    );
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Refuses a file to write that is there already, before any work.
fn ensure_free(path: &Path, force: bool, hint: &str) -> Result<()> {
    let taken = path.symlink_metadata().is_ok();
    ensure!(
        !path.is_dir(),
        "{} is a folder, expected a file\nhint: {hint}",
        path.display()
    );
    ensure!(
        force || !taken,
        "{} already exists\nhint: --force replaces it, {hint}",
        path.display()
    );
    Ok(())
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn make_folder_of(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())
        }
        None => Ok(()),
    }
}
