//! Which images another program's recordings are of, by what the first attention was given.

use proto::manifest::dataset;
use tch::{Device, Kind, Tensor};
use trainer::cifar10::Split;
use trainer::evaluate::batches;
use trainer::preprocess::Preprocessor;
use trainer::vit::Vit;

use super::elements::elements;
use super::error::{GoldenError, RecordedError};
use super::recorded::RecordedGolden;

/// How far the means of two recordings of one image lie apart at most. Devices differ by 1e-6 in
/// them, images by hundredths.
const SAME_IMAGE: f32 = 1e-3;

/// The positions in the split of the images whose inputs of the first attention are the first
/// `samples` recorded ones. After each batch of the split `go_on` is told the images done, and ends
/// the search by returning false.
///
/// Compared are the means over all tokens, `[dim]`: the means of two images are never alike.
pub fn find_images(
    vit: &Vit,
    split: &Split,
    recorded: &RecordedGolden,
    samples: usize,
    batch_size: usize,
    mut go_on: impl FnMut(usize) -> bool,
) -> Result<Vec<usize>, GoldenError> {
    let _no_grad = tch::no_grad_guard();
    let mut means = Vec::new();
    for range in batches(samples, batch_size) {
        let rows = recorded.input.read(range, dataset::SUBMODEL_INPUT)?;
        means.push(mean_of_tokens(&rows));
    }
    let means = Tensor::cat(&means, 0); // [samples, dim]
    let mut nearest = vec![(f32::INFINITY, 0); samples];
    let preprocessor = Preprocessor::new(vit.config().image_size);
    for range in batches(split.len(), batch_size) {
        let indices: Vec<usize> = range.collect();
        let images = preprocessor.batch(split, &indices).to_device(vit.device());
        let inputs = mean_of_tokens(&vit.first_attention_input(&images)); // [batch, dim]
        // [samples, batch]
        let distances = Tensor::cdist(&means, &inputs, f64::INFINITY, None::<i64>);
        let (distances, rows) = distances.min_dim(1, false); // [samples]
        let found = elements::<f32>(&distances)
            .into_iter()
            .zip(elements::<i64>(&rows));
        for (nearest, (distance, row)) in nearest.iter_mut().zip(found) {
            if distance < nearest.0 {
                *nearest = (distance, indices[row as usize]);
            }
        }
        if !go_on(indices.len()) {
            return Err(GoldenError::Interrupted);
        }
    }
    let far = nearest
        .iter()
        .position(|(distance, _)| *distance > SAME_IMAGE);
    if let Some(sample) = far {
        let (distance, image) = nearest[sample];
        return Err(RecordedError::NoImage {
            path: recorded.input.path().to_owned(),
            sample,
            images: split.len(),
            nearest: image,
            distance: distance.into(),
        }
        .into());
    }
    Ok(nearest.into_iter().map(|(_, image)| image).collect())
}

/// `[batch, tokens, dim]` to `[batch, dim]`, on the CPU.
fn mean_of_tokens(inputs: &Tensor) -> Tensor {
    let means = inputs.mean_dim([1i64].as_slice(), false, Kind::Float);
    means.to_device(Device::Cpu)
}
