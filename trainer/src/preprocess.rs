//! From u8 pixels to the network's input: crop, resize, flip, /255, mean and std, as torchvision
//! does it.

use proto::preprocessing::{CHANNELS, CIFAR10_IMAGE_SIZE as SIDE, Resizer, normalised};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tch::Tensor;

use crate::cifar10::{Image, Split};

/// Zero pixels added on each side before a training crop.
pub(crate) const PADDING: usize = 4;

/// What is done to a training image besides the steps of a test image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    /// First row of the crop in the padded image, 0 to 8; 4 is the image itself.
    pub top: usize,
    /// First column of the crop in the padded image, 0 to 8.
    pub left: usize,
    /// Whether the result is mirrored left to right.
    pub flip: bool,
}

impl Augmentation {
    /// No change.
    pub const NONE: Self = Self {
        top: PADDING,
        left: PADDING,
        flip: false,
    };

    /// The augmentation of one image in one epoch: a pure function of its arguments, so that
    /// training is repeatable whatever the order in which batches are made.
    pub fn draw(seed: u64, epoch: usize, image: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(1 + epoch as u64);
        random.set_word_pos(image as u128 * 16);
        let mut offset = || random.random_range(0..=2 * PADDING);
        Self {
            top: offset(),
            left: offset(),
            flip: random.random(),
        }
    }
}

/// Turns images into the float32 input of a network.
#[derive(Debug)]
pub struct Preprocessor {
    image_size: usize,
    resizer: Resizer,
    /// `((v / 255) − mean) / std` in float32 for every channel and u8 value: the same bits as
    /// computing it.
    normalised: [[f32; 256]; CHANNELS],
}

impl Preprocessor {
    /// For a network whose input is `[batch, 3, image_size, image_size]`.
    pub fn new(image_size: usize) -> Self {
        let channel = |c: usize| std::array::from_fn(|value| normalised(c, value as u8));
        Self {
            image_size,
            resizer: Resizer::new(SIDE, image_size),
            normalised: std::array::from_fn(channel),
        }
    }

    /// Numbers in one preprocessed image.
    pub fn image_elements(&self) -> usize {
        CHANNELS * self.image_size * self.image_size
    }

    /// Test images `[batch, 3, image_size, image_size]`, float32, on the CPU.
    pub fn batch(&self, split: &Split, indices: &[usize]) -> Tensor {
        self.augmented_batch(split, indices, |_| Augmentation::NONE)
    }

    /// Training images, same shape, each with the augmentation of its index.
    pub fn augmented_batch(
        &self,
        split: &Split,
        indices: &[usize],
        augmentation: impl Fn(usize) -> Augmentation + Sync,
    ) -> Tensor {
        let mut batch = vec![0f32; indices.len() * self.image_elements()];
        batch
            .par_chunks_exact_mut(self.image_elements())
            .zip(indices)
            .for_each_init(Vec::new, |scratch, (output, &index)| {
                self.image(split.image(index), augmentation(index), scratch, output);
            });
        let side = self.image_size as i64;
        Tensor::from_slice(&batch).view([indices.len() as i64, CHANNELS as i64, side, side])
    }

    /// One image into `output`, `[3, image_size, image_size]`; `scratch` is reused between calls.
    pub fn image(
        &self,
        image: &Image,
        augmentation: Augmentation,
        scratch: &mut Vec<u8>,
        output: &mut [f32],
    ) {
        let mut cropped = [0u8; SIDE * SIDE];
        let mut resized = vec![0u8; self.image_size * self.image_size];
        let planes = image
            .chunks_exact(SIDE * SIDE)
            .zip(output.chunks_exact_mut(resized.len()));
        for ((plane, output), normalised) in planes.zip(&self.normalised) {
            crop_and_flip(plane, augmentation, &mut cropped);
            self.resizer.resize(&cropped, scratch, &mut resized);
            for (number, &pixel) in output.iter_mut().zip(&resized) {
                *number = normalised[usize::from(pixel)];
            }
        }
    }
}

/// Pads one channel with zeros, crops it, and mirrors it; mirroring and resizing commute.
fn crop_and_flip(plane: &[u8], augmentation: Augmentation, output: &mut [u8; SIDE * SIDE]) {
    let Augmentation { top, left, flip } = augmentation;
    for (row, line) in output.chunks_exact_mut(SIDE).enumerate() {
        let source_row = (row + top).checked_sub(PADDING).filter(|&row| row < SIDE);
        for (column, pixel) in line.iter_mut().enumerate() {
            let source_column = (column + left)
                .checked_sub(PADDING)
                .filter(|&column| column < SIDE);
            *pixel = match (source_row, source_column) {
                (Some(row), Some(column)) => plane[row * SIDE + column],
                _ => 0,
            };
        }
        if flip {
            line.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::preprocessing::{MEAN, STD};

    use super::*;

    #[test]
    fn augmentations_are_repeatable_and_spread_over_all_choices() {
        let drawn: Vec<_> = (0..2000)
            .map(|image| Augmentation::draw(7, 3, image))
            .collect();
        assert_eq!(drawn[42], Augmentation::draw(7, 3, 42));
        assert_ne!(
            drawn,
            (0..2000)
                .map(|image| Augmentation::draw(7, 4, image))
                .collect::<Vec<_>>()
        );
        for offset in 0..=8 {
            let share =
                |of: fn(&Augmentation) -> usize| drawn.iter().filter(|a| of(a) == offset).count();
            assert!(
                (150..300).contains(&share(|a| a.top)) && (150..300).contains(&share(|a| a.left))
            );
        }
        assert!((900..1100).contains(&drawn.iter().filter(|a| a.flip).count()));
    }

    #[test]
    fn crops_pad_with_black_before_normalisation() {
        let mut image: Image = [255; 3072];
        image[0] = 10;
        let mut output = vec![0.0; 3072];
        let preprocessor = Preprocessor::new(32);
        let corner = Augmentation {
            top: 0,
            left: 0,
            flip: false,
        };
        preprocessor.image(&image, corner, &mut Vec::new(), &mut output);
        assert_eq!(output[0], (0.0 - MEAN[0]) / STD[0]);
        assert_eq!(output[4 * 32 + 4], (10.0 / 255.0 - MEAN[0]) / STD[0]);
        let flipped = Augmentation {
            flip: true,
            ..corner
        };
        preprocessor.image(&image, flipped, &mut Vec::new(), &mut output);
        assert_eq!(output[4 * 32 + 31 - 4], (10.0 / 255.0 - MEAN[0]) / STD[0]);
    }
}
