//! From a checkpoint's file to a network.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use proto::checkpoint::{Archive, Format, HEAD};
use proto::config::{Parameter, VitConfig};
use proto::pickle::{Pickle, View};
use tch::Device;

use super::choose::{Chosen, choose};
use super::error::PthFault;
use super::safetensors_file::SafetensorsFile;
use super::view::{Float, tensor};
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
    /// The entry that the weights are, keys apart by dots, if they are not the whole file.
    pub key: Option<String>,
    /// What stands before each tensor's name, with its last dot.
    pub prefix: String,
    /// How many tensors have another dtype than float32, by its name.
    pub converted: BTreeMap<&'static str, usize>,
    /// What else is in the file and is no plain data: entries, each with what it is.
    pub skipped: Vec<String>,
}

/// Which weights of a file are meant, and what may be done to them.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The entry that the weights stand under, keys apart by dots.
    pub key: Option<String>,
    /// Whether float64 is rounded to float32.
    pub convert: bool,
}

pub(super) fn read(
    mut file: impl Read + Seek,
    config: &VitConfig,
    options: &Options,
) -> Result<Checkpoint, PthFault> {
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    file.rewind()?;
    match Format::of(&head)? {
        Format::Zip => {
            let mut archive = Archive::open(file)?;
            let bytes = archive.pickle()?;
            let pickle = Pickle::parse(&bytes)?;
            let mut storage = |key: &str, bytes| Ok(archive.storage(key, bytes)?);
            fill(&pickle, config, options, &mut storage)
        }
        Format::Safetensors => {
            let tensors = SafetensorsFile::open(&mut file)?;
            let pickle = Pickle::of_tensors(tensors.views());
            let mut storage = |key: &str, bytes| tensors.storage(&mut file, key, bytes);
            fill(&pickle, config, options, &mut storage)
        }
    }
}

/// Gives the bytes of a storage, by its key and its size in bytes.
type Storages<'s> = dyn FnMut(&str, u128) -> Result<Vec<u8>, PthFault> + 's;

fn fill(
    pickle: &Pickle<'_>,
    config: &VitConfig,
    options: &Options,
    storages: &mut Storages<'_>,
) -> Result<Checkpoint, PthFault> {
    let Chosen {
        state_dict,
        key,
        epoch,
        skipped,
    } = choose(pickle, config, options.key.as_deref())?;
    let parameters = config.parameters();
    let mut pending = Vec::new();
    for parameter in &parameters {
        let view = state_dict.tensor(&parameter.name);
        let view = view.expect("a tensor for each parameter");
        pending.push((parameter, view, float(parameter, view, options.convert)?));
    }
    let mut converted = BTreeMap::new();
    for (_, view, _) in &pending {
        if view.storage.dtype != "float32" {
            *converted.entry(view.storage.dtype).or_default() += 1;
        }
    }

    let vit = Vit::new(config, Device::Cpu, 1.0);
    let mut variables = vit.variables();
    let _no_grad = tch::no_grad_guard();
    // A storage is read once, for all tensors in it, and no two are in memory.
    while let Some(&(_, View { storage, .. }, float)) = pending.first() {
        let (here, rest): (Vec<_>, _) = pending
            .into_iter()
            .partition(|(_, view, _)| view.storage == *storage);
        pending = rest;
        let size = storage.elements as u128 * float.size as u128;
        let bytes = storages(storage.key, size)?;
        for (parameter, view, float) in here {
            variables
                .get_mut(&parameter.name)
                .expect("the network has its parameters")
                .copy_(&tensor(&bytes, float, parameter, view)?);
        }
    }
    Ok(Checkpoint {
        vit,
        epoch,
        key,
        prefix: state_dict.candidate.prefix.to_owned(),
        converted,
        skipped,
    })
}

/// A tensor's dtype, if it may be read as float32.
fn float(parameter: &Parameter, view: &View<'_>, convert: bool) -> Result<Float, PthFault> {
    let found = view.storage.dtype;
    Float::of(found)
        .filter(|float| float.is_exact || convert)
        .ok_or_else(|| PthFault::Dtype {
            name: parameter.name.clone(),
            found,
        })
}
