//! Being told to stop: SIGINT, SIGTERM and SIGHUP ask for it, a second one insists.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit status when told twice: what was saved last stands.
const INSISTED: i32 = 130;

/// A flag that is set when the process is told to stop. Signals that were ignored when it started,
/// as `nohup` has it, stay ignored.
pub fn stop_flag() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let ignored = ignored_signals();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if ignored >> (signal - 1) & 1 == 0 {
            flag::register_conditional_shutdown(signal, INSISTED, Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
        }
    }
    Ok(stop)
}

/// One bit for each signal, as Linux tells; none where it does not.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
