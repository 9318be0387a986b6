//! Another engine as a process: a command is given a model and a folder of inputs, and leaves a
//! folder of outputs, which is then compared as outputs from files are.

mod expect;
mod fixed;
mod given;
mod left;
mod run;
mod spec;

pub use expect::{Ends, Expect, Expected};
pub use fixed::with_fixed_batch;
pub use given::GivenModel;
pub use left::{LeftError, left};
pub use run::{CommandError, EngineSays, Finished, Job, folders, run};
pub use spec::{EngineSpec, SpecError};
