//! Writing and reading a weights file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use proto::config::{Network, VitConfig};
use proto::digest::DigestReader;
use proto::regular_file::{self, Stamp};
use safetensors::tensor::{Dtype, Metadata};
use tch::{Kind, Tensor};

use super::error::{WeightsError, WeightsFault};
use super::info::{METADATA_KEY, WeightsInfo};
use crate::tensor_file;
use crate::vit::Vit;

/// Where weights are written and looked for unless the user names another folder.
pub const DEFAULT_FOLDER: &str = "trained_models";

/// The extension of a weights file.
pub const EXTENSION: &str = "safetensors";

/// The first bytes of a zip archive, as torch.save writes it.
const ZIP: &[u8] = b"PK\x03\x04";

/// The file that a network's weights go to inside a folder, named as in the Python repository.
pub fn default_path(folder: &Path, network: &Network) -> PathBuf {
    folder.join(format!("vit_{network}_cifar10.{EXTENSION}"))
}

/// Writes the parameters of a network; the file is whole or absent.
pub fn save(path: &Path, vit: &Vit, info: &WeightsInfo) -> Result<(), WeightsError> {
    write(path, vit, info).map_err(|fault| WeightsError {
        path: path.to_owned(),
        fault,
    })
}

fn write(path: &Path, vit: &Vit, info: &WeightsInfo) -> Result<(), WeightsFault> {
    let metadata = BTreeMap::from([(METADATA_KEY, serde_json::to_string(info)?)]);
    tensor_file::write(path, &metadata, &vit.variables().into_iter().collect())?;
    Ok(())
}

/// A weights file, read.
#[derive(Debug)]
pub struct Loaded {
    pub path: PathBuf,
    /// The network with these weights.
    pub vit: Vit,
    /// What the file says about itself.
    pub info: WeightsInfo,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// Reads a weights file into a network on a device, one tensor after the other.
pub fn load(path: &Path, device: tch::Device) -> Result<Loaded, WeightsError> {
    load_file(path, device).map_err(|fault| WeightsError {
        path: path.to_owned(),
        fault,
    })
}

fn load_file(path: &Path, device: tch::Device) -> Result<Loaded, WeightsFault> {
    let file = regular_file::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => WeightsFault::Absent,
        _ => error.into(),
    })?;
    let before = Stamp::of(&file.metadata()?);
    let (vit, info, sha256) = read_open(&file, before, device)?;
    Ok(Loaded {
        path: path.to_owned(),
        vit,
        info,
        sha256,
    })
}

/// Reads an open file from its beginning, and gives its SHA-256 too; refuses one that was changed
/// since it had the stamp.
pub(super) fn read_open(
    file: &File,
    before: Stamp,
    device: tch::Device,
) -> Result<(Vit, WeightsInfo, String), WeightsFault> {
    let mut source = DigestReader::new(file);
    let (vit, info) = read(&mut source, before.size(), device)?;
    regular_file::check_unchanged(file, before)?;
    Ok((vit, info, source.sha256()))
}

/// Reads the weights that a user names by file, by network, or by both, which must then agree. A
/// network alone stands for its file in [`DEFAULT_FOLDER`].
pub fn load_chosen(
    file: Option<&Path>,
    network: Option<&Network>,
    device: tch::Device,
) -> Result<Loaded, WeightsError> {
    let by_name = || network.map(|network| default_path(Path::new(DEFAULT_FOLDER), network));
    let path = file
        .map(Path::to_owned)
        .or_else(by_name)
        .unwrap_or_default();
    let loaded = load(&path, device)?;
    let found = &loaded.info.config;
    match network {
        Some(expected) if !found.is_same_but_for_dropout(expected.config()) => {
            let difference = found.first_difference(expected.config());
            Err(WeightsError {
                path,
                fault: WeightsFault::Network {
                    expected: expected.name().to_owned(),
                    found: Network::of(found).name().to_owned(),
                    difference: difference.unwrap_or_default(),
                },
            })
        }
        _ => Ok(loaded),
    }
}

/// Reads a whole file of this length from its beginning.
pub(super) fn read(
    source: &mut impl Read,
    length: u64,
    device: tch::Device,
) -> Result<(Vit, WeightsInfo), WeightsFault> {
    let mut beginning = Vec::new();
    source
        .by_ref()
        .take(ZIP.len() as u64)
        .read_to_end(&mut beginning)?;
    if beginning == ZIP {
        return Err(WeightsFault::PyTorch);
    }
    let header = tensor_file::read_header(&mut beginning.chain(source.by_ref()), length)??;
    let info = info_of(&header)?;
    check(&header, &info.config)?;
    let vit = Vit::new(&info.config, device, 1.0);
    let mut variables = vit.variables();
    let _no_grad = tch::no_grad_guard();
    for name in header.offset_keys() {
        let variable = variables
            .get_mut(&name)
            .ok_or_else(|| WeightsFault::Extra(name.clone()))?;
        let mut bytes = vec![0; variable.numel() * size_of::<f32>()];
        source.read_exact(&mut bytes)?;
        check_values(&name, &bytes)?;
        variable.copy_(&Tensor::from_data_size(
            &bytes,
            &variable.size(),
            Kind::Float,
        ));
    }
    Ok((vit, info))
}

/// What the file says about itself; refuses a network that is not for CIFAR-10.
fn info_of(header: &Metadata) -> Result<WeightsInfo, WeightsFault> {
    let metadata = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(METADATA_KEY));
    let info: WeightsInfo = serde_json::from_str(metadata.ok_or(WeightsFault::NoMetadata)?)?;
    info.config.validate()?;
    if info.config.channels != 3 || info.config.classes != 10 {
        return Err(WeightsFault::NotCifar10 {
            channels: info.config.channels,
            classes: info.config.classes,
        });
    }
    Ok(info)
}

/// Compares names, shapes and dtypes with what the config implies.
fn check(file: &Metadata, config: &VitConfig) -> Result<(), WeightsFault> {
    let parameters = config.parameters();
    for parameter in &parameters {
        let name = &parameter.name;
        let found = file
            .info(name)
            .ok_or_else(|| WeightsFault::Missing(name.clone()))?;
        if found.shape != parameter.shape {
            let (expected, found) = (parameter.shape.clone(), found.shape.clone());
            return Err(WeightsFault::Shape {
                name: name.clone(),
                expected,
                found,
            });
        }
        if found.dtype != Dtype::F32 {
            return Err(WeightsFault::Dtype {
                name: name.clone(),
                found: format!("{:?}", found.dtype),
            });
        }
    }
    let mut names = file.offset_keys();
    names.sort_unstable();
    match names
        .into_iter()
        .find(|name| parameters.iter().all(|parameter| parameter.name != *name))
    {
        None => Ok(()),
        Some(extra) => Err(WeightsFault::Extra(extra)),
    }
}

fn check_values(name: &str, bytes: &[u8]) -> Result<(), WeightsFault> {
    // The whole is summed up first: a search that may stop anywhere is slower.
    if values(bytes).fold(true, |all, value| all & value.is_finite()) {
        return Ok(());
    }
    match values(bytes)
        .enumerate()
        .find(|(_, value)| !value.is_finite())
    {
        None => Ok(()),
        Some((element, value)) => Err(WeightsFault::NotFinite {
            name: name.to_owned(),
            element,
            value,
        }),
    }
}

fn values(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let (values, _) = bytes.as_chunks();
    values.iter().map(|&bytes| f32::from_le_bytes(bytes))
}
