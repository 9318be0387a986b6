//! What to run on: a device asked for is a device used.

use std::fmt;
use std::str::FromStr;

/// The version of libtorch that this library was built with.
pub const LIBTORCH_VERSION: &str = env!("LIBTORCH_VERSION");

/// A device as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// CUDA when libtorch has it and a GPU answers, else the CPU; the choice is always reported.
    Auto,
    Cpu,
    /// A CUDA device, by index.
    Cuda(usize),
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Not a name of a device.
    #[error("unknown device `{0}`: expected auto, cpu, cuda or cuda:N")]
    Unknown(String),
    /// There is no such GPU, or libtorch was built without CUDA.
    #[error("device {asked} is not available: libtorch finds {found} CUDA device(s)")]
    Unavailable {
        asked: DeviceChoice,
        /// CUDA devices that libtorch finds.
        found: i64,
    },
}

impl DeviceChoice {
    /// The libtorch device; fails when the one asked for is not there.
    pub fn resolve(self) -> Result<tch::Device, DeviceError> {
        let found = if tch::Cuda::is_available() {
            tch::Cuda::device_count()
        } else {
            0
        };
        match self {
            Self::Cpu => Ok(tch::Device::Cpu),
            Self::Auto if found == 0 => Ok(tch::Device::Cpu),
            Self::Auto => Ok(tch::Device::Cuda(0)),
            Self::Cuda(index) if i64::try_from(index).is_ok_and(|index| index < found) => {
                Ok(tch::Device::Cuda(index))
            }
            Self::Cuda(_) => Err(DeviceError::Unavailable { asked: self, found }),
        }
    }
}

/// The name of a libtorch device in reports.
pub fn device_name(device: tch::Device) -> String {
    match device {
        tch::Device::Cpu => "cpu".to_owned(),
        tch::Device::Cuda(index) => format!("cuda:{index}"),
        other => format!("{other:?}"),
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown(name.to_owned());
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = name.strip_prefix("cuda:").ok_or_else(unknown)?;
                index.parse().map(Self::Cuda).map_err(|_| unknown())
            }
        }
    }
}
