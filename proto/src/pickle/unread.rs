//! Tensors of kinds that are not read: the file says which kind, and PyTorch makes plain ones of
//! them.

use super::name::Name;
use crate::printable::printable;

/// How a tensor is kept that is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread<'a> {
    Quantized,
    Sparse,
    /// Of device `meta`: a shape without numbers.
    Meta,
    /// A view that conjugates or negates what is stored.
    Negated,
    /// Of a subclass of `torch.Tensor`.
    OwnClass,
    ManyAxes,
    /// Of a dtype without a storage class of its own, such as `float8_e4m3fn`.
    Dtype(&'a str),
    /// In a storage of a class that tells no dtype.
    StoredAs(Name<'a>),
    /// Made by another function of PyTorch.
    MadeBy(Name<'a>),
}

impl<'a> Unread<'a> {
    /// The tensor that a function of PyTorch would make, given the name that its seventh argument
    /// is (`torch/_utils.py`).
    pub(super) fn of_call(function: Name<'a>, seventh: Option<Name<'a>>) -> Option<Self> {
        if function.module != "torch._utils" {
            return None;
        }
        Some(match (function.name, seventh) {
            ("_rebuild_qtensor", _) => Self::Quantized,
            ("_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor", _) => Self::Sparse,
            ("_rebuild_meta_tensor_no_storage", _) => Self::Meta,
            ("_rebuild_tensor_v3", Some(dtype)) => Self::Dtype(dtype.name),
            ("_rebuild_wrapper_subclass", _) => Self::OwnClass,
            (
                "_rebuild_nested_tensor"
                | "_rebuild_device_tensor_from_numpy"
                | "_rebuild_device_tensor_from_cpu_tensor"
                | "_rebuild_xla_tensor",
                _,
            ) => Self::MadeBy(function),
            _ => return None,
        })
    }

    /// What it is, in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Quantized => "quantized tensor".to_owned(),
            Self::Sparse => "sparse tensor".to_owned(),
            Self::Meta => "tensor without numbers, of device `meta`".to_owned(),
            Self::Negated => "tensor that is conjugated or negated".to_owned(),
            Self::OwnClass => "tensor of a class of its own".to_owned(),
            Self::ManyAxes => "tensor of more than 8 axes".to_owned(),
            Self::Dtype(dtype) => format!("tensor of dtype {}", printable(dtype)),
            Self::StoredAs(class) => format!("tensor in a storage `{}`", class.describe()),
            Self::MadeBy(function) => format!("tensor made by `{}`", function.describe()),
        }
    }

    /// What makes a plain tensor of one called `tensor`, in Python; nothing can if its numbers are
    /// not in the file.
    pub fn made_plain(&self) -> Option<&'static str> {
        match self {
            Self::Quantized => Some("tensor.dequantize()"),
            Self::Sparse => Some("tensor.to_dense()"),
            Self::Negated => Some("tensor.resolve_conj().resolve_neg()"),
            Self::OwnClass => Some("tensor.as_subclass(torch.Tensor)"),
            Self::Dtype(_) | Self::StoredAs(_) => Some("tensor.float()"),
            Self::MadeBy(_) => Some("tensor.cpu().float()"),
            Self::Meta | Self::ManyAxes => None,
        }
    }
}
