//! The network, the preprocessing and the initialisation against PyTorch and torchvision.
//!
//! The fixtures stand in `../fixtures/` beside the script that made them.

mod fixtures;
mod initialisation;
mod network;
mod preprocessing;
mod training;
