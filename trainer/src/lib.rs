//! Trains a vision transformer on CIFAR-10 with libtorch. Returns values and errors; printing is the binary's work.
//!
//! | module | owns |
//! |---|---|
//! | [`vit`] | the network |
//! | [`weights`] | the network's numbers as a `.safetensors` file that says what it is |
//! | [`pth`] | the same numbers as PyTorch's checkpoints, read and written |
//! | [`cifar10`] | the images: fetching, checking, loading |
//! | [`resize`], [`preprocess`] | from u8 pixels to the network's input, exact to the bit |
//! | [`recipe`] | how a network is trained, as plain data |
//! | [`train`], [`evaluate`] | the two loops |
//! | [`device`], [`failure`] | what to run on, and what to make of its failures |

pub mod cifar10;
pub mod device;
pub mod evaluate;
pub mod failure;
pub mod preprocess;
pub mod pth;
pub mod recipe;
pub mod resize;
pub mod train;
pub mod vit;
pub mod weights;

/// The version of libtorch that this library was built with.
pub const LIBTORCH_VERSION: &str = env!("LIBTORCH_VERSION");
