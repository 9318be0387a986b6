//! Graphs of the tiny bundle, read, cut and changed.

mod cut;
mod deployment;
mod parts;
mod read;
mod rewrite;
