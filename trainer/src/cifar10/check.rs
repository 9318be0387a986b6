//! Whether images are CIFAR-10's: class counts, and the training split's mean and standard deviation to all digits.

use super::{DataError, IMAGE_BYTES, Split};

/// Mean and standard deviation of the training split, R, G, B, in units of 0 to 1; widely published, to these digits.
const TRAIN_MEAN: [f64; 3] = [0.491_399_68, 0.482_158_41, 0.446_530_91];
const TRAIN_STD: [f64; 3] = [0.247_032_23, 0.243_485_13, 0.261_587_84];
/// Half a unit in the last published digit.
const ROUNDING: f64 = 0.51e-8;
/// The first ten labels of the test split.
const FIRST_TEST_LABELS: [u8; 10] = [3, 8, 8, 0, 6, 6, 1, 6, 3, 1];

/// Refuses splits that are not CIFAR-10's 50,000 training and 10,000 test images in the official order.
pub fn check(train: &Split, test: &Split) -> Result<(), DataError> {
    check_counts("training", train, 5_000)?;
    check_counts("test", test, 1_000)?;
    let (mean, std) = mean_and_std(train);
    for (what, found, expected) in [("mean", mean, TRAIN_MEAN), ("standard deviation", std, TRAIN_STD)] {
        if found.iter().zip(expected).any(|(found, expected)| (found - expected).abs() > ROUNDING) {
            let text = |values: [f64; 3]| values.map(|value| format!("{value:.8}")).join(" ");
            return Err(DataError::NotCifar10 {
                split: "training",
                what,
                found: text(found),
                expected: text(expected),
            });
        }
    }
    if test.labels()[..10] != FIRST_TEST_LABELS {
        return Err(DataError::NotCifar10 {
            split: "test",
            what: "the list of the first ten labels",
            found: format!("{:?}", &test.labels()[..10]),
            expected: format!("{FIRST_TEST_LABELS:?}"),
        });
    }
    Ok(())
}

fn check_counts(split: &'static str, images: &Split, per_class: usize) -> Result<(), DataError> {
    let mut counts = [0; 10];
    for &label in images.labels() {
        counts[usize::from(label)] += 1;
    }
    if counts == [per_class; 10] {
        return Ok(());
    }
    let (found, expected) = (format!("{counts:?}"), format!("{per_class} each"));
    Err(DataError::NotCifar10 { split, what: "the number of images in each class", found, expected })
}

/// Per channel over all pixels, population standard deviation, exact in integers until the last step.
fn mean_and_std(split: &Split) -> ([f64; 3], [f64; 3]) {
    let (mut sums, mut squares) = ([0u64; 3], [0u64; 3]);
    for index in 0..split.len() {
        for (channel, plane) in split.image(index).chunks_exact(IMAGE_BYTES / 3).enumerate() {
            for &pixel in plane {
                sums[channel] += u64::from(pixel);
                squares[channel] += u64::from(pixel) * u64::from(pixel);
            }
        }
    }
    let pixels = (split.len() * IMAGE_BYTES / 3) as f64;
    let mean = sums.map(|sum| sum as f64 / pixels);
    let std = std::array::from_fn(|c| (squares[c] as f64 / pixels - mean[c] * mean[c]).max(0.0).sqrt() / 255.0);
    (mean.map(|mean| mean / 255.0), std)
}
