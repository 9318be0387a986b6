//! How many samples a run takes where nobody says.

use serde::{Deserialize, Serialize};

use super::device::Device;

/// On the CPU, what the largest operator of a run reads and writes should be no more: it then stays
/// in cache beside the weights, and ONNX Runtime's arena stays small.
///
/// Measured with 512 samples of `base`, whole processes on two cores of an AMD EPYC (Zen 4, 32 MiB
/// of third-level cache), two rounds: batches of 4 took 5.5 and 4.6 s and 75 MB, batches of 8 took
/// 5.6 and 5.2 s and 104 MB, batches of 64 took 6.5 and 6.2 s and 451 MB.
const CACHE_BYTES: usize = 16 << 20;

/// On other devices, and the most on the CPU.
pub const LARGEST: usize = 64;

/// Who chose a batch size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The user.
    Given,
    /// This program, by the model and the device.
    Chosen,
}

/// The batch size for a device, a power of two; `operator_bytes` is what the largest operator of
/// the model reads and writes for each sample, if that is known.
pub fn choose(device: &Device, operator_bytes: Option<usize>) -> usize {
    match (device, operator_bytes) {
        (Device::Cpu, Some(bytes)) => {
            let most = (CACHE_BYTES / bytes.max(1)).clamp(1, LARGEST);
            1 << most.ilog2()
        }
        _ => LARGEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_cpu_a_run_stays_in_cache_and_elsewhere_it_is_large() {
        let base = Some(2 * 4 * 12 * 197 * 197); // scores and softmax of `base`
        assert_eq!(choose(&Device::Cpu, base), 4);
        assert_eq!(choose(&Device::Cuda, base), 64);
        assert_eq!(choose(&Device::Cpu, Some(150_000)), 64);
        assert_eq!(choose(&Device::Cpu, Some(usize::MAX)), 1);
        assert_eq!(choose(&Device::Cpu, None), 64);
    }
}
