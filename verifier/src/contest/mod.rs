//! Several runtimes and devices against each other: a child process each, so that a crash or a hang
//! is a result and not the end, and the outputs that they kept compared pair by pair.

pub mod child;
pub mod pair;
pub mod report;
