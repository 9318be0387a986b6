//! Processes that are told to stop. Each is this test program again, running one ignored test that
//! waits for signals.

use std::io::{BufRead as _, BufReader, ErrorKind};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// What the process ends with when it is told again.
const TOLD_AGAIN: i32 = 130;
const WAITING_TEST: &str = "waits_for_signals";
/// Names the file that is to grow too large.
const LARGE_FILE: &str = "VIT_PART_LARGE_FILE";

/// What the child does: it says that it listens, and when it is told to stop, and goes on for a
/// while.
#[test]
#[ignore = "run by the other tests as a process of its own"]
fn waits_for_signals() {
    let stop = console::stop_flag(TOLD_AGAIN).expect("handlers");
    console::say!("listening");
    let started = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        assert!(started.elapsed() < Duration::from_secs(20), "never told");
        thread::sleep(Duration::from_millis(5));
    }
    console::say!("told");
    thread::sleep(Duration::from_secs(2));
    console::say!("ended by itself");
}

struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts the child with some signals ignored, as `nohup` does, and waits until it listens.
    fn start(ignored: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        // The shell that runs the tests may have made its background deaf to SIGINT.
        let mut child = Command::new("env")
            .args(["--default-signal", "sh", "-c"])
            .arg(format!("trap '' {ignored}; exec \"$0\" \"$@\""))
            .arg(program)
            .args(["--ignored", "--exact", WAITING_TEST, "--nocapture"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut process = Self { child, stdout };
        process.wait_for("listening");
        process
    }

    fn wait_for(&mut self, expected: &str) {
        let mut line = String::new();
        // The test harness ends no line before the test does.
        while !line.trim_end().ends_with(expected) {
            line.clear();
            let read = self.stdout.read_line(&mut line).expect("read");
            assert!(read > 0, "ended before it said `{expected}`");
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status();
        assert!(status.expect("kill").success());
    }

    fn end(mut self) -> ExitStatus {
        self.child.wait().expect("wait")
    }
}

#[test]
fn each_signal_alone_asks_the_process_to_stop() {
    let processes = ["-INT", "-TERM", "-HUP"].map(|name| {
        let process = Process::start("PIPE");
        process.signal(name);
        process
    });
    for mut process in processes {
        process.wait_for("told");
        process.wait_for("ended by itself");
        assert!(process.end().success());
    }
}

#[test]
fn told_again_the_process_ends_at_once_with_the_status_given() {
    let mut process = Process::start("PIPE");
    process.signal("-INT");
    process.wait_for("told");
    thread::sleep(Duration::from_millis(700));
    process.signal("-TERM");
    assert_eq!(process.end().code(), Some(TOLD_AGAIN));
}

#[test]
fn two_signals_within_half_a_second_are_one_request() {
    let mut process = Process::start("PIPE");
    process.signal("-INT");
    process.signal("-TERM");
    process.wait_for("ended by itself");
    assert!(process.end().success());
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let mut process = Process::start("HUP");
    process.signal("-HUP");
    thread::sleep(Duration::from_millis(600));
    // Had the first signal been heard, this one would end the process.
    process.signal("-TERM");
    process.wait_for("ended by itself");
    assert!(process.end().success());
}

#[test]
#[ignore = "run by another test as a process of its own"]
fn writes_more_than_it_may() {
    console::survive_file_size_limit();
    let path = std::env::var_os(LARGE_FILE).expect("a path");
    let error = std::fs::write(path, vec![0; 1 << 20]).expect_err("there is a limit");
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
}

#[test]
fn a_file_beyond_the_limit_is_an_error_and_not_the_end() {
    let path = std::env::temp_dir().join(format!("vit-part-large-{}", std::process::id()));
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "writes_more_than_it_may"])
        .env(LARGE_FILE, &path)
        .output()
        .expect("start");
    let _ = std::fs::remove_file(path);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
