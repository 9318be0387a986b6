//! What files of outputs do not say themselves.

use super::element_type::FloatType;

/// How files are to be read, where they do not say it themselves.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The elements of raw files, and of 16-bit words without a type.
    pub dtype: Option<FloatType>,
    /// Axes to reorder, as `numpy.transpose` takes them; the samples stay the first.
    pub transpose: Option<Vec<usize>>,
    /// The batch size of whoever computed them, where the last batch may be padded.
    pub batch_size: Option<usize>,
}
