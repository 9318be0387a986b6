//! libtorch's failures as errors: `tch` reports them, out of memory for one, as panics.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// What libtorch said when it failed.
#[derive(Debug, thiserror::Error)]
#[error("libtorch failed: {message}")]
pub struct TorchFailure {
    message: String,
}

impl TorchFailure {
    /// Whether it asked for more memory than there is.
    pub fn is_out_of_memory(&self) -> bool {
        self.message.contains("memory") || self.message.contains("alloc")
    }
}

/// Runs something that calls libtorch. A panic that is libtorch's becomes an error; any other goes
/// on as a panic, since it is a mistake in this program.
pub fn catch<T>(run: impl FnOnce() -> T) -> Result<T, TorchFailure> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if torch_message(info.payload()).is_none() {
            usual(info);
        }
    }));
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    drop(panic::take_hook());
    result.map_err(|payload| match torch_message(payload.as_ref()) {
        Some(message) => TorchFailure { message },
        None => panic::resume_unwind(payload),
    })
}

/// The first line of libtorch's message in a panic of `tch`, which unwraps a `TchError::Torch`.
fn torch_message(payload: &(dyn Any + Send)) -> Option<String> {
    let text = payload.downcast_ref::<String>()?;
    let (_, message) = text.split_once("Torch(\"")?;
    Some(
        message
            .split("\\n")
            .next()
            .unwrap_or_default()
            .trim_end_matches("\")")
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_libtorch_is_an_error_with_its_first_line() {
        let float = (tch::Kind::Float, tch::Device::Cpu);
        let result =
            catch(|| tch::Tensor::zeros([2, 3], float).matmul(&tch::Tensor::zeros([2, 3], float)));
        let message = result.expect_err("shapes do not match").to_string();
        assert!(
            message.starts_with("libtorch failed: mat1 and mat2 shapes cannot be multiplied"),
            "{message}"
        );
        assert!(catch(|| 1).is_ok());
    }
}
