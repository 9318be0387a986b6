//! What to run on, as the user names it.

use serde::Serialize;

/// A device; each stands for one execution provider of ONNX Runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// Intel's OpenVINO on the CPU.
    #[value(name = "openvino")]
    OpenVino,
}

impl Device {
    /// ONNX Runtime's name of the provider, as its profiles give it.
    pub fn provider(self) -> &'static str {
        match self {
            Self::Cpu => "CPUExecutionProvider",
            Self::Cuda => "CUDAExecutionProvider",
            Self::OpenVino => "OpenVINOExecutionProvider",
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::OpenVino => "openvino",
        }
    }

    /// The settings that keep the arithmetic in float32, for the report.
    pub fn precision(self) -> &'static str {
        match self {
            Self::Cpu => "float32",
            Self::Cuda => "float32, TF32 off",
            Self::OpenVino => "float32 (precision FP32)",
        }
    }
}
