//! Threads that the system refuses are known before the work: a library that is refused one may
//! wait for ever, or end the process.

use std::num::NonZero;
use std::sync::Mutex;
use std::{io, thread};

/// Starts as many threads at once as a library will want, and ends them; without a number one a
/// core.
pub fn check_threads(wanted: Option<usize>) -> io::Result<()> {
    let wanted = threads_to_use(wanted);
    let gate = Mutex::new(());
    let refused = thread::scope(|scope| {
        // They wait here until all have been started.
        let closed = gate.lock();
        let wait = || drop(gate.lock());
        let mut started = (0..wanted).map(|_| thread::Builder::new().spawn_scoped(scope, wait));
        let refused = started.find_map(Result::err);
        drop(closed);
        refused
    });
    match refused {
        None => Ok(()),
        Some(error) => Err(io::Error::new(
            error.kind(),
            format!(
                "{wanted} threads are needed: {error}\n\
                 hint: `ulimit -u` limits processes and threads"
            ),
        )),
    }
}

/// As many as wanted, else one for each core.
pub fn threads_to_use(wanted: Option<usize>) -> usize {
    wanted.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get))
}
