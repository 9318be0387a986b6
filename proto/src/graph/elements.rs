//! The constants of a graph under construction, whose elements need not be in memory together.

use std::borrow::Cow;
use std::fmt;

use crate::onnx::TensorProto;

/// The elements of a constant: in memory, borrowed, or made when their turn to be written comes.
pub trait Elements: fmt::Debug + Send {
    fn byte_len(&self) -> usize;

    /// Little-endian, in C order; [`Self::byte_len`] of them.
    fn bytes(&self) -> Cow<'_, [u8]>;
}

/// A tensor that is part of the model.
#[derive(Debug)]
pub struct Constant<'a> {
    /// Its name, dtype and shape, without its elements.
    pub header: TensorProto,
    pub elements: Box<dyn Elements + 'a>,
}

impl Constant<'_> {
    /// The tensor with its elements.
    pub fn to_tensor(&self) -> TensorProto {
        TensorProto {
            raw_data: Some(self.elements.bytes().into_owned()),
            ..self.header.clone()
        }
    }
}

impl Elements for Vec<u8> {
    fn byte_len(&self) -> usize {
        self.len()
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        self.as_slice().into()
    }
}

impl Elements for &[u8] {
    fn byte_len(&self) -> usize {
        self.len()
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        (*self).into()
    }
}
