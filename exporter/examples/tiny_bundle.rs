//! Writes `tests/fixtures/tiny_bundle`: a bundle of some 300 KB for tests, fuzzing and examples.
//!
//! ```sh
//! cargo run --release -p exporter --example tiny_bundle -- --data data
//! ```
//!
//! The weights are drawn from a fixed seed, not trained. On one machine the same bytes come again.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser;
use exporter::bundle::{self, PARTS, Request};
use proto::config::{Pool, VitConfig};
use proto::digest::sha256_file;
use proto::graph::Deployment;
use proto::manifest::{Manifest, Split};
use proto::module::Module;
use trainer::cifar10;
use trainer::vit::Vit;
use trainer::weights::{self, WeightsInfo};

/// With it the eight images fall into all four confidence tiers, and two are classified correctly.
const SEED: i64 = 54;
/// Untrained logits lie close together: the last layer is scaled by this.
const LOGIT_SCALE: f64 = 8.0;
const SAMPLES: usize = 8;

#[derive(Parser)]
struct Arguments {
    /// Folder that holds CIFAR-10
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Folder of the bundle; one that is there is replaced
    #[arg(long, default_value = "tests/fixtures/tiny_bundle", value_name = "DIR")]
    out: PathBuf,
}

fn main() -> Result<()> {
    let Arguments { data, out } = Arguments::parse();
    tch::set_num_threads(1);
    let manifest = write(&data, &out)?;
    let bytes: u64 = manifest.files.values().map(|digest| digest.size).sum();
    let (accuracy, tiers) = (&manifest.accuracy, &manifest.tiers);
    println!(
        "bundle       {} ({} files, {bytes} bytes)",
        out.display(),
        manifest.files.len()
    );
    println!("parameters   {}", manifest.model.parameters);
    println!(
        "correct      {} of {} samples",
        accuracy.correct, accuracy.samples
    );
    println!(
        "by tier      correct {:?}, incorrect {:?}",
        tiers.correct, tiers.incorrect
    );
    Ok(())
}

fn write(data: &Path, out: &Path) -> Result<Manifest> {
    let vit = network();
    let info = WeightsInfo {
        config: vit.config().clone(),
        training: None,
    };
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let path = folder.path().join("tiny.safetensors");
    weights::save(&path, &vit, &info)?;
    let request = Request {
        vit: &vit,
        info: &info,
        weights_sha256: &sha256_file(&path)?,
        module: Module::DEFAULT_NAME,
        deployment: Deployment::default(),
        parts: &PARTS,
        split: &cifar10::load_test(data)?,
        split_name: Split::Test,
        indices: &Vec::from_iter(0..SAMPLES),
        batch_size: SAMPLES,
        float64: true,
        recorded: None,
        raw: false,
        test_data_sets: 2,
        largest_model: usize::MAX,
        out,
        replace: true,
    };
    Ok(bundle::write(&request, |_| true)?)
}

/// A network of 8,000 parameters that has everything the large ones have.
fn network() -> Vit {
    let config = VitConfig {
        image_size: 32,
        patch_size: 8,
        channels: 3,
        classes: 10,
        dim: 16,
        layers: 2,
        heads: 2,
        dim_head: 8,
        mlp_dim: 32,
        pool: Pool::Mean,
        dropout: 0.0,
        embedding_dropout: 0.0,
        layer_norm_eps: 1e-5,
    };
    tch::manual_seed(SEED);
    let vit = Vit::new(&config, tch::Device::Cpu, 1.0);
    let _no_grad = tch::no_grad_guard();
    let mut head = vit
        .variables()
        .remove("mlp_head.1.weight")
        .expect("a parameter of every ViT");
    head *= LOGIT_SCALE;
    vit
}
