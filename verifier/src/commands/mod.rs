//! The commands as a person sees them: results on stdout, progress on stderr.

pub(crate) mod bench;
pub(crate) mod calibrate;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod devices;
mod hints;
pub(crate) mod inspect;
mod inspect_arrays;
mod prepare;
mod recorded;
mod source;

pub(crate) use recorded::remove_reports;
