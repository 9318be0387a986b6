//! The commands as a person sees them: results on stdout, progress on stderr.

pub(crate) mod bench;
mod bench_engine;
pub(crate) mod calibrate;
pub(crate) mod campaign;
pub(crate) mod check;
mod command_engine;
pub(crate) mod compare;
pub(crate) mod devices;
mod file_kind;
mod hints;
pub(crate) mod inspect;
mod inspect_arrays;
mod inspect_checkpoint;
mod model;
mod opened;
mod pieces;
mod prepare;
pub(crate) mod record;
mod recorded;
mod source;
mod tail;
mod tolerance;
mod upstream;
pub(crate) mod watch;
mod weights;

pub(crate) use recorded::remove_reports;
