//! Weights as one `.safetensors` file that says what it is: the network's config and the training
//! run stand inside.
//!
//! Tensors bear PyTorch's names and shapes, float32. The header's `__metadata__` has one key,
//! [`METADATA_KEY`], whose value is [`WeightsInfo`] as JSON.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use proto::config::{ConfigError, Preset, VitConfig};
use proto::digest::DigestReader;
use proto::regular_file;
use safetensors::tensor::{Dtype, Metadata, SafeTensorError};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::recipe::Recipe;
use crate::tensor_file;
pub use crate::tensor_file::shape_and_bytes;
use crate::train::EpochRow;
use crate::vit::Vit;

/// The key of the header's metadata.
pub const METADATA_KEY: &str = "vit_part";

/// Where weights are written and looked for unless the user names another folder.
pub const DEFAULT_FOLDER: &str = "trained_models";

/// Bytes before a safetensors file's header, which hold its length.
const PREFIX: u64 = 8;

/// As the safetensors library has it.
const LONGEST_HEADER: u64 = 100_000_000;

/// The extension of a weights file.
pub const EXTENSION: &str = "safetensors";

/// What a weights file says about itself. No times and no paths: the same run gives the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightsInfo {
    /// The network's numbers.
    pub config: VitConfig,
    /// How the weights came about, if that is known.
    pub training: Option<Training>,
}

/// How weights came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The recipe, after all flags.
    pub recipe: Recipe,
    /// The number that every random choice derives from.
    pub seed: u64,
    /// Training images used.
    pub train_samples: usize,
    /// The epoch whose weights these are, from 1; 0 is the initialisation.
    pub kept_epoch: usize,
    /// One row an epoch.
    pub history: Vec<EpochRow>,
    /// Version of libtorch.
    pub libtorch: String,
    /// Device trained on.
    pub device: String,
    /// Threads of one operation.
    pub threads: usize,
}

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct WeightsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: WeightsFault,
}

/// The rule that a weights file breaks.
#[derive(Debug, thiserror::Error)]
pub enum WeightsFault {
    /// There is no such file.
    #[error("no such file\nhint: `trainer train` or `trainer import` writes one")]
    Absent,
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A file of PyTorch.
    #[error(
        "a PyTorch checkpoint, not a weights file\nhint: `trainer import --pth FILE --model PRESET` makes one of it"
    )]
    PyTorch,
    /// Not the format.
    #[error("not a sound safetensors file: {0}")]
    Format(#[from] SafeTensorError),
    /// The file does not say which network it belongs to.
    #[error(
        "no `{METADATA_KEY}` in its metadata: expected a file that `trainer train` or `trainer import` wrote"
    )]
    NoMetadata,
    /// The metadata cannot be understood.
    #[error("malformed `{METADATA_KEY}` metadata: {0}")]
    Metadata(#[from] serde_json::Error),
    /// The config is no network.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network is not of the preset asked for.
    #[error("weights of preset {found}, expected {expected}")]
    Preset {
        /// The preset asked for.
        expected: Preset,
        /// The file's preset, or `custom`.
        found: &'static str,
    },
    /// The network is not one for CIFAR-10.
    #[error(
        "a network for {channels} channels and {classes} classes: expected 3 and 10, as CIFAR-10 has"
    )]
    NotCifar10 {
        /// Channels of its input.
        channels: usize,
        /// Classes of its output.
        classes: usize,
    },
    /// A parameter is absent.
    #[error("tensor `{0}` is missing")]
    Missing(String),
    /// A tensor belongs to no parameter.
    #[error("tensor `{0}` is no parameter of the network in the file's config")]
    Extra(String),
    /// A parameter has another shape.
    #[error("tensor `{name}`: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// The parameter.
        name: String,
        /// The network's shape.
        expected: Vec<usize>,
        /// The file's shape.
        found: Vec<usize>,
    },
    /// A parameter is not float32.
    #[error("tensor `{name}`: expected dtype F32, found {found}")]
    Dtype {
        /// The parameter.
        name: String,
        /// The file's dtype.
        found: String,
    },
    /// A parameter is infinite or not a number.
    #[error("tensor `{name}`: element {element} is {value}, expected a finite number")]
    NotFinite {
        /// The parameter.
        name: String,
        /// Flat index.
        element: usize,
        /// The value.
        value: f32,
    },
}

impl WeightsInfo {
    /// The name of the preset with these numbers, or `custom`.
    pub fn preset_name(&self) -> &'static str {
        Preset::of(&self.config).map_or("custom", Preset::name)
    }

    /// The epoch these weights are of, for people.
    pub fn epoch(&self) -> String {
        match &self.training {
            Some(Training { kept_epoch: 0, .. }) => "freshly initialised".to_owned(),
            Some(training) => format!("epoch {}", training.kept_epoch),
            None => "origin unknown".to_owned(),
        }
    }
}

/// The file that a preset's weights go to inside a folder, named as in the Python repository.
pub fn default_path(folder: &Path, preset: Preset) -> PathBuf {
    folder.join(format!("vit_{preset}_cifar10.{EXTENSION}"))
}

/// Writes the parameters of a network; the file is whole or absent.
pub fn save(path: &Path, vit: &Vit, info: &WeightsInfo) -> Result<(), WeightsError> {
    write(path, vit, info).map_err(|fault| WeightsError {
        path: path.to_owned(),
        fault,
    })
}

fn write(path: &Path, vit: &Vit, info: &WeightsInfo) -> Result<(), WeightsFault> {
    tensor_file::write(
        path,
        METADATA_KEY,
        serde_json::to_string(info)?,
        vit.variables().into_iter().collect(),
    )?;
    Ok(())
}

/// A weights file, read.
#[derive(Debug)]
pub struct Loaded {
    /// The file.
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
    let at = |fault| WeightsError {
        path: path.to_owned(),
        fault,
    };
    let file = regular_file::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => at(WeightsFault::Absent),
        _ => at(error.into()),
    })?;
    let length = file.metadata().map_err(|error| at(error.into()))?.len();
    let mut source = DigestReader::new(file);
    let (vit, info) = read(&mut source, length, device).map_err(at)?;
    Ok(Loaded {
        path: path.to_owned(),
        vit,
        info,
        sha256: source.sha256(),
    })
}

/// Reads the weights that a user names by file, by preset, or by both, which must then agree. A
/// preset alone stands for its file in [`DEFAULT_FOLDER`].
pub fn load_chosen(
    file: Option<&Path>,
    preset: Option<Preset>,
    device: tch::Device,
) -> Result<Loaded, WeightsError> {
    let by_preset = || preset.map(|preset| default_path(Path::new(DEFAULT_FOLDER), preset));
    let path = file
        .map(Path::to_owned)
        .or_else(by_preset)
        .unwrap_or_default();
    let loaded = load(&path, device)?;
    match preset {
        Some(expected) if loaded.info.config != expected.config() => {
            let found = loaded.info.preset_name();
            Err(WeightsError {
                path,
                fault: WeightsFault::Preset { expected, found },
            })
        }
        _ => Ok(loaded),
    }
}

/// Reads a whole file of this length from its beginning.
fn read(
    source: &mut impl Read,
    length: u64,
    device: tch::Device,
) -> Result<(Vit, WeightsInfo), WeightsFault> {
    let mut beginning = Vec::new();
    source.by_ref().take(PREFIX).read_to_end(&mut beginning)?;
    if beginning.starts_with(b"PK\x03\x04") {
        return Err(WeightsFault::PyTorch); // a zip archive, as torch.save writes
    }
    let header_length = beginning
        .as_slice()
        .try_into()
        .map_or(0, u64::from_le_bytes);
    if header_length > length.saturating_sub(PREFIX) {
        return Err(SafeTensorError::InvalidHeaderLength.into());
    }
    if header_length > LONGEST_HEADER {
        return Err(SafeTensorError::HeaderTooLarge.into());
    }
    source
        .by_ref()
        .take(header_length)
        .read_to_end(&mut beginning)?;
    let header: Metadata =
        serde_json::from_slice(beginning.get(PREFIX as usize..).unwrap_or_default())
            .map_err(SafeTensorError::InvalidHeaderDeserialization)?;
    if header.data_len() as u64 != length - PREFIX - header_length {
        return Err(SafeTensorError::MetadataIncompleteBuffer.into());
    }
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
    let values = || {
        bytes
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")))
    };
    // The whole is summed up first: a search that may stop anywhere is slower.
    if values().fold(true, |all, value| all & value.is_finite()) {
        return Ok(());
    }
    match values().enumerate().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((element, value)) => Err(WeightsFault::NotFinite {
            name: name.to_owned(),
            element,
            value,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};
    use std::fs;

    use safetensors::tensor::TensorView;

    use super::*;

    fn info() -> WeightsInfo {
        WeightsInfo {
            config: VitConfig {
                dim: 8,
                layers: 1,
                heads: 2,
                dim_head: 4,
                mlp_dim: 8,
                ..Preset::Nano.config()
            },
            training: Some(Training {
                recipe: Recipe::of(Preset::Nano),
                seed: 1,
                train_samples: 0,
                kept_epoch: 0,
                history: vec![],
                libtorch: crate::LIBTORCH_VERSION.to_owned(),
                device: "cpu".to_owned(),
                threads: 1,
            }),
        }
    }

    /// A sound file, and what it says once `spoil` has changed its tensors.
    fn refusal(spoil: impl FnOnce(&mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>)) -> String {
        let vit = Vit::new(&info().config, tch::Device::Cpu, 1.0);
        let mut tensors: BTreeMap<_, _> = vit
            .variables()
            .into_iter()
            .map(|(name, tensor)| {
                let (shape, bytes) = shape_and_bytes(&tensor);
                (name, (Dtype::F32, shape, bytes))
            })
            .collect();
        spoil(&mut tensors);
        let views: Vec<_> = tensors
            .iter()
            .map(|(name, (dtype, shape, bytes))| {
                (
                    name,
                    TensorView::new(*dtype, shape.clone(), bytes).expect("view"),
                )
            })
            .collect();
        let metadata = HashMap::from([(
            METADATA_KEY.to_owned(),
            serde_json::to_string(&info()).expect("json"),
        )]);
        let bytes = safetensors::serialize(views, Some(metadata)).expect("serialise");
        read(&mut bytes.as_slice(), bytes.len() as u64, tch::Device::Cpu)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn saved_weights_are_loaded_bit_for_bit_and_twice_saved_the_same_bytes() {
        let folder = tempfile::tempdir().expect("folder");
        let (first, second) = (
            folder.path().join("a.safetensors"),
            folder.path().join("b.safetensors"),
        );
        tch::manual_seed(5);
        let vit = Vit::new(&info().config, tch::Device::Cpu, 1.0);
        save(&first, &vit, &info()).expect("save");
        let Loaded {
            vit: loaded,
            info: found,
            sha256,
            ..
        } = load(&first, tch::Device::Cpu).expect("load");
        assert_eq!(sha256, proto::digest::sha256_file(&first).expect("digest"));
        assert_eq!(found, info());
        for (name, tensor) in vit.variables() {
            assert_eq!(
                shape_and_bytes(&tensor),
                shape_and_bytes(&loaded.variables()[&name]),
                "{name}"
            );
        }
        save(&second, &loaded, &found).expect("save");
        assert_eq!(
            fs::read(first).expect("read"),
            fs::read(second).expect("read")
        );
    }

    #[test]
    fn each_broken_rule_is_named() {
        let head = "mlp_head.1.weight";
        let missing = refusal(|tensors| drop(tensors.remove(head)));
        assert_eq!(missing, "tensor `mlp_head.1.weight` is missing");
        let extra = refusal(|tensors| {
            drop(tensors.insert("stray".into(), (Dtype::F32, vec![1], vec![0; 4])))
        });
        assert!(extra.contains("`stray` is no parameter"), "{extra}");
        let shape = refusal(|tensors| tensors.get_mut(head).expect("entry").1 = vec![8, 10]);
        assert_eq!(
            shape,
            "tensor `mlp_head.1.weight`: expected shape [10, 8], found [8, 10]"
        );
        let dtype = refusal(|tensors| tensors.get_mut(head).expect("entry").0 = Dtype::I32);
        assert_eq!(
            dtype,
            "tensor `mlp_head.1.weight`: expected dtype F32, found I32"
        );
        let nan = refusal(|tensors| {
            tensors.get_mut(head).expect("entry").2[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
        });
        assert_eq!(
            nan,
            "tensor `mlp_head.1.weight`: element 2 is NaN, expected a finite number"
        );
    }

    #[test]
    fn files_that_are_not_weights_say_so() {
        let message = |bytes: &[u8]| {
            read(&mut &*bytes, bytes.len() as u64, tch::Device::Cpu)
                .expect_err("must be refused")
                .to_string()
        };
        assert!(message(b"").contains("not a sound safetensors file"));
        assert!(message(b"PK\x03\x04 and so on").contains("trainer import"));
        assert!(message(&[0xff; 64]).contains("not a sound safetensors file"));
        let foreign = safetensors::serialize(Vec::<(String, TensorView<'_>)>::new(), None)
            .expect("serialise");
        assert!(message(&foreign).contains("no `vit_part` in its metadata"));
    }
}
