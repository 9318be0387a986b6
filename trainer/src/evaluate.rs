//! One pass over a split without dropout: accuracy and loss.

use std::ops::Range;

use tch::{Kind, Reduction, Tensor};

use crate::cifar10::Split;
use crate::preprocess::Preprocessor;
use crate::vit::Vit;

/// What a network does on a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Images.
    pub samples: usize,
    /// Of these, correctly classified.
    pub correct: usize,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Images and correct classifications by true class.
    pub per_class: [ClassCount; 10],
}

/// Images of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassCount {
    /// Images.
    pub samples: usize,
    /// Of these, correctly classified.
    pub correct: usize,
}

impl Evaluation {
    /// Share of correct classifications, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples as f64
    }
}

/// Batches of consecutive samples, the last one possibly short.
pub fn batches(samples: usize, batch_size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..samples).step_by(batch_size).map(move |start| start..(start + batch_size).min(samples))
}

/// Classifies every image of a split; `progress` is told the images as they are done.
pub fn evaluate(vit: &Vit, split: &Split, batch_size: usize, mut progress: impl FnMut(usize)) -> Evaluation {
    let _no_grad = tch::no_grad_guard();
    let preprocessor = Preprocessor::new(vit.config().image_size);
    let mut result = Evaluation { samples: split.len(), correct: 0, loss: 0.0, per_class: Default::default() };
    for range in batches(split.len(), batch_size) {
        let indices: Vec<usize> = range.collect();
        let logits = vit.forward(&preprocessor.batch(split, &indices).to_device(vit.device()));
        let labels = labels(split, &indices).to_device(vit.device());
        let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Sum, -100, 0.0);
        result.loss += loss.double_value(&[]) / split.len() as f64;
        let predictions: Vec<i64> =
            Vec::try_from(logits.argmax(-1, false).to_kind(Kind::Int64)).expect("a one-dimensional int64 tensor");
        for (&index, prediction) in indices.iter().zip(predictions) {
            let label = usize::from(split.label(index));
            let is_correct = prediction == label as i64;
            result.correct += usize::from(is_correct);
            result.per_class[label].samples += 1;
            result.per_class[label].correct += usize::from(is_correct);
        }
        progress(indices.len());
    }
    result
}

/// The labels of some images, `[batch]` int64, on the CPU.
pub fn labels(split: &Split, indices: &[usize]) -> Tensor {
    let labels: Vec<i64> = indices.iter().map(|&index| i64::from(split.label(index))).collect();
    Tensor::from_slice(&labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_every_sample_once() {
        assert_eq!(batches(7, 3).collect::<Vec<_>>(), [0..3, 3..6, 6..7]);
        assert_eq!(batches(0, 3).count(), 0);
    }
}
