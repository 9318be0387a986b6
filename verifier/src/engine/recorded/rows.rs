//! How many samples are in each piece of an output, and whether these are the samples that were
//! asked for.

use std::ops::Range;

use super::error::RecordedError;
use super::piece::Piece;
use super::reading::Reading;
use crate::samples::Recording;

/// Samples in each piece of an output.
pub(super) fn rows(
    pieces: &[Piece],
    golden: &Recording,
    reading: &Reading,
    first: usize,
) -> Result<Vec<usize>, RecordedError> {
    let sample_elements = golden.sample_elements();
    let mut counts = Vec::with_capacity(pieces.len());
    let mut sample = first;
    for piece in pieces {
        let elements = piece.layout.elements;
        let expected = expected_shape(golden, reading.transpose.as_deref())?;
        let rows = match &piece.layout.shape {
            None if elements.is_multiple_of(sample_elements) => elements / sample_elements,
            None => {
                return Err(RecordedError::Elements {
                    source_name: piece.source_name.clone(),
                    output: golden.name().to_owned(),
                    elements,
                    sample_elements,
                });
            }
            Some(shape) if shape.get(1..) == Some(&expected[..]) => shape[0],
            // A file a sample, without an axis of samples.
            Some(shape) if pieces.len() > 1 && *shape == expected => 1,
            Some(shape) => {
                return Err(RecordedError::Shape {
                    source_name: piece.source_name.clone(),
                    output: golden.name().to_owned(),
                    found: shape_text(shape, reading),
                    expected: [&[shape.first().copied().unwrap_or(1)], &expected[..]].concat(),
                    first: sample,
                });
            }
        };
        sample += rows;
        counts.push(rows);
    }
    Ok(counts)
}

fn shape_text(shape: &[usize], reading: &Reading) -> String {
    match &reading.transpose {
        None => format!("{shape:?}"),
        Some(order) => format!("{shape:?} (to be reordered by {order:?})"),
    }
}

/// Axes of one sample as they are stored.
fn expected_shape(
    golden: &Recording,
    transpose: Option<&[usize]>,
) -> Result<Vec<usize>, RecordedError> {
    let Some(order) = transpose else {
        return Ok(golden.sample_shape().to_vec());
    };
    let axes = golden.shape().len();
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if order.first() != Some(&0) || !sorted.into_iter().eq(0..axes) {
        let order: Vec<String> = order.iter().map(usize::to_string).collect();
        return Err(RecordedError::Transpose {
            given: order.join(","),
            output: golden.name().to_owned(),
            axes,
        });
    }
    Ok(stored_shape(golden.shape(), order)[1..].to_vec())
}

/// Refuses other numbers of samples; gives the samples that a last, padded batch has too many.
pub(super) fn check_count(
    rows: &[usize],
    golden: &Recording,
    reading: &Reading,
    samples: &Range<usize>,
) -> Result<usize, RecordedError> {
    let (found, expected) = (rows.iter().sum::<usize>(), samples.len());
    let batch_size = match rows {
        [_] => reading.batch_size,
        // Batches tell their size, if all are of one.
        [first, others @ ..] if others.iter().all(|rows| rows == first) => Some(*first),
        _ => None,
    };
    let padded = batch_size.map(|size| expected.div_ceil(size.max(1)) * size);
    if found == expected || padded == Some(found) {
        return Ok(found - expected);
    }
    let files = match rows.len() {
        1 => "1 file".to_owned(),
        files => format!("{files} files"),
    };
    Err(RecordedError::Samples {
        output: golden.name().to_owned(),
        found,
        files,
        expected,
        first: samples.start,
        last: samples.end - 1,
    })
}

/// The shape of which `numpy.transpose` makes another one.
pub(super) fn stored_shape(shape: &[usize], order: &[usize]) -> Vec<usize> {
    let mut stored = vec![0; shape.len()];
    for (&axis, &length) in order.iter().zip(shape) {
        stored[axis] = length;
    }
    stored
}
