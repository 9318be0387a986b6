//! States that were damaged: refused, or the same run.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use proto::config::Preset;
use tch::Device;

use super::*;
use crate::cifar10::{IMAGE_BYTES, Split};
use crate::recipe::Recipe;
use crate::train::{End, Event, TrainError};

/// So small that every byte of its state can be tried.
fn config() -> VitConfig {
    VitConfig {
        image_size: 8,
        dim: 4,
        layers: 1,
        heads: 1,
        dim_head: 4,
        mlp_dim: 4,
        ..Preset::Nano.config()
    }
}

fn plan() -> Plan {
    let recipe = Recipe {
        epochs: 2,
        batch_size: 2,
        weight_average: 0.9,
        ..Recipe::of(Preset::Nano)
    };
    Plan {
        recipe,
        seed: 1,
        train_samples: 4,
        test_samples: 2,
    }
}

fn split(images: usize) -> Split {
    let mut split = Split::default();
    for image in 0..images {
        let pixel = |byte: usize| (byte * (image + 3) % 251) as u8;
        let pixels: [u8; IMAGE_BYTES] = std::array::from_fn(pixel);
        split.push(&pixels, image as u8);
    }
    split
}

/// Runs it to the first step of the second epoch.
fn train(session: &mut Session<'_>) {
    let stop = AtomicBool::new(false);
    let end = session.run(&stop, |session, event| {
        let is_second = session.progress.epochs() == 1;
        let is_reached = is_second && matches!(event, Event::Trained(_));
        stop.store(is_reached, Ordering::Relaxed);
        Ok::<_, TrainError>(())
    });
    assert_eq!(end.expect("trains"), End::Stopped);
}

/// What a run that goes on from a state goes on with; nothing if the state is refused.
fn resumed(bytes: &[u8], session: &mut Session<'_>) -> Option<(Description, Vec<Vec<u8>>)> {
    let description = checked_description(bytes).ok()?;
    restore(bytes, description.progress.clone(), session).ok()?;
    let tensors = tensors(session)
        .iter()
        .map(|(_, tensor)| shape_and_bytes(tensor).1)
        .collect();
    Some((description, tensors))
}

#[test]
fn any_damaged_byte_is_refused_or_without_effect() {
    let (train_split, test_split) = (split(4), split(2));
    let session = || Session::new(&config(), plan(), Device::Cpu, &train_split, &test_split);
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("state.safetensors");
    let mut written = session();
    train(&mut written);
    save(&path, &written).expect("save");
    let intact = fs::read(&path).expect("read");
    let mut session = session();
    let expected = resumed(&intact, &mut session).expect("a sound state");
    assert_eq!(expected.0.progress, written.progress);

    for length in 0..intact.len() {
        let found = resumed(&intact[..length], &mut session);
        assert!(found.is_none(), "cut to {length} bytes");
    }
    let mut changed = intact.clone();
    for (index, byte) in intact.iter().enumerate() {
        for bits in [1 << (index % 8), 0xff] {
            changed[index] = byte ^ bits;
            let found = resumed(&changed, &mut session);
            assert!(
                found.is_none_or(|found| found == expected),
                "byte {index} of {}",
                intact.len()
            );
        }
        changed[index] = *byte;
    }
}
