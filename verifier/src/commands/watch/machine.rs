//! What the machine says of itself, where it does: temperatures, load, memory, and of NVIDIA's GPUs
//! what their library tells.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::nvidia::Gpus;

/// How often the machine is asked.
const INTERVAL: Duration = Duration::from_secs(5);

/// Values by their names, with units; what the machine does not tell is not there.
pub(super) type Values = BTreeMap<String, f64>;

/// Asks the machine in a thread of its own: a driver that hangs must not stop the supervisor.
pub(super) struct Telemetry(Arc<Mutex<Values>>);

impl Telemetry {
    /// Begins to ask; without a thread nothing is told.
    pub(super) fn start() -> Self {
        let latest = Arc::new(Mutex::new(Values::new()));
        let told = Arc::clone(&latest);
        let ask = move || {
            let gpus = Gpus::open();
            loop {
                let mut values = of_system();
                if let Some(gpus) = &gpus {
                    gpus.add_to(&mut values);
                }
                *told.lock().unwrap_or_else(PoisonError::into_inner) = values;
                thread::sleep(INTERVAL);
            }
        };
        let _ = thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(ask);
        Self(latest)
    }

    /// What was told last, once.
    pub(super) fn take(&self) -> Values {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn of_system() -> Values {
    let mut values = Values::new();
    thermal_zones(Path::new("/sys/class/thermal"), &mut values);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    if let Some(Ok(load)) = load.split_whitespace().next().map(str::parse) {
        values.insert("load".to_owned(), load);
    }
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let mut lines = memory.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"));
    if let Some(kilobytes) = line.and_then(|line| line.trim().strip_suffix(" kB")) {
        let megabytes = kilobytes.trim().parse::<f64>().map(|value| value / 1024.0);
        values.extend(megabytes.map(|value| ("memory free (MiB)".to_owned(), value.round())));
    }
    values
}

/// Linux' thermal zones, which a Jetson has for its CPU and its GPU: a type, and thousandths of
/// degrees.
fn thermal_zones(folder: &Path, values: &mut Values) {
    let zones = fs::read_dir(folder).into_iter().flatten().flatten();
    for zone in zones {
        let read = |name: &str| fs::read_to_string(zone.path().join(name)).ok();
        let (Some(kind), Some(temperature)) = (read("type"), read("temp")) else {
            continue;
        };
        if let Ok(thousandths) = temperature.trim().parse::<f64>() {
            let name = format!("{} (°C)", kind.trim());
            values.insert(name, thousandths / 1000.0);
        }
    }
}

/// The host's name, as Linux tells it.
pub(super) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "unknown".to_owned(),
        name => name.to_owned(),
    }
}

/// Another one after each boot.
pub(super) fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_by_their_types_and_what_cannot_be_read_is_left_out() {
        let folder = tempfile::tempdir().expect("folder");
        for (zone, kind, temperature) in [("a", "GPU-therm\n", "41500\n"), ("b", "x", "no")] {
            let zone = folder.path().join(zone);
            fs::create_dir(&zone).expect("make");
            fs::write(zone.join("type"), kind).expect("write");
            fs::write(zone.join("temp"), temperature).expect("write");
        }
        let mut values = Values::new();
        thermal_zones(folder.path(), &mut values);
        assert_eq!(
            values,
            BTreeMap::from([("GPU-therm (°C)".to_owned(), 41.5)])
        );
        thermal_zones(&folder.path().join("none"), &mut values);
        assert_eq!(values.len(), 1);
    }
}
