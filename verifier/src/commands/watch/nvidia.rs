//! What NVIDIA's library tells of the machine's GPUs, where it is there: it is loaded at run time.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use nvml_wrapper::Nvml;
use nvml_wrapper::device::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};

/// The library's name where the driver is without its headers.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// All GPUs that the library knows.
pub(super) struct Gpus(Nvml);

impl Gpus {
    /// `None` where there is no driver.
    pub(super) fn open() -> Option<Self> {
        let mut library = Nvml::builder();
        let opened = library.lib_path(OsStr::new(LIBRARY)).init();
        opened.ok().map(Self)
    }

    /// Adds what each GPU tells; what it does not is left out.
    pub(super) fn add_to(&self, values: &mut BTreeMap<String, f64>) {
        for index in 0..self.0.device_count().unwrap_or(0) {
            if let Ok(gpu) = self.0.device_by_index(index) {
                for (name, value) in told(&gpu) {
                    values.extend(value.map(|value| (format!("gpu {index} {name}"), value)));
                }
            }
        }
    }
}

fn told(gpu: &Device<'_>) -> [(&'static str, Option<f64>); 8] {
    let clock = |clock| gpu.clock_info(clock).ok().map(f64::from);
    let errors = |kind| {
        let count = gpu.total_ecc_errors(kind, EccCounter::Volatile);
        count.ok().map(|count| count as f64)
    };
    let temperature = gpu.temperature(TemperatureSensor::Gpu);
    let milliwatts = gpu.power_usage().ok().map(f64::from);
    let used = gpu.memory_info().ok().map(|memory| memory.used as f64);
    let reasons = gpu.current_throttle_reasons().ok();
    [
        ("temperature (°C)", temperature.ok().map(f64::from)),
        ("power (W)", milliwatts.map(|value| value / 1000.0)),
        ("SM clock (MHz)", clock(Clock::SM)),
        ("memory clock (MHz)", clock(Clock::Memory)),
        (
            "memory used (MiB)",
            used.map(|bytes| (bytes / 1_048_576.0).round()),
        ),
        ("ECC errors corrected", errors(MemoryError::Corrected)),
        ("ECC errors uncorrected", errors(MemoryError::Uncorrected)),
        (
            "throttle reasons (bits)",
            reasons.map(|reasons| reasons.bits() as f64),
        ),
    ]
}
