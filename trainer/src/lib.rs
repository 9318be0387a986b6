//! Trains a vision transformer on CIFAR-10 with libtorch. Returns values and errors; printing is
//! the binary's work.
//!
//! | module | owns |
//! |---|---|
//! | [`vit`] | the network |
//! | [`kernels`] | what libtorch is slow at on a CPU, in C++ |
//! | [`weights`] | the network's numbers as a `.safetensors` file that says what it is |
//! | [`pth`] | the same numbers as PyTorch's checkpoints, read and written |
//! | [`cifar10`] | the images: fetching, checking, loading |
//! | [`preprocess`] | from u8 pixels to the network's input, exact to the bit |
//! | [`images`] | batches of images and labels where the network is |
//! | [`recipe`] | how a network is trained, as plain data |
//! | [`parameters`], [`optimizer`] | all parameters as one buffer, and the rules that change it |
//! | [`train`], [`evaluate`] | the two loops |
//! | [`state`] | a run as a file, to go on from |
//! | [`curve`] | a run as a picture |
//! | [`device`], [`failure`] | what to run on, and what to make of its failures |
//! | [`startup`] | how threads wait and memory is handed out |

pub mod cifar10;
pub mod curve;
pub mod device;
pub mod evaluate;
pub mod failure;
pub mod images;
pub mod kernels;
pub mod optimizer;
pub mod parameters;
pub mod preprocess;
pub mod pth;
pub mod recipe;
pub mod startup;
pub mod state;
mod tensor_file;
pub mod train;
pub mod vit;
pub mod weights;

pub use device::LIBTORCH_VERSION;
