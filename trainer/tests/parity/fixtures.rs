//! What PyTorch and torchvision recorded.

use std::fs;
use std::path::{Path, PathBuf};

use proto::config::VitConfig;
use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor};
use trainer::cifar10::{RECORD_BYTES, Split};
use trainer::vit::Vit;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A fixture's network, and a function that gives its recorded tensors.
pub(crate) fn reference(name: &str) -> (Vit, impl Fn(&str) -> Tensor) {
    let bytes = fs::read(fixture(name)).expect("fixture");
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("header");
    let metadata = header.metadata().as_ref().expect("metadata");
    let config: VitConfig = serde_json::from_str(&metadata["config"]).expect("config");
    config.validate().expect("a network");
    let tensor = move |name: &str| {
        let file = SafeTensors::deserialize(&bytes).expect("fixture");
        let view = file.tensor(name).unwrap_or_else(|_| panic!("no {name}"));
        let shape: Vec<i64> = view.shape().iter().map(|&axis| axis as i64).collect();
        Tensor::from_data_size(view.data(), &shape, Kind::Float)
    };
    let vit = Vit::new(&config, Device::Cpu, 1.0);
    tch::no_grad(|| {
        for (name, mut variable) in vit.variables() {
            variable.copy_(&tensor(&format!("weights.{name}")));
        }
    });
    (vit, tensor)
}

pub(crate) fn twenty_images() -> Split {
    let bytes = fs::read(fixture("cifar_20.bin")).expect("fixture");
    let mut split = Split::default();
    for record in bytes.chunks_exact(RECORD_BYTES) {
        split.push(record[1..].try_into().expect("an image"), record[0]);
    }
    assert_eq!(split.len(), 20);
    split
}
