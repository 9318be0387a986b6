//! What runs a model: a trait of one method, so that everything else can be tested with a fake.

/// Something that computes a model's outputs.
pub trait Runtime {
    /// Runs `samples` samples; each input has theirs one after the other, and so has each output
    /// that is given back.
    fn run(
        &mut self,
        inputs: &[&[f32]],
        samples: usize,
        outputs: &mut dyn FnMut(&[&[f32]]),
    ) -> Result<(), RunError>;
}

/// The runtime failed, or gave back something else than the model's outputs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RunError(pub String);

/// Gives back its input, changed by the call's number.
#[cfg(test)]
pub(crate) struct Echo<F: FnMut(usize, &mut Vec<f32>)>(pub(crate) F, pub(crate) usize);

#[cfg(test)]
impl<F: FnMut(usize, &mut Vec<f32>)> Runtime for Echo<F> {
    fn run(
        &mut self,
        inputs: &[&[f32]],
        _: usize,
        outputs: &mut dyn FnMut(&[&[f32]]),
    ) -> Result<(), RunError> {
        let mut result = inputs[0].to_vec();
        (self.0)(self.1, &mut result);
        self.1 += 1;
        outputs(&[&result]);
        Ok(())
    }
}
