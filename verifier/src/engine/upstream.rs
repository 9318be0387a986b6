//! The parts between a sample's pixels and another part's input, one after the other.

use ndarray::{ArrayD, ArrayView, ArrayViewD, Axis, Dimension, concatenate};

use super::float_mode;
use super::interface::{Engine, RunError};
use crate::samples::FromPixels;

/// Parts of a bundle, the first of which takes pixels.
pub struct Upstream {
    /// Each gives the one output that the next one takes.
    parts: Vec<Box<dyn Engine + Send>>,
    /// Samples in one run.
    batch_size: usize,
}

impl Upstream {
    pub fn new(parts: Vec<Box<dyn Engine + Send>>, batch_size: usize) -> Self {
        Self { parts, batch_size }
    }

    fn run(&mut self, pixels: ArrayD<f32>) -> Result<ArrayD<f32>, RunError> {
        let mut values = pixels;
        for part in &mut self.parts {
            let samples = 0..values.len_of(Axis(0));
            let outputs = part.run(&samples, &[values.view()]);
            float_mode::restore();
            let mut outputs = outputs?.into_iter();
            let output = outputs
                .next()
                .filter(|output| output.ndim() > 0 && output.len_of(Axis(0)) == samples.len());
            let output = output.ok_or_else(|| RunError("a part gave no output".to_owned()))?;
            values = output.to_owned();
        }
        Ok(values)
    }
}

impl FromPixels for Upstream {
    fn compute(&mut self, pixels: &ArrayViewD<'_, u8>) -> Result<ArrayD<f32>, String> {
        let mut computed = Vec::new();
        for pixels in pixels.axis_chunks_iter(Axis(0), self.batch_size.max(1)) {
            let values = self.run(as_floats(&pixels));
            computed.push(values.map_err(|error| error.to_string())?);
        }
        if computed.len() == 1 {
            return Ok(computed.remove(0));
        }
        let views: Vec<ArrayViewD<'_, f32>> = computed.iter().map(|values| values.view()).collect();
        concatenate(Axis(0), &views).map_err(|error| error.to_string())
    }
}

/// Every value of a byte is a float32.
fn as_floats<D: Dimension>(pixels: &ArrayView<'_, u8, D>) -> ArrayD<f32> {
    pixels.mapv(f32::from).into_dyn()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, IxDyn};

    use super::*;
    use crate::engine::fake::{Echo, Silent};

    fn pixels() -> ArrayD<u8> {
        let values = Array::from_iter(0..10u8);
        let values = values.into_shape_with_order(IxDyn(&[5, 2]));
        values.expect("ten values")
    }

    #[test]
    fn each_part_takes_what_the_one_before_gave_batch_after_batch() {
        let doubled = Echo::new(|_, output: &mut ArrayD<f32>| *output *= 2.0);
        let plus_one = Echo::new(|_, output: &mut ArrayD<f32>| *output += 1.0);
        let mut upstream = Upstream::new(vec![Box::new(doubled), Box::new(plus_one)], 2);
        let computed = upstream.compute(&pixels().view()).expect("computed");
        assert_eq!(
            computed,
            pixels().mapv(|value| 2.0 * f32::from(value) + 1.0)
        );
    }

    #[test]
    fn a_part_that_gives_nothing_is_an_error() {
        let mut upstream = Upstream::new(vec![Box::new(Silent)], 2);
        let error = upstream.compute(&pixels().view()).expect_err("no output");
        assert!(error.contains("no output"), "{error}");
    }
}
