//! What runs a submodel: a trait of one method, so that everything else can be tested with a fake.

/// Something that computes a submodel's output.
pub trait Runtime {
    /// Runs `samples` samples, whose inputs follow each other in `input`; `output` is given theirs, in the same order.
    fn run(&mut self, input: &[f32], samples: usize, output: &mut dyn FnMut(&[f32])) -> Result<(), RunError>;
}

/// The runtime failed, or gave back something else than the submodel's output.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);
