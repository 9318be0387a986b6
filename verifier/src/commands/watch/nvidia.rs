//! What NVIDIA's library tells of the machine's GPUs, where it is there: it is loaded at run time.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nvml_wrapper::Nvml;
use nvml_wrapper::device::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::event::EventSet;
use verifier::watch::log::event::Xid;

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

    /// Adds what each GPU tells, and what it does not.
    pub(super) fn add_to(&self, values: &mut BTreeMap<String, Option<f64>>) {
        for index in 0..self.0.device_count().unwrap_or(0) {
            let gpu = self.0.device_by_index(index).ok();
            for (name, value) in told(gpu.as_ref()) {
                values.insert(format!("GPU {index} {name}"), value);
            }
        }
    }

    /// Listens to the driver's errors of all GPUs that report them; `None` where none does.
    #[cfg(target_os = "linux")]
    pub(super) fn xids(&self) -> Option<Xids<'_>> {
        use nvml_wrapper::bitmasks::event::EventTypes;

        let mut set = self.0.create_event_set().ok()?;
        let mut heard = false;
        for index in 0..self.0.device_count().unwrap_or(0) {
            let Ok(gpu) = self.0.device_by_index(index) else {
                continue;
            };
            let events = gpu.supported_event_types();
            if events.is_ok_and(|events| events.contains(EventTypes::CRITICAL_XID_ERROR)) {
                // One that fails takes the set with it.
                set = gpu
                    .register_events(EventTypes::CRITICAL_XID_ERROR, set)
                    .ok()?;
                heard = true;
            }
        }
        heard.then_some(Xids(set))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn xids(&self) -> Option<Xids<'_>> {
        None
    }
}

/// The driver's errors as they come.
pub(super) struct Xids<'nvml>(EventSet<'nvml>);

impl Xids<'_> {
    /// Waits for so long, and tells what comes meanwhile.
    pub(super) fn wait(&self, wait: Duration, tell: &mut dyn FnMut(Xid)) {
        let begun = Instant::now();
        while let Some(left) = wait.checked_sub(begun.elapsed()) {
            match self.0.wait(left.as_millis() as u32 + 1) {
                Ok(event) => tell(Xid {
                    number: match event.event_data {
                        Some(XidError::Value(number)) => number,
                        Some(XidError::Unknown) | None => UNKNOWN,
                    },
                    gpu: event.device.index().ok(),
                    unix: SystemTime::now()
                        .duration_since(UNIX_EPOCH)
                        .map_or(0.0, |since| since.as_secs_f64()),
                }),
                Err(NvmlError::Timeout) => {}
                Err(_) => sleep(left),
            }
        }
    }
}

/// NVML's number for an error that it does not know.
const UNKNOWN: u64 = 999;

fn told(gpu: Option<&Device<'_>>) -> [(&'static str, Option<f64>); 8] {
    let clock = |clock| gpu?.clock_info(clock).ok().map(f64::from);
    let errors = |kind| {
        let count = gpu?.total_ecc_errors(kind, EccCounter::Volatile);
        count.ok().map(|count| count as f64)
    };
    let temperature = gpu.and_then(|gpu| gpu.temperature(TemperatureSensor::Gpu).ok());
    let milliwatts = gpu.and_then(|gpu| gpu.power_usage().ok()).map(f64::from);
    let used = gpu.and_then(|gpu| gpu.memory_info().ok());
    let used = used.map(|memory| memory.used as f64);
    let reasons = gpu.and_then(|gpu| gpu.current_throttle_reasons().ok());
    [
        ("temperature (°C)", temperature.map(f64::from)),
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
