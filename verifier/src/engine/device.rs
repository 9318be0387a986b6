//! What to run on, as the user names it.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A device; each stands for one execution provider of ONNX Runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Device {
    Cpu,
    /// An NVIDIA GPU.
    #[default]
    Cuda,
    /// An NVIDIA GPU, through TensorRT.
    TensorRt,
    /// Intel's OpenVINO.
    OpenVino,
    /// Any other provider, by the name that the runtime knows it by, such as `XNNPACK` or `QNN`.
    Other(String),
}

/// Names that ONNX Runtime takes and those that its profiles give, as ONNX Runtime 1.31.1 lists
/// them when it is asked for a provider that it does not know.
const PROVIDERS: [(&str, &str); 12] = [
    ("Azure", "AzureExecutionProvider"),
    ("CoreML", "CoreMLExecutionProvider"),
    ("DML", "DmlExecutionProvider"),
    ("JS", "JsExecutionProvider"),
    ("MIGraphX", "MIGraphXExecutionProvider"),
    ("NvTensorRtRtx", "NvTensorRTRTXExecutionProvider"),
    ("QNN", "QNNExecutionProvider"),
    ("SNPE", "SNPEExecutionProvider"),
    ("VitisAI", "VitisAIExecutionProvider"),
    ("WebGPU", "WebGpuExecutionProvider"),
    ("WEBNN", "WebNNExecutionProvider"),
    ("XNNPACK", "XnnpackExecutionProvider"),
];

impl Device {
    /// ONNX Runtime's name of the provider, as its profiles give it.
    pub fn provider(&self) -> String {
        const SUFFIX: &str = "ExecutionProvider";
        match self {
            Self::Cpu => "CPUExecutionProvider".to_owned(),
            Self::Cuda => "CUDAExecutionProvider".to_owned(),
            Self::TensorRt => "TensorrtExecutionProvider".to_owned(),
            Self::OpenVino => "OpenVINOExecutionProvider".to_owned(),
            Self::Other(name) if name.ends_with(SUFFIX) => name.clone(),
            Self::Other(name) => PROVIDERS
                .iter()
                .find(|(short, _)| short.eq_ignore_ascii_case(name))
                .map_or_else(|| format!("{name}{SUFFIX}"), |(_, full)| (*full).to_owned()),
        }
    }

    /// The name by which the provider is asked for in ONNX Runtime's C API.
    pub fn short_name(&self) -> String {
        match self {
            Self::Cpu => "CPU".to_owned(),
            Self::Cuda => "CUDA".to_owned(),
            Self::TensorRt => "TensorRT".to_owned(),
            Self::OpenVino => "OpenVINO".to_owned(),
            Self::Other(_) => {
                let full = self.provider();
                let known = PROVIDERS
                    .iter()
                    .find(|(_, name)| *name == full)
                    .map(|(short, _)| *short);
                known
                    .or_else(|| full.strip_suffix("ExecutionProvider"))
                    .unwrap_or(&full)
                    .to_owned()
            }
        }
    }

    /// The settings that keep the arithmetic in float32, for the report.
    pub fn precision(&self, allows_reduced: bool) -> &'static str {
        match (self, allows_reduced) {
            (Self::Cpu, _) => "float32",
            (Self::Cuda, false) => "float32, TF32 off",
            (Self::Cuda, true) => "float32 with TF32 allowed",
            (Self::TensorRt, false) => "float32 (fp16 off, TF32 off by NVIDIA_TF32_OVERRIDE=0)",
            (Self::TensorRt, true) => "float32 with TF32 and fp16 allowed",
            (Self::OpenVino, false) => "float32 (precision FP32)",
            (Self::OpenVino, true) => "the device's own choice (precision not set)",
            (Self::Other(_), _) => "the provider's own: it has no setting that this program knows",
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::OpenVino => "openvino",
            Self::Other(name) => name,
        })
    }
}

impl FromStr for Device {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "cpu" | "cpuexecutionprovider" => Self::Cpu,
            "cuda" | "cudaexecutionprovider" => Self::Cuda,
            "tensorrt" | "tensorrtexecutionprovider" => Self::TensorRt,
            "openvino" | "openvinoexecutionprovider" => Self::OpenVino,
            _ => Self::Other(text.to_owned()),
        })
    }
}

/// Settings of a provider as they are given, `key=value`.
pub fn key_values(options: &[(String, String)]) -> Vec<String> {
    options
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

impl From<String> for Device {
    fn from(name: String) -> Self {
        name.parse().unwrap_or_else(|never| match never {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line_and_of_profiles() {
        let provider = |text: &str| {
            text.parse::<Device>()
                .map(|device| device.provider())
                .unwrap_or_default()
        };
        assert_eq!(provider("cuda"), "CUDAExecutionProvider");
        assert_eq!(provider("TensorRT"), "TensorrtExecutionProvider");
        assert_eq!(provider("xnnpack"), "XnnpackExecutionProvider");
        assert_eq!(provider("qnn"), "QNNExecutionProvider");
        assert_eq!(provider("Somebodys"), "SomebodysExecutionProvider");
        assert_eq!(
            "xnnpack"
                .parse::<Device>()
                .map(|device| device.short_name()),
            Ok("XNNPACK".to_owned())
        );
        assert_eq!(
            provider("MIGraphXExecutionProvider"),
            "MIGraphXExecutionProvider"
        );
        assert_eq!("CPUExecutionProvider".parse(), Ok(Device::Cpu));
        assert_eq!(
            "QNNExecutionProvider"
                .parse::<Device>()
                .map(|device| device.short_name()),
            Ok("QNN".to_owned())
        );
    }
}
