//! How a CIFAR-10 image becomes the network's input: as data that a bundle carries with it, the
//! resize, and the whole as an ONNX graph.

mod graph;
mod resize;

pub use resize::{PRECISION_BITS, Resizer, Window};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Side of a CIFAR-10 image, in pixels.
pub const CIFAR10_IMAGE_SIZE: usize = 32;

/// Colour channels of a CIFAR-10 image: R, G, B.
pub const CHANNELS: usize = 3;

/// The tensor of raw pixels, `[batch, 32, 32, 3]` uint8.
pub const PIXELS: &str = "pixels";

/// The network's input, `[batch, 3, image_size, image_size]` float32.
pub const IMAGE: &str = "image";

/// The names of CIFAR-10's classes, in label order (`batches.meta.txt` of the official archive).
pub const CIFAR10_CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// The per-channel mean that the Python repository subtracts, in units of 0 to 1, order R, G, B.
pub const MEAN: [f32; CHANNELS] = [0.4914, 0.4822, 0.4465];

/// The per-channel standard deviation that the Python repository divides by, same units and order.
pub const STD: [f32; CHANNELS] = [0.2023, 0.1994, 0.2010];

/// The steps from the 32×32 pixels of a test image to the input `[3, image_size, image_size]`,
/// float32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preprocessing {
    /// What the image is resized to, and how.
    pub resize: Resize,
    /// After the resize each u8 value is divided by this, in float32.
    pub divide_by: f32,
    /// Then this is subtracted, per channel R, G, B, in float32.
    pub mean: [f32; 3],
    /// Then this divides, per channel R, G, B, in float32.
    pub std: [f32; 3],
    /// Order of the input's axes.
    pub layout: String,
}

/// The resize step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resize {
    /// Side of the square result, in pixels.
    pub image_size: usize,
    /// The filter, by its name in Pillow; u8 in, u8 out, the horizontal pass first.
    pub filter: String,
}

impl Preprocessing {
    /// The Python repository's preprocessing of a test image.
    pub fn cifar10(image_size: usize) -> Self {
        Self {
            resize: Resize {
                image_size,
                filter: "pillow bilinear".to_owned(),
            },
            divide_by: 255.0,
            mean: MEAN,
            std: STD,
            layout: "channel, row, column; channels R, G, B".to_owned(),
        }
    }
}

/// What a u8 value of a channel becomes after the resize, in float32.
pub fn normalised(channel: usize, value: u8) -> f32 {
    (f32::from(value) / 255.0 - MEAN[channel]) / STD[channel]
}
