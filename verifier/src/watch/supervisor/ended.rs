//! Which kind of DUE the end of a worker was.

use std::fs;

use crate::engine::child::{Child, Ended};
use crate::watch::log::event::DueKind;

/// What a worker said of its end, if it did.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Nothing,
    /// It was told to end, by whomever.
    Bye,
    /// It is to be started again.
    Again,
    Failed {
        what: String,
        is_device_lost: bool,
    },
}

/// How many processes the system, and the group that this one is in, has killed for want of memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OutOfMemoryKills(u64);

impl OutOfMemoryKills {
    /// So far; 0 where the system does not tell.
    pub(super) fn now() -> Self {
        let files = ["/proc/vmstat", "/sys/fs/cgroup/memory.events"];
        let texts = files.map(|file| fs::read_to_string(file).unwrap_or_default());
        Self(texts.iter().map(|text| kills_in(text)).sum())
    }
}

fn kills_in(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

/// The kind, and what there is to say of it; `None` for an end that was asked for.
pub(super) fn due_kind(
    child: &Child,
    said: &Said,
    was_asked: bool,
    was_killed_by_oom: bool,
) -> Option<(DueKind, String)> {
    if let Said::Failed {
        what,
        is_device_lost,
    } = said
    {
        let kind = match is_device_lost {
            true => DueKind::DeviceLost,
            false if says_no_memory(what) => DueKind::OutOfMemory,
            false => DueKind::EngineError,
        };
        return Some((kind, what.clone()));
    }
    let had_no_memory = says_no_memory(child.said());
    Some(match &child.ended {
        Ended::Stopped => return None,
        Ended::Status(0) if *said == Said::Again => return None,
        Ended::Status(0) if *said == Said::Bye && was_asked => return None,
        Ended::Status(0) if *said == Said::Bye => (DueKind::Killed, "SIGTERM".to_owned()),
        Ended::Signal(name) if name == "SIGTERM" && was_asked => return None,
        Ended::TimedOut => (DueKind::Hang, "no sign of life".to_owned()),
        Ended::Signal(name) if name == "SIGKILL" && was_killed_by_oom => {
            (DueKind::OutOfMemory, name.clone())
        }
        Ended::Signal(name) if name == "SIGKILL" || name == "SIGTERM" => {
            (DueKind::Killed, name.clone())
        }
        Ended::Signal(name) if had_no_memory => (DueKind::OutOfMemory, name.clone()),
        Ended::Signal(name) => (DueKind::Crash, name.clone()),
        Ended::Status(status) if had_no_memory => {
            (DueKind::OutOfMemory, format!("exit status {status}"))
        }
        Ended::Status(status) => (DueKind::Exit, format!("exit status {status}")),
    })
}

/// What Rust, C++, ONNX Runtime (its arena too) and CUDA say when they get no memory.
fn says_no_memory(text: &str) -> bool {
    let texts = [
        "memory allocation of",
        "bad_alloc",
        "out of memory",
        "failed to allocate memory",
        "is smaller than requested bytes",
    ];
    let text = text.to_ascii_lowercase();
    texts.iter().any(|own| text.contains(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(ended: Ended, stderr: &str, said: &Said, oom: bool) -> Option<DueKind> {
        let child = Child {
            ended,
            seconds: 1.0,
            stderr: stderr.to_owned(),
        };
        due_kind(&child, said, false, oom).map(|(kind, _)| kind)
    }

    #[test]
    fn every_end_has_its_kind() {
        let signal = |name: &str| Ended::Signal(name.to_owned());
        let nothing = &Said::Nothing;
        let failed = |is_device_lost| Said::Failed {
            what: "CUDA".to_owned(),
            is_device_lost,
        };
        let no_memory = Said::Failed {
            what: "Failed to allocate memory for requested buffer of size 9".to_owned(),
            is_device_lost: false,
        };
        for (ended, stderr, said, oom, expected) in [
            (signal("SIGSEGV"), "", nothing, true, Some(DueKind::Crash)),
            (signal("SIGKILL"), "", nothing, false, Some(DueKind::Killed)),
            (
                signal("SIGKILL"),
                "",
                nothing,
                true,
                Some(DueKind::OutOfMemory),
            ),
            (
                signal("SIGABRT"),
                "memory allocation of 8 bytes failed",
                nothing,
                false,
                Some(DueKind::OutOfMemory),
            ),
            (Ended::TimedOut, "", nothing, false, Some(DueKind::Hang)),
            // A library that ends the process with success has not passed anything.
            (Ended::Status(0), "", nothing, false, Some(DueKind::Exit)),
            (
                Ended::Status(2),
                "",
                &failed(true),
                false,
                Some(DueKind::DeviceLost),
            ),
            (
                Ended::Status(2),
                "",
                &failed(false),
                false,
                Some(DueKind::EngineError),
            ),
            (
                Ended::Status(2),
                "",
                &no_memory,
                false,
                Some(DueKind::OutOfMemory),
            ),
            (Ended::Status(0), "", &Said::Again, false, None),
            // Somebody else told it to end.
            (
                Ended::Status(0),
                "",
                &Said::Bye,
                false,
                Some(DueKind::Killed),
            ),
            (Ended::Status(1), "", &Said::Bye, false, Some(DueKind::Exit)),
            (Ended::Stopped, "", nothing, false, None),
        ] {
            assert_eq!(
                kind(ended.clone(), stderr, said, oom),
                expected,
                "{ended:?}"
            );
        }
    }

    #[test]
    fn a_worker_that_was_asked_may_end_as_it_was_asked_and_no_other_way() {
        let kind = |ended| {
            let child = Child {
                ended,
                seconds: 1.0,
                stderr: String::new(),
            };
            due_kind(&child, &Said::Nothing, true, false).map(|(kind, _)| kind)
        };
        let signal = |name: &str| Ended::Signal(name.to_owned());
        assert_eq!(kind(signal("SIGTERM")), None);
        assert_eq!(kind(Ended::Stopped), None);
        assert_eq!(kind(Ended::TimedOut), Some(DueKind::Hang));
        assert_eq!(kind(signal("SIGSEGV")), Some(DueKind::Crash));
        assert_eq!(kind(Ended::Status(0)), Some(DueKind::Exit));
    }

    #[test]
    fn kills_for_want_of_memory_are_those_that_linux_counts() {
        assert_eq!(kills_in("low 0\noom 3\noom_kill 2\noom_group_kill 0\n"), 2);
        assert_eq!(kills_in("nothing"), 0);
    }
}
