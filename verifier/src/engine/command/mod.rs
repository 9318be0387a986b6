//! Another engine as a process: a command is given a model and a folder of inputs, and leaves a
//! folder of outputs, which is then compared as outputs from files are.

mod fixed;
mod run;
mod spec;

pub use fixed::with_fixed_batch;
pub use run::{CommandError, EngineSays, Finished, Job, folders, run};
pub use spec::{EngineSpec, Expect, Expected, SpecError};
