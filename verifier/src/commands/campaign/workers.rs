//! Threads that run batches at the same time, each with sessions of its own.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use verifier::campaign::effect::Effects;
use verifier::campaign::runner::Runner;
use verifier::campaign::study::Study;

/// The threads, as the one sees them that gives them batches.
pub(super) struct Workers {
    threads: usize,
    jobs: Sender<Job>,
    /// The study of the batches under way, and how many faults its rounds have.
    study: Option<Arc<Study>>,
    /// Batches under way, in the order in which they were given.
    under_way: VecDeque<(Range<u64>, Receiver<Ran>)>,
    /// Nobody waits for what is not begun.
    is_over: Arc<AtomicBool>,
}

struct Job {
    study: Arc<Study>,
    numbers: Range<u64>,
    reply: Sender<Ran>,
}

type Ran = Result<Vec<Effects>>;

/// Starts so many threads, each of which makes a runner when it gets its first batch, for as long
/// as `body` runs. None of them begins a batch after `stop`.
pub(super) fn side_by_side<'a, T>(
    threads: usize,
    stop: &AtomicBool,
    make: &(impl Fn() -> Result<Runner<'a>> + Sync),
    body: impl FnOnce(&mut Workers) -> Result<T>,
) -> Result<T> {
    let (jobs, waiting) = channel();
    let waiting = Mutex::new(waiting);
    let is_over = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&waiting, [stop, &is_over], make));
        }
        let mut workers = Workers {
            threads,
            jobs,
            study: None,
            under_way: VecDeque::new(),
            is_over: is_over.clone(),
        };
        body(&mut workers)
    })
}

fn work<'a>(
    waiting: &Mutex<Receiver<Job>>,
    ends: [&AtomicBool; 2],
    make: &impl Fn() -> Result<Runner<'a>>,
) {
    let mut runner = None;
    loop {
        let job = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        match job {
            // Dropped: whoever waits for it is told so.
            Ok(_) if ends.iter().any(|end| end.load(Ordering::Relaxed)) => {}
            Ok(job) => {
                let ran = run(&mut runner, make, &job);
                // Nobody waits for it after an error of another batch.
                let _ = job.reply.send(ran);
            }
            Err(_) => return,
        }
    }
}

fn run<'a>(
    runner: &mut Option<Runner<'a>>,
    make: &impl Fn() -> Result<Runner<'a>>,
    job: &Job,
) -> Ran {
    let runner = match runner {
        Some(runner) => runner,
        none => none.insert(make()?),
    };
    Ok(runner.run(&job.study, job.numbers.clone())?)
}

impl Workers {
    /// Whether each thread has a batch, and one waits.
    pub(super) fn have_enough(&self) -> bool {
        self.under_way.len() > self.threads
    }

    /// Gives them a batch, unless they have it.
    pub(super) fn give(&mut self, study: &Study, numbers: Range<u64>) {
        if self.under_way.iter().any(|(given, _)| *given == numbers) {
            return;
        }
        let is_of_round = |own: &&Arc<Study>| own.plan.faults() == study.plan.faults();
        let study = match self.study.as_ref().filter(is_of_round) {
            Some(own) => own.clone(),
            None => self.study.insert(Arc::new(study.clone())).clone(),
        };
        let (reply, ran) = channel();
        let job = Job {
            study,
            numbers: numbers.clone(),
            reply,
        };
        // If all threads have ended, so has the reply's sender.
        let _ = self.jobs.send(job);
        self.under_way.push_back((numbers, ran));
    }

    /// Waits for the batch that was given first; its first number, and what its faults did, `None`
    /// if nobody began it.
    pub(super) fn take_first(&mut self) -> Option<(u64, Option<Ran>)> {
        let (numbers, ran) = self.under_way.pop_front()?;
        Some((numbers.start, ran.recv().ok()))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
