//! The commands as a person sees them: results on stdout, progress on stderr.

mod data;
mod eval;
mod machine;
mod pth;
mod train;

pub(crate) use data::data;
pub(crate) use eval::eval;
pub(crate) use pth::{export, import};
pub(crate) use train::train;
