//! The images that samples are of, from a bundle's raw pixels.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array3;
use proto::bundle::{Bundle, BundleError};
use proto::manifest::dataset;
use proto::npy::{Npy, NpyError};
use proto::preprocessing::{CHANNELS, CIFAR10_IMAGE_SIZE as SIDE};

/// The pixels of a bundle, by the position of each image in the split.
#[derive(Debug)]
pub struct Images {
    pixels: Npy<u8>,
    /// Where in the pixels an image lies, by its `sample_index`.
    rows: BTreeMap<i64, usize>,
}

impl Images {
    /// Of a bundle; `None` if it has no pixels, as those of format 1.0.
    pub fn of(bundle: &Bundle) -> Result<Option<Self>, BundleError> {
        let datasets = &bundle.manifest().datasets;
        let needed = [dataset::PIXELS, dataset::SAMPLE_INDEX];
        if !needed.iter().all(|&name| datasets.contains_key(name)) {
            return Ok(None);
        }
        let positions = bundle.dataset::<i64>(dataset::SAMPLE_INDEX)?.all()?;
        Ok(Some(Self {
            // [samples, 32, 32, 3], as the manifest was checked to say
            pixels: bundle.dataset(dataset::PIXELS)?,
            rows: positions.into_iter().zip(0..).collect(),
        }))
    }

    /// The images at these positions of the split, `[32, 32, 3]` each: row, column, channel R, G,
    /// B. One that the bundle has not is left out. An error unless the whole file has its hash.
    pub fn read(
        &self,
        positions: impl IntoIterator<Item = i64>,
    ) -> Result<BTreeMap<i64, Array3<u8>>, NpyError> {
        let row_of = |position: i64| Some((*self.rows.get(&position)?, position));
        // Rows are hashed in ascending order.
        let wanted: BTreeSet<(usize, i64)> = positions.into_iter().filter_map(row_of).collect();
        let mut images = BTreeMap::new();
        if wanted.is_empty() {
            return Ok(images);
        }
        let mut hashed = self.pixels.hashed();
        for (row, position) in wanted {
            let pixels = hashed.rows(row..row + 1)?;
            let image = Array3::from_shape_vec((SIDE, SIDE, CHANNELS), pixels.to_vec());
            images.insert(
                position,
                image.expect("the axes of the pixels were checked"),
            );
        }
        hashed.finish(|_| true)?;
        Ok(images)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proto::digest::blake3_file;
    use proto::npy::NpyWriter;

    use super::*;

    fn fixture(name: &str) -> Bundle {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
        Bundle::open(&fixtures.join(name)).expect("open")
    }

    #[test]
    fn an_image_is_found_by_its_position_in_the_split() {
        let bundle = fixture("tiny_bundle");
        let images = Images::of(&bundle).expect("read").expect("pixels");
        let positions: Npy<i64> = bundle.dataset(dataset::SAMPLE_INDEX).expect("open");
        let positions = positions.all().expect("read");
        let last = positions[positions.len() - 1];
        let found = images.read([last, positions[0], -1]).expect("read");
        let found: Vec<_> = found.into_iter().collect();
        let pixels: Npy<u8> = bundle.dataset(dataset::PIXELS).expect("open");
        let expected = |row: usize| pixels.rows(row..row + 1).expect("rows").to_vec();
        assert_eq!(found.len(), 2, "no image is at -1");
        for (position, row) in [(positions[0], 0), (last, positions.len() - 1)] {
            let (_, image) = found.iter().find(|(at, _)| *at == position).expect("found");
            assert_eq!(image.shape(), [32, 32, 3]);
            assert_eq!(image.as_slice(), Some(expected(row).as_slice()));
        }
    }

    #[test]
    fn a_bundle_of_format_1_0_has_none() {
        assert!(
            Images::of(&fixture("tiny_bundle_1_0"))
                .expect("read")
                .is_none()
        );
    }

    #[test]
    fn pixels_that_have_not_their_hash_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("pixels.npy");
        let mut writer = NpyWriter::<u8>::create(&path, &[2, SIDE, SIDE, CHANNELS]).expect("new");
        writer
            .write(&[7; 2 * SIDE * SIDE * CHANNELS])
            .expect("write");
        writer.finish().expect("finish");
        let hash = blake3_file(&path, |_| true).expect("hash").expect("whole");
        let images = |hash: &str| Images {
            pixels: Npy::open(&path).expect("open").expecting(hash),
            rows: [(40, 0), (41, 1)].into(),
        };
        assert_eq!(images(&hash).read([41]).expect("read")[&41][[31, 0, 2]], 7);
        let error = images("00")
            .read([40])
            .expect_err("another hash")
            .to_string();
        assert!(
            error.contains("pixels.npy") && error.contains(&hash),
            "{error}"
        );
        assert!(images("00").read([]).expect("nothing is read").is_empty());
    }
}
