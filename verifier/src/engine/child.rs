//! A child process with a time limit.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a child is looked after.
const INTERVAL: Duration = Duration::from_millis(20);
/// Of what a child says on standard error, the end is kept.
const KEPT: usize = 2000;

/// How a child ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// By itself, with this exit status.
    Status(i32),
    /// By a signal, such as `SIGSEGV`.
    Signal(String),
    /// It was killed at its time limit.
    TimedOut,
    /// It was killed because this process was told to stop.
    Stopped,
}

/// A child that has ended.
#[derive(Debug)]
pub struct Child {
    /// How.
    pub ended: Ended,
    /// How long it ran.
    pub seconds: f64,
    /// The end of what it said on standard error.
    pub stderr: String,
}

/// Runs a command to its end, but no longer than `limit`, and until `stop` is set. Its standard
/// output is dropped.
pub fn run(command: &mut Command, limit: Duration, stop: &AtomicBool) -> io::Result<Child> {
    // A file rather than a pipe: nobody has to read along, however much it says.
    let mut stderr = tempfile::tempfile()?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.try_clone()?)
        .spawn()?;
    let ended = loop {
        if let Some(status) = child.try_wait()? {
            break how(status);
        }
        let reason = match (stop.load(Ordering::Relaxed), started.elapsed() >= limit) {
            (true, _) => Ended::Stopped,
            (false, true) => Ended::TimedOut,
            (false, false) => {
                sleep(INTERVAL);
                continue;
            }
        };
        child.kill()?;
        child.wait()?;
        break reason;
    };
    Ok(Child {
        ended,
        seconds: started.elapsed().as_secs_f64(),
        stderr: end_of(&mut stderr)?,
    })
}

fn how(status: ExitStatus) -> Ended {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;
        if let Some(signal) = status.signal() {
            let name = signal_hook::low_level::signal_name(signal);
            return Ended::Signal(name.map_or_else(|| format!("signal {signal}"), str::to_owned));
        }
    }
    Ended::Status(status.code().unwrap_or(-1))
}

fn end_of(file: &mut File) -> io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(io::SeekFrom::Start(length.saturating_sub(KEPT as u64)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: f64, stop: bool) -> Child {
        let mut command = Command::new("sh");
        run(
            command.args(["-c", script]),
            Duration::from_secs_f64(limit),
            &AtomicBool::new(stop),
        )
        .expect("sh runs")
    }

    #[test]
    fn each_end_is_told() {
        let child = shell("echo why >&2; exit 3", 60.0, false);
        assert_eq!(
            (child.ended, child.stderr.as_str()),
            (Ended::Status(3), "why")
        );
        assert_eq!(
            shell("kill -SEGV $$", 60.0, false).ended,
            Ended::Signal("SIGSEGV".to_owned())
        );
        let child = shell("exec sleep 60", 0.1, false);
        assert!(
            child.ended == Ended::TimedOut && child.seconds < 30.0,
            "{child:?}"
        );
        assert_eq!(shell("exec sleep 60", 60.0, true).ended, Ended::Stopped);
    }

    #[test]
    fn however_much_a_child_says_the_end_is_kept() {
        let child = shell("yes word | head -c 1000000 >&2; echo last >&2", 60.0, false);
        assert!(
            child.stderr.ends_with("last") && child.stderr.len() <= KEPT,
            "{}",
            child.stderr.len()
        );
    }
}
