//! What the machine says of itself, where it does: temperatures, load, memory, and of NVIDIA's GPUs
//! what their library tells.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use verifier::watch::log::event::Xid;
use verifier::watch::supervisor::Told;

use super::nvidia::Gpus;

/// How often the machine is asked.
const INTERVAL: Duration = Duration::from_secs(5);

/// Values by their names, with units; `None` for what the machine does not tell.
type Values = BTreeMap<String, Option<f64>>;

/// Asks the machine in a thread of its own: a driver that hangs must not stop the supervisor.
pub(super) struct Telemetry(Arc<Mutex<Told>>);

impl Telemetry {
    /// Begins to ask; without a thread nothing is told.
    pub(super) fn start() -> Self {
        let latest = Arc::new(Mutex::new(Told::default()));
        let told = Arc::clone(&latest);
        let _ = thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || ask(&told));
        Self(latest)
    }

    /// What was told last, once.
    pub(super) fn take(&self) -> Told {
        std::mem::take(&mut *locked(&self.0))
    }
}

fn locked(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks again and again.
fn ask(told: &Mutex<Told>) {
    let gpus = Gpus::open();
    let xids = gpus.as_ref().and_then(Gpus::xids);
    loop {
        let mut values = of_system();
        match &gpus {
            Some(gpus) => gpus.add_to(&mut values),
            None => _ = values.insert("GPU, by NVML".to_owned(), None),
        }
        locked(told).values = values;
        match &xids {
            Some(xids) => xids.wait(INTERVAL, &mut |xid: Xid| locked(told).xids.push(xid)),
            None => thread::sleep(INTERVAL),
        }
    }
}

fn of_system() -> Values {
    let mut values = Values::new();
    thermal_zones(Path::new("/sys/class/thermal"), &mut values);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next();
    let load = load.and_then(|load| load.parse().ok());
    values.insert("load".to_owned(), load);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let mut lines = memory.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.and_then(|text| text.trim().parse::<f64>().ok());
    let megabytes = kilobytes.map(|value| (value / 1024.0).round());
    values.insert("memory free (MiB)".to_owned(), megabytes);
    values
}

/// Linux' thermal zones, which a Jetson has for its CPU and its GPU: a type, and thousandths of
/// degrees.
fn thermal_zones(folder: &Path, values: &mut Values) {
    let zones = fs::read_dir(folder).into_iter().flatten().flatten();
    for zone in zones {
        let read = |name: &str| fs::read_to_string(zone.path().join(name)).ok();
        let Some(kind) = read("type") else {
            continue;
        };
        let temperature = read("temp");
        let thousandths = temperature.and_then(|text| text.trim().parse::<f64>().ok());
        let name = format!("{} (°C)", kind.trim());
        values.insert(name, thousandths.map(|value| value / 1000.0));
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
    fn zones_are_read_by_their_types_and_what_cannot_be_read_is_none() {
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
            BTreeMap::from([
                ("GPU-therm (°C)".to_owned(), Some(41.5)),
                ("x (°C)".to_owned(), None),
            ])
        );
        thermal_zones(&folder.path().join("none"), &mut values);
        assert_eq!(values.len(), 2);
    }
}
