//! What the log says of the time before a supervisor: where it ended, and whether it says so.

use std::io;

use super::plan::Plan;
use crate::watch::log::LogReader;
use crate::watch::log::event::{Event, Gap, GapCause, Start};
use crate::watch::log::reader;
use crate::watch::log::writer::unix_now;
use crate::watch::tally::Tally;

/// What the log says of the time before this supervisor.
pub(super) struct Before {
    pub(super) sequence: u64,
    pub(super) worker: u64,
    pub(super) sdc: u64,
    pub(super) gap: Option<Gap>,
    /// There was no log here.
    pub(super) is_new: bool,
    /// What the supervisor before was called with, if a worker of the log was ever ready.
    called_with: Option<Vec<String>>,
}

impl Before {
    pub(super) fn of(plan: &Plan<'_>) -> io::Result<Self> {
        let mut reader = LogReader::open(&plan.folder)?;
        let mut tally = Tally::default();
        let (mut last, mut boot_id, mut command) = (None, String::new(), None);
        let (mut arguments, mut was_ready) = (vec![], false);
        while let Some(entry) = reader.next_entry()? {
            tally.add(&entry);
            match &entry.event {
                Event::Start(start) => {
                    boot_id.clone_from(&start.boot_id);
                    arguments.clone_from(&start.arguments);
                }
                Event::Command(of_user) => command = Some(of_user.command.clone()),
                Event::Ready(_) => {
                    was_ready = true;
                    command = None;
                }
                _ => {}
            }
            last = Some((entry.sequence, entry.unix));
        }
        let has_no_end = tally.end.is_none() && last.is_some();
        let (sequence, unix) = last.unwrap_or_default();
        let cause = match boot_id == plan.start.boot_id {
            true => GapCause::Supervisor,
            false => GapCause::Reboot,
        };
        Ok(Self {
            sequence,
            worker: tally.last_worker,
            sdc: tally.last_sdc,
            gap: has_no_end.then(|| Gap {
                cause,
                seconds: (unix_now() - unix).max(0.0),
                after_sequence: sequence,
                command,
            }),
            is_new: reader::files_of(&plan.folder)?.is_empty(),
            called_with: was_ready.then_some(arguments),
        })
    }

    /// Whether the supervisor before was called alike, in a log whose workers were at work.
    pub(super) fn was_at_work_with(&self, start: &Start) -> bool {
        self.called_with.as_ref() == Some(&start.arguments)
    }
}
