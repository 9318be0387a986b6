//! From a checkpoint's archive and pickle to a network.

use std::io::{Read, Seek};

use proto::config::{Parameter, VitConfig};
use tch::{Device, Kind, Tensor};

use super::archive::Archive;
use super::error::PthFault;
use super::pickle::{Pickle, View};
use super::state_dict::StateDict;
use super::view::{check_finite, view_elements};
use crate::vit::Vit;

#[cfg(test)]
mod tests;

/// A checkpoint, read.
#[derive(Debug)]
pub struct Checkpoint {
    /// The network with its weights.
    pub vit: Vit,
    /// The epoch that the checkpoint names.
    pub epoch: Option<i64>,
}

pub(super) fn read(file: impl Read + Seek, config: &VitConfig) -> Result<Checkpoint, PthFault> {
    let mut archive = Archive::open(file)?;
    let bytes = archive.pickle()?;
    let pickle = Pickle::parse(&bytes)?;
    let (state_dict, epoch) = StateDict::of(&pickle)?;
    if let Some(difference) = state_dict.difference(config) {
        return Err(PthFault::Difference {
            difference,
            fits: state_dict.fitting_preset(config),
        });
    }

    let vit = Vit::new(config, Device::Cpu, 1.0);
    let mut variables = vit.variables();
    let _no_grad = tch::no_grad_guard();
    let parameters = config.parameters();
    let mut pending: Vec<(&Parameter, &View<'_>)> = parameters
        .iter()
        .map(|parameter| (parameter, state_dict.tensors[parameter.name.as_str()]))
        .collect();
    // A storage is read once, for all tensors in it, and no two are in memory.
    while let Some((_, View { storage, .. })) = pending.first().copied() {
        let (here, rest): (Vec<_>, _) = pending
            .into_iter()
            .partition(|(_, view)| view.storage == *storage);
        pending = rest;
        let bytes = archive.storage(storage.key, storage.elements)?;
        let (elements, _) = bytes.as_chunks();
        for (parameter, view) in here {
            let values = view_elements(elements, parameter, view)?;
            check_finite(&values, &parameter.name)?;
            let shape: Vec<i64> = view.shape.iter().map(|&axis| axis as i64).collect();
            let tensor = Tensor::from_data_size(values.as_flattened(), &shape, Kind::Float);
            variables
                .get_mut(&parameter.name)
                .expect("the network has its parameters")
                .copy_(&tensor);
        }
    }
    Ok(Checkpoint { vit, epoch })
}
