//! The preprocessing, bit for bit.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proto::preprocessing::Resizer;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tch::Tensor;
use trainer::cifar10::{IMAGE_BYTES, Split, load_test};
use trainer::preprocess::{Augmentation, Preprocessor};

use super::fixtures::{fixture, twenty_images};

#[derive(Deserialize)]
struct PreprocessingFixture {
    test: BTreeMap<String, Vec<String>>,
    u8_sha256: BTreeMap<String, Vec<String>>,
    train: Vec<TrainImage>,
}

#[derive(Deserialize)]
struct TrainImage {
    top: usize,
    left: usize,
    flip: bool,
    sha256: String,
}

fn preprocessing_fixture() -> PreprocessingFixture {
    let text = fs::read_to_string(fixture("preprocessing.json")).expect("fixture");
    serde_json::from_str(&text).expect("fixture")
}

fn sha256_of_floats(tensor: &Tensor) -> String {
    let mut bytes = vec![0; tensor.numel() * 4];
    tensor.contiguous().copy_data_u8(&mut bytes, tensor.numel());
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn test_images_equal_torchvisions_bit_for_bit() {
    let (split, fixture) = (twenty_images(), preprocessing_fixture());
    assert_eq!(fixture.test.len(), 3);
    for (size, expected) in &fixture.test {
        let preprocessor = Preprocessor::new(size.parse().expect("a size"));
        let batch = preprocessor.batch(&split, &(0..split.len()).collect::<Vec<_>>());
        for (index, expected) in expected.iter().enumerate() {
            let found = sha256_of_floats(&batch.get(index as i64));
            assert_eq!(&found, expected, "image {index} at {size} pixels");
        }
    }
}

#[derive(Deserialize)]
struct WholeTestSplit {
    images: usize,
    /// By image size.
    sha256: BTreeMap<usize, String>,
}

/// The test split from `CIFAR10`, else from the project's `data/`.
fn cifar10_test_split() -> Split {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let data = std::env::var_os("CIFAR10").map_or_else(|| project.join("data"), PathBuf::from);
    load_test(&data).unwrap_or_else(|error| {
        panic!("{error}\nhint: `make test` fetches it; CIFAR10 names its folder")
    })
}

#[test]
fn ten_thousand_test_images_equal_torchvisions() {
    const BATCH: usize = 100;
    let text = fs::read_to_string(fixture("preprocessing_10000.json")).expect("fixture");
    let expected: WholeTestSplit = serde_json::from_str(&text).expect("fixture");
    let split = cifar10_test_split();
    assert_eq!(split.len(), expected.images);
    assert!(expected.sha256.keys().eq(&[32, 224]));
    for (image_size, sha256) in expected.sha256 {
        let preprocessor = Preprocessor::new(image_size);
        let indices: Vec<usize> = (0..split.len()).collect();
        // Up to 6 GB in all: hashed batch by batch, in the order of the file.
        let mut digest = Sha256::new();
        let mut bytes = vec![0; BATCH * preprocessor.image_elements() * 4];
        for indices in indices.chunks_exact(BATCH) {
            let batch = preprocessor.batch(&split, indices); // [batch, 3, image_size, image_size]
            batch.copy_data_u8(&mut bytes, batch.numel());
            digest.update(&bytes);
        }
        let found = hexadecimal(&digest.finalize());
        assert_eq!(found, sha256, "{image_size} pixels");
    }
}

#[test]
fn resized_pixels_equal_pillows() {
    let (split, fixture) = (twenty_images(), preprocessing_fixture());
    for (size, expected) in &fixture.u8_sha256 {
        let size: usize = size.parse().expect("a size");
        let resizer = Resizer::new(32, size);
        for (index, expected) in expected.iter().enumerate() {
            let mut planes = vec![0; 3 * size * size];
            let channels = split
                .image(index)
                .chunks_exact(IMAGE_BYTES / 3)
                .zip(planes.chunks_exact_mut(size * size));
            for (plane, output) in channels {
                resizer.resize(plane, &mut Vec::new(), output);
            }
            assert_eq!(
                &hexadecimal(&Sha256::digest(&planes)),
                expected,
                "image {index} at {size} pixels"
            );
        }
    }
}

#[test]
fn training_images_equal_torchvisions_bit_for_bit() {
    let (split, fixture) = (twenty_images(), preprocessing_fixture());
    let augmentation = |index: usize| {
        let TrainImage {
            top, left, flip, ..
        } = fixture.train[index];
        Augmentation { top, left, flip }
    };
    let indices: Vec<usize> = (0..split.len()).collect();
    let batch = Preprocessor::new(224).augmented_batch(&split, &indices, augmentation);
    for (index, expected) in fixture.train.iter().enumerate() {
        let found = sha256_of_floats(&batch.get(index as i64));
        assert_eq!(
            found,
            expected.sha256,
            "image {index}, {:?}",
            augmentation(index)
        );
    }
}
