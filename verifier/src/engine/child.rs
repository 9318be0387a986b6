//! A child process with a time limit, and all that it starts.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a child is looked after.
const INTERVAL: Duration = Duration::from_millis(20);
/// A child that is to be killed is asked to end first, and has so long to end what it started.
const GRACE: Duration = Duration::from_secs(5);
/// Of what a child says on standard error, the end is kept, and less is put into a message.
const KEPT: usize = 64 << 10;
const SHOWN: usize = 2000;
/// Bytes of it that may lie on the disk while the child runs.
const MOST_ON_DISK: u64 = 64 << 20;

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

impl Child {
    /// The end of what it said, as much as a message holds.
    pub fn said(&self) -> &str {
        let first = self.stderr.len().saturating_sub(SHOWN);
        &self.stderr[self.stderr.ceil_char_boundary(first)..]
    }
}

/// A child that is running, in a group of its own; when this is dropped, the group is killed.
#[derive(Debug)]
pub struct Running {
    child: process::Child,
    // A file rather than a pipe: nobody has to read along, and nobody keeps it open. Absent where
    // there is no place for it.
    stderr: Option<File>,
    started: Instant,
    is_over: bool,
}

/// Runs a command to its end, but no longer than `limit`, and until `stop` is set. Its standard
/// output is dropped. Processes that it started and that are still there when it ends are killed.
pub fn run(command: &mut Command, limit: Duration, stop: &AtomicBool) -> io::Result<Child> {
    let mut running = Running::start(command.stdin(Stdio::null()))?;
    let killed = loop {
        if running.has_ended()? {
            break None;
        }
        let is_late = running.started.elapsed() >= limit;
        match (stop.load(Ordering::Relaxed), is_late) {
            (true, _) => break Some(Ended::Stopped),
            (false, true) => break Some(Ended::TimedOut),
            (false, false) => {}
        }
        sleep(INTERVAL);
    };
    match killed {
        None => running.kill(),
        Some(reason) => running.ask_to_end(reason),
    }
}

impl Running {
    /// Starts a command; its standard output is dropped.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let stderr = tempfile::tempfile().ok();
        let copy = stderr.as_ref().map(File::try_clone).transpose()?;
        let started = Instant::now();
        let child = group::of_its_own(command)
            .stdout(Stdio::null())
            .stderr(copy.map_or_else(Stdio::null, Stdio::from))
            .spawn()?;
        Ok(Self {
            child,
            stderr,
            started,
            is_over: false,
        })
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended; to be asked now and then, since this bounds what it says.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        if let Some(stderr) = &self.stderr {
            drop_if_long(stderr)?;
        }
        group::has_ended(&mut self.child)
    }

    /// Kills it, unless it has ended by itself, and all that it started.
    pub fn kill(mut self) -> io::Result<Child> {
        let seconds = self.started.elapsed().as_secs_f64();
        group::kill(&mut self.child)?;
        let status = self.child.wait()?;
        self.is_over = true;
        self.over(how(status), seconds)
    }

    /// Kills it, for a reason, and waits no longer than `limit`: a process that is inside of a
    /// driver may not end at all. `None` if it has not ended by then.
    pub fn kill_within(&mut self, limit: Duration, reason: Ended) -> io::Result<Option<Child>> {
        let seconds = self.started.elapsed().as_secs_f64();
        group::kill(&mut self.child)?;
        let killed = Instant::now();
        while !group::has_ended(&mut self.child)? {
            if killed.elapsed() >= limit {
                return Ok(None);
            }
            sleep(INTERVAL);
        }
        self.child.wait()?;
        self.is_over = true;
        self.over(reason, seconds).map(Some)
    }

    fn over(&mut self, ended: Ended, seconds: f64) -> io::Result<Child> {
        let stderr = self.stderr.as_mut().map(end_of).transpose()?;
        Ok(Child {
            ended,
            seconds,
            stderr: stderr.unwrap_or_default(),
        })
    }

    /// Leaves a process that cannot be killed to a thread that waits for it.
    pub fn abandon(self) {
        // Without a thread it stays until this process ends.
        let _ = std::thread::Builder::new().spawn(move || drop(self));
    }

    /// Asks it to end, and does not wait for it.
    pub fn ask(&self) {
        group::ask(&self.child);
    }

    /// Asks it to end, and kills it if it does not: for this reason. It may have children in groups
    /// of their own, which only it can end: an engine's, say.
    pub fn ask_to_end(mut self, reason: Ended) -> io::Result<Child> {
        let seconds = self.started.elapsed().as_secs_f64();
        group::ask(&self.child);
        let asked = Instant::now();
        while asked.elapsed() < GRACE && !self.has_ended()? {
            sleep(INTERVAL);
        }
        Ok(Child {
            ended: reason,
            seconds,
            ..self.kill()?
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = group::kill(&mut self.child);
            let _ = self.child.wait();
        }
    }
}

/// A child and what it starts, where the system has groups of processes.
#[cfg(unix)]
mod group {
    use std::os::unix::process::CommandExt as _;

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

    use super::{Command, io, process};

    pub(super) fn of_its_own(command: &mut Command) -> &mut Command {
        command.process_group(0)
    }

    /// Leaves it to be waited for: until then nobody else gets its number.
    pub(super) fn has_ended(child: &mut process::Child) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = waitid(WaitId::Pid(Pid::from_child(child)), options)?;
        Ok(ended.is_some())
    }

    pub(super) fn ask(child: &process::Child) {
        let _ = kill_process_group(Pid::from_child(child), Signal::TERM);
    }

    pub(super) fn kill(child: &mut process::Child) -> io::Result<()> {
        // It may have left the group, which then may be empty.
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
        child.kill()
    }
}

#[cfg(not(unix))]
mod group {
    use super::{Command, io, process};

    pub(super) fn of_its_own(command: &mut Command) -> &mut Command {
        command
    }

    pub(super) fn has_ended(child: &mut process::Child) -> io::Result<bool> {
        Ok(child.try_wait()?.is_some())
    }

    /// There is nothing milder than to kill it.
    pub(super) fn ask(_: &process::Child) {}

    pub(super) fn kill(child: &mut process::Child) -> io::Result<()> {
        child.kill()
    }
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

/// A child that talks without end fills no disk: what it said is dropped, and it goes on behind a
/// hole.
fn drop_if_long(stderr: &File) -> io::Result<()> {
    let metadata = stderr.metadata()?;
    #[cfg(unix)]
    let on_disk = 512 * std::os::unix::fs::MetadataExt::blocks(&metadata);
    #[cfg(not(unix))]
    let on_disk = metadata.len();
    match on_disk > MOST_ON_DISK {
        true => stderr.set_len(0),
        false => Ok(()),
    }
}

fn end_of(file: &mut File) -> io::Result<String> {
    let length = file.metadata()?.len();
    file.seek(io::SeekFrom::Start(length.saturating_sub(KEPT as u64)))?;
    let mut bytes = Vec::new();
    file.take(KEPT as u64).read_to_end(&mut bytes)?;
    bytes.retain(|&byte| byte != 0); // the hole
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
        for bytes in [1_000_000, 3 * MOST_ON_DISK] {
            let script = format!("yes wörd | head -c {bytes} >&2; sleep 0.1; echo last >&2");
            let child = shell(&script, 60.0, false);
            assert_eq!(child.ended, Ended::Status(0));
            let kept = child.stderr.len();
            // A character that was cut apart takes more bytes than it had.
            assert!(child.stderr.ends_with("last") && kept < KEPT + 16, "{kept}");
            assert!(child.said().ends_with("last") && child.said().len() <= SHOWN);
        }
    }

    #[test]
    fn a_child_that_is_late_may_end_what_it_started_and_one_that_does_not_listen_is_killed() {
        let listens = "trap 'echo ended >&2; exit 9' TERM; sleep 60 & wait";
        let child = shell(listens, 0.3, false);
        assert_eq!(child.ended, Ended::TimedOut);
        assert!(child.stderr.contains("ended"), "{child:?}");
        let begun = Instant::now();
        let child = shell("trap '' TERM; while true; do sleep 1; done", 0.3, false);
        assert_eq!(child.ended, Ended::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn what_a_child_leaves_running_ends_with_it() {
        let folder = tempfile::tempdir().expect("folder");
        let late = folder.path().join("late");
        let writes_late = format!("(sleep 2; echo late > '{}') &", late.display());
        for (end, limit, expected) in [
            ("exit 0", 60.0, Ended::Status(0)),
            ("wait", 0.3, Ended::TimedOut),
        ] {
            let child = shell(&format!("{writes_late} {end}"), limit, false);
            assert_eq!(child.ended, expected);
        }
        sleep(Duration::from_millis(2200));
        assert!(!late.exists());
    }
}
