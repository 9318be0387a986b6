//! Where the golden tensors come from.

use std::collections::BTreeMap;

use proto::manifest::Golden;
use proto::npy::Dtype;
use trainer::device::device_name;
use trainer::vit::Vit;

/// The library, the device and the settings that the golden is recorded with.
pub(super) fn golden_origin(vit: &Vit, batch_size: usize) -> Golden {
    Golden {
        libtorch: trainer::LIBTORCH_VERSION.to_owned(),
        device: device_name(vit.device()),
        dtype: Dtype::Float32,
        threads: tch::get_num_threads().unsigned_abs() as usize,
        batch_size,
        cpu_features: cpu_features(),
        float64: None,
        recorded: BTreeMap::new(),
    }
}

/// The vector extensions by which libtorch and its libraries choose their kernels.
fn cpu_features() -> Vec<String> {
    let mut features: Vec<&str> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! detect {
            ($($feature:tt),*) => {
                $(if std::arch::is_x86_feature_detected!($feature) {
                    features.push($feature);
                })*
            };
        }
        detect!(
            "avx",
            "avx2",
            "fma",
            "avx512f",
            "avx512bw",
            "avx512vl",
            "avx512vnni",
            "avx512bf16"
        );
    }
    #[cfg(target_arch = "aarch64")]
    features.push("neon");
    features.into_iter().map(str::to_owned).collect()
}
