//! What is done when workers are lost again and again: longer waits, and commands of the user.

use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::engine::child::{self, Child, Ended};

/// A command of the user may take so long.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);
/// The longest wait before a worker.
const LONGEST_WAIT: f64 = 60.0;

/// Commands for when a worker hangs, and for when one after the other is lost.
#[derive(Debug, Clone, Default)]
pub struct Ladder {
    /// After every hang.
    pub on_hang: Option<String>,
    /// After so many lost workers in a row the first, after as many more the next; the last one
    /// again and again.
    pub on_dead: Vec<String>,
    pub dead_after: u64,
}

impl Ladder {
    /// The commands after a lost worker, the `in_a_row`-th without a pass between them.
    pub fn steps(&self, is_hang: bool, in_a_row: u64) -> Vec<(&'static str, &str)> {
        let mut steps = Vec::new();
        if let Some(command) = self.on_hang.as_deref().filter(|_| is_hang) {
            steps.push(("on-hang", command));
        }
        let after = self.dead_after.max(1);
        if in_a_row > 0 && in_a_row.is_multiple_of(after) && !self.on_dead.is_empty() {
            let rung = (in_a_row / after - 1).min(self.on_dead.len() as u64 - 1);
            steps.push(("on-dead", &self.on_dead[rung as usize]));
        }
        steps
    }
}

/// Seconds to wait before the next worker: none after the first that is lost, then 1, 2, 4, … 60.
pub(super) fn wait(in_a_row: u64) -> f64 {
    match in_a_row {
        0 | 1 => 0.0,
        more => 2f64.powi(more.min(10) as i32 - 2).min(LONGEST_WAIT),
    }
}

/// Runs a command of the user to its end; says how it ended, and what it said on standard error.
/// What it leaves running in its group of processes is killed.
pub(super) fn run(command: &str, stop: &AtomicBool) -> String {
    let ended = child::run(
        Command::new("sh").args(["-c", command]),
        COMMAND_LIMIT,
        stop,
    );
    match ended {
        Ok(child) if child.stderr.is_empty() => how(&child),
        Ok(child) => format!("{}: {}", how(&child), child.said()),
        Err(error) => error.to_string(),
    }
}

fn how(child: &Child) -> String {
    match &child.ended {
        Ended::Status(status) => format!("exit status {status}"),
        Ended::Signal(signal) => signal.clone(),
        Ended::TimedOut => "killed at its time limit".to_owned(),
        Ended::Stopped => "stopped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_is_climbed_and_its_last_rung_is_used_again() {
        let ladder = Ladder {
            on_hang: Some("reset".to_owned()),
            on_dead: vec!["reboot".to_owned(), "power".to_owned()],
            dead_after: 2,
        };
        let steps = |is_hang, in_a_row| -> Vec<&str> {
            let steps = ladder.steps(is_hang, in_a_row).into_iter();
            steps.map(|(_, command)| command).collect()
        };
        assert_eq!(steps(false, 1), [""; 0]);
        assert_eq!(steps(false, 2), ["reboot"]);
        assert_eq!(steps(true, 3), ["reset"]);
        assert_eq!(steps(true, 4), ["reset", "power"]);
        assert_eq!(steps(false, 6), ["power"]);
        assert!(Ladder::default().steps(true, 3).is_empty());
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        let waits: Vec<f64> = (0..6).map(wait).collect();
        assert_eq!(waits, [0.0, 0.0, 1.0, 2.0, 4.0, 8.0]);
        assert_eq!(wait(1000), 60.0);
    }

    #[test]
    fn a_command_of_the_user_says_how_it_ended() {
        let stop = AtomicBool::new(false);
        assert_eq!(run("exit 3", &stop), "exit status 3");
        assert_eq!(run("echo why >&2; exit 4", &stop), "exit status 4: why");
        assert_eq!(run("kill -TERM $$", &stop), "SIGTERM");
    }
}
