//! Raw pixels, as a bundle has them.

use proto::preprocessing::{CHANNELS, CIFAR10_IMAGE_SIZE as SIDE};
use trainer::cifar10::{IMAGE_BYTES, Image};

/// The planes of the data set, `[3, 32, 32]`, as pixels, `[32, 32, 3]`: row, column, channel.
pub(super) fn interleaved(planes: &Image) -> Image {
    let mut pixels = [0; IMAGE_BYTES];
    for (channel, plane) in planes.chunks_exact(SIDE * SIDE).enumerate() {
        let ours = pixels[channel..].iter_mut().step_by(CHANNELS);
        ours.zip(plane).for_each(|(pixel, &value)| *pixel = value);
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channels_of_a_pixel_come_one_after_the_other() {
        let mut planes = [0; IMAGE_BYTES];
        let at = |channel: usize, row: usize, column: usize| (channel * SIDE + row) * SIDE + column;
        planes[at(0, 0, 0)] = 10;
        planes[at(1, 0, 0)] = 11;
        planes[at(2, 0, 1)] = 12;
        planes[at(0, 31, 30)] = 13;
        let pixels = interleaved(&planes);
        assert_eq!(pixels[..6], [10, 11, 0, 0, 0, 12]);
        assert_eq!(pixels[(31 * SIDE + 30) * CHANNELS], 13);
        assert_eq!(pixels.iter().filter(|&&value| value > 0).count(), 4);
    }
}
