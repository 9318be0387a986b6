//! What the rules about the sources are checked with: the text of a file without what is no code,
//! which file uses which other, and the circles that this makes.

mod circles;
mod modules;
mod scan;
#[cfg(test)]
mod tests;
mod text;

pub use circles::{circles, entry_of_src, uses_against_order};
pub use modules::{Uses, uses, uses_in};
pub use text::{Function, code_alone, functions, rust_files, without_tests, words};
