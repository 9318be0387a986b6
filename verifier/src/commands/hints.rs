//! What to try next, where an error of the library leaves that open: only commands know which flags
//! they have.

use anyhow::Error;
use verifier::bench::BenchError;
use verifier::calibrate::file::FileError;
use verifier::campaign::statistics::RoundError;
use verifier::campaign::study::StudyError;
use verifier::engine::Device;
use verifier::engine::onnxruntime::LoadError;
use verifier::engine::onnxruntime::locate::{LocateError, VARIABLE};
use verifier::samples::of_part::RecordingError;

/// An error of a command with a hint, if there is one for it.
pub(super) fn with_hint(error: Error, command: &str) -> Error {
    match error.chain().find_map(|cause| hint(cause, command)) {
        Some(hint) => anyhow::anyhow!("{error:#}\nhint: {hint}"),
        None => error,
    }
}

fn hint(error: &(dyn std::error::Error + 'static), command: &str) -> Option<String> {
    if let Some(LocateError::NotFound) = error.downcast_ref() {
        return Some(format!(
            "`make setup` fetches one; --runtime FILE or {VARIABLE} names your own"
        ));
    }
    if let Some(RecordingError::Nothing { .. }) = error.downcast_ref() {
        let text = "`exporter bundle --test-data-sets N` records N samples of every part";
        return Some(text.to_owned());
    }
    if let Some(RecordingError::NotFloat32 { .. }) = error.downcast_ref() {
        let text = "--part takes submodel, full, head or tail; other tools run this part";
        return Some(text.to_owned());
    }
    if let Some(FileError::Malformed { .. }) = error.downcast_ref() {
        let other_way = match command {
            "check" => ", or use --no-calibration",
            _ => "",
        };
        return Some(format!(
            "a calibration file is what `verifier calibrate` writes; if it was one, move it away \
             and calibrate again{other_way}"
        ));
    }
    if let Some(StudyError::Round(RoundError::AllDrawn { left, .. })) = error.downcast_ref() {
        return Some(format!(
            "--count of {left} or fewer; a fault of a weight makes a pair with each sample"
        ));
    }
    if let Some(BenchError::BatchSize { .. }) = error.downcast_ref() {
        return Some("a smaller --batch-size".to_owned());
    }
    match error.downcast_ref()? {
        LoadError::Library { .. } => {
            Some("--runtime FILE names another one, 1.17 or later".to_owned())
        }
        LoadError::Provider { device, .. } => Some(provider_hint(device).to_owned()),
        _ => None,
    }
}

fn provider_hint(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "--runtime FILE names another library",
        Device::Cuda => {
            "--device cpu runs on the CPU; on a machine with an NVIDIA GPU, `make setup \
             DEVICE=cuda` fetches the CUDA build of ONNX Runtime and its libraries"
        }
        Device::TensorRt => {
            "--device cuda runs on the GPU without TensorRT; the CUDA build of ONNX Runtime also \
             needs NVIDIA's TensorRT libraries (pip's `tensorrt`), found through LD_LIBRARY_PATH"
        }
        Device::OpenVino => {
            "--device cpu runs on the CPU; PyPI's onnxruntime-openvino holds a library with \
             OpenVINO, to be named with --runtime"
        }
        Device::Other(name) if name.starts_with("cuda:") => {
            "--device cuda --device-id N is the N-th NVIDIA GPU"
        }
        Device::Other(name) if name == "gpu" => "--device cuda is an NVIDIA GPU",
        Device::Other(_) => {
            "`verifier devices` lists the providers that the library was built with"
        }
    }
}
