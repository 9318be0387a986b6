//! The classes of faulty samples: `tail` is loaded when the first one is met.

use anyhow::Result;
use console::note;
use proto::manifest::dataset;
use verifier::check::tail::{Carried, Tail};
use verifier::check::{CheckResult, Event};
use verifier::engine::onnxruntime::Library;
use verifier::engine::onnxruntime::locate::locate;

use super::super::opened::Opened;
use super::super::{tail, upstream};
use crate::cli::CheckArgs;

/// Carries faulty samples through `tail`, or every sample.
pub(super) struct Classes<'a> {
    arguments: &'a CheckArgs,
    opened: &'a Opened,
    state: State,
}

enum State {
    /// With no sample yet; the library, where one is loaded already.
    Waiting,
    Loaded(Box<Tail<'static>>),
    /// Not asked for, not needed, or not possible, and why.
    Without(Option<String>),
}

impl<'a> Classes<'a> {
    pub(super) fn new(arguments: &'a CheckArgs, opened: &'a Opened) -> Self {
        let outputs = &opened.part.outputs;
        let has_logits = outputs.iter().any(|output| output.name == dataset::LOGITS);
        let state = if arguments.no_tail || has_logits {
            State::Without(None)
        } else {
            State::Waiting
        };
        Self {
            arguments,
            opened,
            state,
        }
    }

    /// Takes what the check tells; what cannot be carried on is said once, and the check goes on.
    pub(super) fn take(&mut self, event: &Event<'_>, library: Option<&Library>) {
        let is_wanted = match event {
            Event::Faulty(..) => true,
            Event::Outputs(..) => self.arguments.classify_all,
            Event::Done(_) => false,
        };
        if !is_wanted {
            return;
        }
        if let Err(error) = self.carry(event, library) {
            self.give_up(&error);
        }
    }

    /// Adds what is known of classes to the result.
    pub(super) fn finish(self, result: &mut CheckResult) {
        let carried = match self.state {
            State::Waiting => return,
            State::Without(reason) => {
                result.classes_unknown = reason;
                return;
            }
            State::Loaded(tail) => tail.finish(),
        };
        match carried {
            Ok(Carried { changes, top1 }) => {
                result.add_classes(changes);
                result.top1 = top1;
            }
            Err(error) => result.classes_unknown = Some(error.to_string()),
        }
    }

    fn carry(&mut self, event: &Event<'_>, library: Option<&Library>) -> Result<()> {
        if matches!(self.state, State::Waiting) {
            self.state = State::Loaded(Box::new(self.load(library)?));
        }
        let State::Loaded(tail) = &mut self.state else {
            return Ok(());
        };
        match event {
            Event::Faulty(faulty, tensors) => {
                tail.add_faulty(faulty.sample, &tensors.recorded, &tensors.actual)?;
            }
            Event::Outputs(samples, outputs) => {
                let info = &self.opened.recordings.info;
                tail.add_all(samples, &outputs[0], info)?;
            }
            Event::Done(_) => {}
        }
        Ok(())
    }

    fn give_up(&mut self, error: &anyhow::Error) {
        let reason = format!("{error:#}");
        note!("warning: no classes of faulty samples: {reason}");
        self.state = State::Without(Some(reason));
    }

    fn load(&self, library: Option<&Library>) -> Result<Tail<'static>> {
        let target = &self.arguments.target;
        let started;
        let library = match library {
            Some(library) => library,
            None => {
                started = Library::start(&locate(target.runtime.as_deref())?)?;
                &started
            }
        };
        tail::load(self.opened, library, &upstream::options(target))
    }
}
