//! Files written and read back, and files that break one rule each.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::thread::sleep;
use std::time::Duration;

use safetensors::tensor::TensorView;

use proto::config::{Preset, VitConfig};
use proto::regular_file::Stamp;
use safetensors::tensor::Dtype;

use super::file::{Loaded, load, read, read_open, save};
use super::info::{METADATA_KEY, Training, WeightsInfo};
use crate::recipe::Recipe;
use crate::tensor_file::shape_and_bytes;
use crate::vit::Vit;

fn info() -> WeightsInfo {
    WeightsInfo {
        config: VitConfig {
            dim: 8,
            layers: 1,
            heads: 2,
            dim_head: 4,
            mlp_dim: 8,
            ..Preset::Nano.config()
        },
        training: Some(Training {
            recipe: Recipe::of(Preset::Nano),
            seed: 1,
            train_samples: 0,
            kept_epoch: 0,
            history: vec![],
            libtorch: crate::device::LIBTORCH_VERSION.to_owned(),
            device: "cpu".to_owned(),
            threads: 1,
        }),
    }
}

/// What is said of a valid file once `change` has changed its tensors.
fn refusal(change: impl FnOnce(&mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>)) -> String {
    let vit = Vit::new(&info().config, tch::Device::Cpu, 1.0);
    let mut tensors: BTreeMap<_, _> = vit
        .variables()
        .into_iter()
        .map(|(name, tensor)| {
            let (shape, bytes) = shape_and_bytes(&tensor);
            (name, (Dtype::F32, shape, bytes))
        })
        .collect();
    change(&mut tensors);
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| {
            (
                name,
                TensorView::new(*dtype, shape.clone(), bytes).expect("view"),
            )
        })
        .collect();
    let metadata = HashMap::from([(
        METADATA_KEY.to_owned(),
        serde_json::to_string(&info()).expect("json"),
    )]);
    let bytes = safetensors::serialize(views, Some(metadata)).expect("serialise");
    read(&mut bytes.as_slice(), bytes.len() as u64, tch::Device::Cpu)
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn saved_weights_are_loaded_bit_for_bit_and_twice_saved_the_same_bytes() {
    let folder = tempfile::tempdir().expect("folder");
    let (first, second) = (
        folder.path().join("a.safetensors"),
        folder.path().join("b.safetensors"),
    );
    tch::manual_seed(5);
    let vit = Vit::new(&info().config, tch::Device::Cpu, 1.0);
    save(&first, &vit, &info()).expect("save");
    let Loaded {
        vit: loaded,
        info: found,
        sha256,
        ..
    } = load(&first, tch::Device::Cpu).expect("load");
    assert_eq!(sha256, proto::digest::sha256_file(&first).expect("digest"));
    assert_eq!(found, info());
    for (name, tensor) in vit.variables() {
        assert_eq!(
            shape_and_bytes(&tensor),
            shape_and_bytes(&loaded.variables()[&name]),
            "{name}"
        );
    }
    save(&second, &loaded, &found).expect("save");
    assert_eq!(
        fs::read(first).expect("read"),
        fs::read(second).expect("read")
    );
}

#[test]
fn a_file_that_is_changed_while_it_is_read_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.safetensors");
    let vit = Vit::new(&info().config, tch::Device::Cpu, 1.0);
    save(&path, &vit, &info()).expect("save");
    let file = File::open(&path).expect("open");
    let before = Stamp::of(&file.metadata().expect("metadata"));
    sleep(Duration::from_millis(50)); // the clock of changes has ticks
    let writer = File::options().write(true).open(&path).expect("open");
    let last = before.size() - 1;
    writer.write_all_at(&[0], last).expect("write");
    let refused = read_open(&file, before, tch::Device::Cpu).expect_err("changed");
    assert_eq!(refused.to_string(), "it was changed while it was read");
    load(&path, tch::Device::Cpu).expect("as it is now");
}

#[test]
fn each_broken_rule_is_named() {
    let head = "mlp_head.1.weight";
    let missing = refusal(|tensors| drop(tensors.remove(head)));
    assert_eq!(missing, "tensor `mlp_head.1.weight` is missing");
    let extra =
        refusal(|tensors| drop(tensors.insert("stray".into(), (Dtype::F32, vec![1], vec![0; 4]))));
    assert!(extra.contains("`stray` is no parameter"), "{extra}");
    let shape = refusal(|tensors| tensors.get_mut(head).expect("entry").1 = vec![8, 10]);
    assert_eq!(
        shape,
        "tensor `mlp_head.1.weight`: expected shape [10, 8], found [8, 10]"
    );
    let dtype = refusal(|tensors| tensors.get_mut(head).expect("entry").0 = Dtype::I32);
    assert_eq!(
        dtype,
        "tensor `mlp_head.1.weight`: expected dtype F32, found I32"
    );
    let nan = refusal(|tensors| {
        tensors.get_mut(head).expect("entry").2[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert_eq!(
        nan,
        "tensor `mlp_head.1.weight`: element 2 is NaN, expected a finite number"
    );
}

#[test]
fn files_that_are_not_weights_say_so() {
    let message = |bytes: &[u8]| {
        read(&mut &*bytes, bytes.len() as u64, tch::Device::Cpu)
            .expect_err("must be refused")
            .to_string()
    };
    assert!(message(b"").contains("not a valid safetensors file"));
    assert!(message(b"PK\x03\x04 and so on").contains("trainer import"));
    assert!(message(&[0xff; 64]).contains("not a valid safetensors file"));
    let foreign =
        safetensors::serialize(Vec::<(String, TensorView<'_>)>::new(), None).expect("serialise");
    assert!(message(&foreign).contains("no `vit_part` in its metadata"));
}
