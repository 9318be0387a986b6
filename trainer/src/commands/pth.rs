//! PyTorch checkpoints in and out.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use console::say;
use proto::config::{Network, Pool, Told, VitConfig};
use trainer::pth;
use trainer::weights::{self, Loaded, WeightsInfo};

use super::check_out;
use crate::cli::{ExportArgs, ImportArgs};

pub(crate) fn import(arguments: &ImportArgs) -> Result<()> {
    let started = Instant::now();
    let network = network_of(arguments)?;
    let path = weights::default_path(&arguments.out, &network);
    check_out(&arguments.out, &path)?;
    ensure_free(&path, arguments.force, "--out names another folder")?;
    let config = network.config();
    let options = pth::Options {
        key: arguments.key.clone(),
        convert: arguments.convert,
    };
    let checkpoint = pth::load_with(&arguments.pth, config, &options)?;
    make_folder_of(&path)?;
    weights::save(
        &path,
        &checkpoint.vit,
        &WeightsInfo {
            config: config.clone(),
            training: None,
        },
    )?;
    say_checkpoint(&arguments.pth, &checkpoint);
    say!(
        "model        {network} ({} parameters)",
        config.parameter_count()
    );
    if arguments.model.is_none() {
        say_derived(arguments, config);
    }
    say!("weights      {}", path.display());
    say!("time         {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// The network asked for, else the one that the checkpoint's shapes are of.
fn network_of(arguments: &ImportArgs) -> Result<Network> {
    if let Some(network) = &arguments.model {
        return Ok(network.clone());
    }
    let told = Told {
        heads: arguments.heads,
        pool: arguments.pool,
    };
    let config = pth::config_of(&arguments.pth, arguments.key.as_deref(), told)?;
    ensure!(
        (config.channels, config.classes) == (3, 10),
        "{}: a network for {} channels and {} classes: expected 3 and 10, as CIFAR-10 has",
        arguments.pth.display(),
        config.channels,
        config.classes
    );
    Ok(Network::of(&config))
}

/// The sizes that shapes told, and what they did not.
fn say_derived(arguments: &ImportArgs, config: &VitConfig) {
    say!("sizes        {}", sizes(config));
    let mut assumed = Vec::new();
    if arguments.heads.is_none() && config.has_to_out() {
        assumed.push(format!("heads of {} (else --heads N)", config.dim_head));
    }
    if arguments.pool.is_none() {
        assumed.push("pool cls (else --pool mean)".to_owned());
    }
    if !assumed.is_empty() {
        say!("assumed      {}: no shape tells", assumed.join(", "));
    }
}

/// A network's sizes in words.
pub(crate) fn sizes(config: &VitConfig) -> String {
    let pool = match config.pool {
        Pool::Cls => "cls",
        Pool::Mean => "mean",
    };
    format!(
        "image {}, patch {}, dim {}, layers {}, heads {} of {}, mlp {}, pool {pool}",
        config.image_size,
        config.patch_size,
        config.dim,
        config.layers,
        config.heads,
        config.dim_head,
        config.mlp_dim
    )
}

/// What was read, and what was made of it on the way.
fn say_checkpoint(path: &Path, checkpoint: &pth::Checkpoint) {
    let epoch = checkpoint.epoch.map_or_else(
        || "names no epoch".to_owned(),
        |epoch| format!("epoch {epoch} by its own count"),
    );
    say!("checkpoint   {} ({epoch})", path.display());
    if let Some(key) = &checkpoint.key {
        say!("entry        {key}");
    }
    if !checkpoint.prefix.is_empty() {
        let prefix = checkpoint.prefix.escape_debug();
        say!("names        without the prefix `{prefix}`");
    }
    for (dtype, count) in &checkpoint.converted {
        let how = match *dtype {
            "float64" => "rounded to float32",
            _ => "widened to float32, exactly",
        };
        say!("dtype        {dtype} in {count} tensors, {how}");
    }
    if !checkpoint.skipped.is_empty() {
        say!(
            "skipped      {}; nothing of it was run",
            checkpoint.skipped.join(", ")
        );
    }
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
