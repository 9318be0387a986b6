//! Being told to stop: the first SIGINT, SIGTERM or SIGHUP asks for it, a second one ends the
//! process. And what must not end it without a word.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

/// Signals closer together than this are one request: `timeout` sends one to its child and one to
/// its process group, which the child is in.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// A flag that is set when the process is told to stop; told again, the process ends at once with
/// the exit status given here. Signals that were ignored when the process started, as `nohup` has
/// it, stay ignored.
///
/// The signals are received by a thread of their own, so nothing of this runs inside a signal
/// handler but the writing of a byte.
pub fn stop_flag(status_when_told_again: i32) -> io::Result<Arc<AtomicBool>> {
    stop_flag_of(&[SIGINT, SIGTERM, SIGHUP], status_when_told_again)
}

/// The same for work that goes on later: SIGUSR1 asks for it too, by which batch systems say that
/// time is nearly up.
pub fn resumable_stop_flag(status_when_told_again: i32) -> io::Result<Arc<AtomicBool>> {
    let signals = [SIGINT, SIGTERM, SIGHUP, SIGUSR1];
    stop_flag_of(&signals, status_when_told_again)
}

fn stop_flag_of(signals: &[i32], status_when_told_again: i32) -> io::Result<Arc<AtomicBool>> {
    let ignored = ignored_signals();
    let heard = signals
        .iter()
        .filter(|&signal| ignored >> (signal - 1) & 1 == 0);
    let signals = Signals::new(heard)?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || receive(signals, &flag, status_when_told_again))?;
    Ok(stop)
}

/// For the beginning of `main`: a file that grows beyond what the process may write (`ulimit -f`)
/// is then an error of that write, which is reported, and not the end of the process.
///
/// The signal gets a handler instead of being ignored, since that is not handed on to other
/// programs that this one starts.
pub fn survive_file_size_limit() {
    // Where that fails, all is as it would be without.
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

fn receive(mut signals: Signals, stop: &AtomicBool, status_when_told_again: i32) {
    let mut told: Option<Instant> = None;
    for _ in &mut signals {
        match told {
            None => {
                stop.store(true, Ordering::Relaxed);
                told = Some(Instant::now());
            }
            Some(first) if first.elapsed() < SAME_REQUEST => {}
            Some(_) => low_level::exit(status_when_told_again),
        }
    }
}

/// One bit for each signal, as Linux tells; none where it does not.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
