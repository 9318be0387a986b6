//! One pass over a split without dropout: accuracy, loss, confidence, and what was taken for what.

use std::ops::Range;

use tch::{Kind, Reduction, Tensor};

use crate::images::Images;
use crate::preprocess::Augmentation;
use crate::vit::Vit;

const CLASSES: usize = 10;

/// What a network does on a split.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    pub samples: usize,
    /// Of these, correctly classified.
    pub correct: usize,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Mean confidence: p(best class) − p(second best class).
    pub confidence: f64,
    /// The same over the correctly classified images alone; 0 without any.
    pub confidence_when_correct: f64,
    /// Images by true class, then by the class they were taken for.
    pub confusion: [[usize; CLASSES]; CLASSES],
}

impl Evaluation {
    /// Share of correct classifications, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples as f64
    }

    /// Share of correct classifications among the images of one class; `None` without any.
    pub fn class_accuracy(&self, class: usize) -> Option<f64> {
        let images: usize = self.confusion[class].iter().sum();
        (images > 0).then(|| self.confusion[class][class] as f64 / images as f64)
    }
}

/// Batches of consecutive samples, the last one possibly short.
pub fn batches(samples: usize, batch_size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..samples)
        .step_by(batch_size)
        .map(move |start| start..(start + batch_size).min(samples))
}

/// Classifies every image of a split. `go_on` is told the images as they are done; when it says no,
/// there is no result.
pub fn evaluate(
    vit: &Vit,
    images: &Images<'_>,
    batch_size: usize,
    mut go_on: impl FnMut(usize) -> bool,
) -> Option<Evaluation> {
    let _no_grad = tch::no_grad_guard();
    let split = images.split();
    let mut result = Evaluation {
        samples: split.len(),
        ..Evaluation::default()
    };
    for range in batches(split.len(), batch_size) {
        let indices: Vec<usize> = range.collect();
        let (batch, labels) = images.batch(&indices, |_| Augmentation::NONE);
        let logits = vit.forward(&batch);
        let loss = logits.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Sum, -100, 0.0);
        result.loss += loss.double_value(&[]) / split.len() as f64;
        let predictions = numbers::<i64>(&logits.argmax(-1, false));
        let (best, _) = logits.softmax(-1, None).topk(2, -1, true, true); // [batch, 2]
        let confidences =
            numbers::<f64>(&(best.select(1, 0) - best.select(1, 1)).to_kind(Kind::Double));
        for ((&index, prediction), confidence) in indices.iter().zip(predictions).zip(confidences) {
            let label = usize::from(split.label(index));
            let is_correct = prediction == label as i64;
            result.correct += usize::from(is_correct);
            result.confidence += confidence;
            result.confidence_when_correct += if is_correct { confidence } else { 0.0 };
            result.confusion[label][prediction as usize] += 1;
        }
        if !go_on(indices.len()) {
            return None;
        }
    }
    result.confidence /= result.samples.max(1) as f64;
    result.confidence_when_correct /= result.correct.max(1) as f64;
    Some(result)
}

/// The elements of a one-dimensional tensor.
fn numbers<T: tch::kind::Element>(tensor: &Tensor) -> Vec<T>
where
    Vec<T>: for<'a> TryFrom<&'a Tensor, Error = tch::TchError>,
{
    Vec::try_from(tensor).expect("a one-dimensional tensor of this kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_every_sample_once() {
        assert_eq!(batches(7, 3).collect::<Vec<_>>(), [0..3, 3..6, 6..7]);
        assert_eq!(batches(0, 3).count(), 0);
    }

    #[test]
    fn a_class_without_images_has_no_accuracy() {
        let mut result = Evaluation {
            samples: 4,
            correct: 3,
            ..Evaluation::default()
        };
        (result.confusion[0][0], result.confusion[0][9]) = (3, 1);
        assert_eq!(
            (result.class_accuracy(0), result.class_accuracy(1)),
            (Some(0.75), None)
        );
    }
}
