//! Every random choice of a run: each is a function of the seed, of what it is for, and of where in
//! the run it is made.

use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::preprocess::Augmentation;
use crate::recipe::Recipe;

/// What a random number is for; each purpose has a generator of its own.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
enum Purpose {
    Order = 0x5f5f_6f72_6465_7221,
    Dropout = 0x5f64_726f_706f_7574,
    Patches = 0x5f70_6174_6368_6573,
}

fn generator(seed: u64, purpose: Purpose, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ purpose as u64);
    random.set_stream(stream);
    random
}

/// The order in which an epoch visits the images: a pure function of its arguments.
pub(super) fn shuffled(images: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut generator(seed, Purpose::Order, epoch as u64));
    order
}

/// What decides the dropout of a step, apart from that of all others.
pub(super) fn step_key(seed: u64, step_of_run: usize) -> u64 {
    generator(seed, Purpose::Dropout, step_of_run as u64).next_u64()
}

/// The augmentation of one image in one epoch, as far as the recipe has any.
pub(super) fn augmentation(recipe: &Recipe, seed: u64, epoch: usize, image: usize) -> Augmentation {
    let drawn = Augmentation::draw(seed, epoch, image);
    let cropped = if recipe.crop {
        drawn
    } else {
        Augmentation::NONE
    };
    Augmentation {
        flip: recipe.flip && drawn.flip,
        ..cropped
    }
}

/// The patches, of so many, that take part in each of these images in one epoch: `kept` numbers an
/// image, one image after the other.
pub(super) fn kept_patches(
    patches: usize,
    kept: usize,
    seed: u64,
    epoch: usize,
    images: &[usize],
) -> Vec<i64> {
    let mut numbers = Vec::with_capacity(images.len() * kept);
    for &image in images {
        let mut random = generator(seed, Purpose::Patches, epoch as u64);
        random.set_word_pos(4 * patches as u128 * image as u128); // more than a shuffle draws
        let mut order: Vec<i64> = (0..patches as i64).collect();
        numbers.extend_from_slice(order.partial_shuffle(&mut random, kept.max(1)).0);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_visits_every_image_once_in_its_own_order() {
        let first = shuffled(1000, 1, 0);
        assert_eq!(first, shuffled(1000, 1, 0));
        assert_ne!(first, shuffled(1000, 1, 1));
        assert_ne!(first, shuffled(1000, 2, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
    }
}
