//! Tensors of a network as a `.safetensors` file, written one after the other: no copy of all of
//! them in memory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::Path;

use proto::staging;
use safetensors::tensor::{Dtype, SafeTensorError, View};
use tch::{Kind, Tensor};

/// Writes float32 tensors, and one entry of metadata; the file is whole or as it was before.
pub(crate) fn write(
    path: &Path,
    metadata_key: &str,
    metadata: String,
    tensors: Vec<(String, Tensor)>,
) -> io::Result<()> {
    let views: Vec<_> = tensors
        .into_iter()
        .map(|(name, tensor)| (name, OnDemand::new(tensor)))
        .collect();
    let metadata = HashMap::from([(metadata_key.to_owned(), metadata)]);
    staging::write_by_path(path, |temporary| {
        safetensors::serialize_to_file(views, Some(metadata), temporary).map_err(
            |error| match error {
                SafeTensorError::IoError(error) => error,
                other => io::Error::other(other),
            },
        )
    })
}

/// A tensor's shape and its elements as little-endian float32 bytes in C order.
pub fn shape_and_bytes(tensor: &Tensor) -> (Vec<usize>, Vec<u8>) {
    let tensor = tensor
        .detach()
        .to_device(tch::Device::Cpu)
        .to_kind(Kind::Float)
        .contiguous();
    let mut bytes = vec![0; tensor.numel() * size_of::<f32>()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    (shape(&tensor), bytes)
}

fn shape(tensor: &Tensor) -> Vec<usize> {
    tensor.size().iter().map(|&axis| axis as usize).collect()
}

/// A tensor that is copied to the host when its turn comes.
struct OnDemand {
    tensor: Tensor,
    shape: Vec<usize>,
}

impl OnDemand {
    fn new(tensor: Tensor) -> Self {
        Self {
            shape: shape(&tensor),
            tensor,
        }
    }
}

impl View for OnDemand {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        shape_and_bytes(&self.tensor).1.into()
    }

    fn data_len(&self) -> usize {
        self.tensor.numel() * size_of::<f32>()
    }
}
