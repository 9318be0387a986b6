//! A watch that runs beside its test.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use tests::{run, with_default_signals};

use super::{is_at_work, workers};

/// Whatever does not come within so long never comes.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);

/// A watch under way; it is killed when this is dropped.
pub(crate) struct Watch {
    child: Child,
    log: PathBuf,
    said: Arc<Mutex<String>>,
    listening: Option<JoinHandle<()>>,
}

/// How a watch ended.
pub(crate) struct Over {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Watch {
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let command = with_default_signals(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = command.expect("start");
        let mut stderr = child.stderr.take().expect("piped");
        let said = Arc::new(Mutex::new(String::new()));
        let heard = said.clone();
        let listening = spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                heard.lock().expect("not poisoned").push_str(&text);
            }
        });
        Self {
            child,
            log: log.to_owned(),
            said,
            listening: Some(listening),
        }
    }

    /// Starts one and waits until its worker has computed something.
    pub(crate) fn at_work(command: &mut Command, log: &Path) -> Self {
        let before = workers(log).len();
        let mut watch = Self::start(command, log);
        watch.wait_for_worker(before + 1);
        watch
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.child.id().into());
    }

    /// Sends a signal to the last worker.
    pub(crate) fn signal_worker(&self, name: &str) {
        signal(name, *workers(&self.log).last().expect("a worker"));
    }

    /// What it has said on standard error.
    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }

    /// Waits until the log has so many workers, and the last one has computed something.
    pub(crate) fn wait_for_worker(&mut self, number: usize) {
        let log = self.log.clone();
        let is_there = |_: &Self| workers(&log).len() >= number && is_at_work(&log);
        assert!(self.wait_for(is_there), "it ended\n{}", self.said());
    }

    /// Waits for a condition; false if the watch ended without it.
    pub(crate) fn wait_for(&mut self, is_there: impl Fn(&Self) -> bool) -> bool {
        let started = Instant::now();
        loop {
            let has_ended = self.child.try_wait().expect("wait").is_some();
            if is_there(self) {
                return true;
            }
            if has_ended {
                return false;
            }
            assert!(started.elapsed() < PATIENCE, "no end\n{}", self.said());
            sleep(POLL);
        }
    }

    /// Tells it to stop, unless it has ended, and waits for its end.
    pub(crate) fn stop(mut self) -> Over {
        if self.child.try_wait().expect("wait").is_none() {
            self.signal("-TERM");
        }
        self.over()
    }

    /// Waits for its end.
    pub(crate) fn over(mut self) -> Over {
        self.wait_for(|_| false);
        let mut stdout = String::new();
        let pipe = self.child.stdout.as_mut().expect("piped");
        pipe.read_to_string(&mut stdout).expect("read");
        if let Some(listening) = self.listening.take() {
            listening.join().expect("no panic");
        }
        Over {
            status: self.child.wait().expect("wait").code(),
            stdout,
            stderr: self.said(),
        }
    }

    /// Kills it, and waits for its end.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal; a process that is gone has had all of its own.
fn signal(name: &str, process: u64) {
    run(Command::new("kill").args([name, &process.to_string()]));
}

/// Whether a process ends.
pub(crate) fn is_gone(process: u64) -> bool {
    let started = Instant::now();
    let stat = PathBuf::from(format!("/proc/{process}/stat"));
    // One that is dead and not waited for is gone too.
    let is_there = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    while is_there() && started.elapsed() < PATIENCE {
        sleep(POLL);
    }
    !is_there()
}
