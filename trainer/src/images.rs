//! Batches of images and labels where the network is.
//!
//! On the CPU each batch is made from the u8 pixels in memory. On a GPU the whole split lies in its
//! memory as u8 (150 MB for the training images), and crop, resize and normalisation run there,
//! exact to the bit as well.

use proto::preprocessing::{
    CHANNELS, CIFAR10_IMAGE_SIZE as SIDE, PRECISION_BITS, Resizer, normalised,
};
use tch::{Device, Kind, Tensor};

use crate::cifar10::Split;
use crate::preprocess::{Augmentation, PADDING, Preprocessor};

/// A split, ready to be cut into batches for a network.
#[derive(Debug)]
pub struct Images<'a> {
    split: &'a Split,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Host(Box<Preprocessor>),
    Device(DeviceImages),
}

impl<'a> Images<'a> {
    /// For a network on `device` whose input is `[batch, 3, image_size, image_size]`.
    pub fn new(split: &'a Split, image_size: usize, device: Device) -> Self {
        let place = match device {
            Device::Cpu => Place::Host(Box::new(Preprocessor::new(image_size))),
            _ => Place::Device(DeviceImages::new(split, image_size, device)),
        };
        Self { split, place }
    }

    /// The images and labels underneath.
    pub fn split(&self) -> &Split {
        self.split
    }

    /// Images `[batch, 3, image_size, image_size]`, float32, each with the augmentation of its
    /// index, and labels `[batch]`, int64, on the network's device.
    pub fn batch(
        &self,
        indices: &[usize],
        augmentation: impl Fn(usize) -> Augmentation + Sync,
    ) -> (Tensor, Tensor) {
        match &self.place {
            Place::Host(preprocessor) => {
                let labels: Vec<i64> = indices
                    .iter()
                    .map(|&index| i64::from(self.split.label(index)))
                    .collect();
                (
                    preprocessor.augmented_batch(self.split, indices, augmentation),
                    Tensor::from_slice(&labels),
                )
            }
            Place::Device(images) => images.batch(indices, augmentation),
        }
    }
}

/// The pixels on a device, and what turns them into a network's input there.
#[derive(Debug)]
struct DeviceImages {
    pixels: Tensor, // [images, 3, 32, 32] u8
    labels: Tensor, // [images] int64
    /// For every tap of the resize filter: the input coordinate and the fixed-point weight of each
    /// output coordinate, `[image_size]`; empty when nothing is to be resized.
    taps: Vec<(Tensor, Tensor)>,
    normalised: Tensor, // [3·256] float32
    /// Where a channel's entries begin in `normalised`, `[3, 1, 1]`.
    offsets: Tensor,
}

impl DeviceImages {
    fn new(split: &Split, image_size: usize, device: Device) -> Self {
        let side = SIDE as i64;
        let pixels = Tensor::from_slice(split.pixels())
            .view([-1, CHANNELS as i64, side, side])
            .to_device(device);
        let labels = Tensor::from_slice(split.labels())
            .to_kind(Kind::Int64)
            .to_device(device);
        let taps = if image_size == SIDE {
            Vec::new()
        } else {
            taps(image_size, device)
        };
        let entries: Vec<f32> = (0..CHANNELS)
            .flat_map(|channel| (0..=u8::MAX).map(move |value| normalised(channel, value)))
            .collect();
        let offsets = Tensor::from_slice(&[0i64, 256, 512])
            .view([CHANNELS as i64, 1, 1])
            .to_device(device);
        Self {
            pixels,
            labels,
            taps,
            normalised: Tensor::from_slice(&entries).to_device(device),
            offsets,
        }
    }

    fn batch(
        &self,
        indices: &[usize],
        augmentation: impl Fn(usize) -> Augmentation,
    ) -> (Tensor, Tensor) {
        let _no_grad = tch::no_grad_guard();
        let (device, batch, side) = (self.pixels.device(), indices.len() as i64, SIDE as i64);
        let padded = side + 2 * PADDING as i64;
        let [mut which, mut rows, mut columns] = [const { Vec::<i64>::new() }; 3];
        for &index in indices {
            let Augmentation { top, left, flip } = augmentation(index);
            which.push(index as i64);
            rows.extend((0..side).map(|row| row + top as i64));
            columns.extend(
                (0..side).map(|column| left as i64 + if flip { side - 1 - column } else { column }),
            );
        }
        let [which, rows, columns] =
            [which, rows, columns].map(|numbers| Tensor::from_slice(&numbers).to_device(device));
        let border = [PADDING as i64; 4];
        let channels = CHANNELS as i64;
        let cropped = self
            .pixels
            .index_select(0, &which)
            .constant_pad_nd(border) // [batch, 3, 40, 40]
            .gather(
                2,
                &rows
                    .view([batch, 1, side, 1])
                    .expand([batch, channels, side, padded], false),
                false,
            )
            .gather(
                3,
                &columns
                    .view([batch, 1, 1, side])
                    .expand([batch, channels, side, side], false),
                false,
            );
        let mut pixels = cropped.to_kind(Kind::Int); // [batch, 3, 32, 32]
        if !self.taps.is_empty() {
            // [batch, 3, image_size, image_size]
            pixels = self.resized(&self.resized(&pixels, 3), 2);
        }
        let images = self
            .normalised
            .take(&(pixels.to_kind(Kind::Int64) + &self.offsets));
        (images, self.labels.index_select(0, &which))
    }

    /// One pass of the resize along an axis, rounded to u8 as Pillow does.
    fn resized(&self, pixels: &Tensor, axis: i64) -> Tensor {
        let along: [i64; 2] = if axis == 2 { [-1, 1] } else { [1, -1] };
        let products = self
            .taps
            .iter()
            .map(|(from, weights)| pixels.index_select(axis, from) * weights.view(along));
        let sum: Tensor = products
            .reduce(|sum, product| sum + product)
            .expect("a filter has taps");
        let half = 1i64 << (PRECISION_BITS - 1);
        (sum + half)
            .bitwise_right_shift_tensor_scalar(i64::from(PRECISION_BITS))
            .clamp(0, 255)
    }
}

fn taps(image_size: usize, device: Device) -> Vec<(Tensor, Tensor)> {
    let resizer = Resizer::new(SIDE, image_size);
    let windows = resizer.windows();
    let longest = windows
        .iter()
        .map(|window| window.weights.len())
        .max()
        .unwrap_or_default();
    let on_device = |tensor: Tensor| tensor.to_device(device);
    (0..longest)
        .map(|tap| {
            // A window that is shorter takes any pixel with weight 0.
            let from: Vec<i64> = windows
                .iter()
                .map(|window| (window.first + tap).min(SIDE - 1) as i64)
                .collect();
            let weights: Vec<i32> = windows
                .iter()
                .map(|window| window.weights.get(tap).copied().unwrap_or(0))
                .collect();
            (
                on_device(Tensor::from_slice(&from)),
                on_device(Tensor::from_slice(&weights)),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_made_on_a_device_equals_the_hosts_bit_for_bit() {
        let mut split = Split::default();
        for image in 0..6_u32 {
            let pixel = |i: u32| ((i + 3072 * image).wrapping_mul(2_654_435_761) >> 24) as u8;
            let pixels: Vec<u8> = (0..3072).map(pixel).collect();
            split.push(
                pixels.as_slice().try_into().expect("an image"),
                (image % 10) as u8,
            );
        }
        let augmentation = |index: usize| Augmentation {
            top: index,
            left: 8 - index,
            flip: index % 2 == 1,
        };
        for image_size in [32, 48, 224, 16] {
            let host = Images::new(&split, image_size, Device::Cpu);
            let device = DeviceImages::new(&split, image_size, Device::Cpu);
            let indices = [4, 0, 5, 1];
            let (expected, expected_labels) = host.batch(&indices, augmentation);
            let (found, labels) = device.batch(&indices, augmentation);
            assert_eq!(found.size(), [4, 3, image_size as i64, image_size as i64]);
            assert!(found.equal(&expected), "{image_size} pixels");
            assert_eq!(labels, expected_labels);
        }
    }
}
