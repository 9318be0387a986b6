//! What runs a model: a trait of one method, so that everything else can be tested with a fake.

/// Something that computes a model's outputs.
pub trait Runtime {
    /// Runs `samples` samples; each input has theirs one after the other, and so has each output that is given back.
    fn run(&mut self, inputs: &[&[f32]], samples: usize, outputs: &mut dyn FnMut(&[&[f32]])) -> Result<(), RunError>;
}

/// The runtime failed, or gave back something else than the model's outputs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);
