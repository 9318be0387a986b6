//! Element types, as NumPy and as Rust name them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The element types of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE 754 binary32, `<f4`.
    Float32,
    /// IEEE 754 binary64, `<f8`.
    Float64,
    /// Two's complement 64-bit integer, `<i8`.
    Int64,
    /// Unsigned byte, `|u1`.
    Uint8,
}

impl Dtype {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Float32, Self::Float64, Self::Int64, Self::Uint8];

    /// NumPy's type string.
    pub fn descr(self) -> &'static str {
        match self {
            Self::Float32 => "<f4",
            Self::Float64 => "<f8",
            Self::Int64 => "<i8",
            Self::Uint8 => "|u1",
        }
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float64 | Self::Int64 => 8,
            Self::Uint8 => 1,
        }
    }

    /// The name used in manifests and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
        }
    }
}

/// A Rust type that is the element of an array.
pub trait Element: bytemuck::Pod {
    /// Its type in the file.
    const DTYPE: Dtype;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::Float32;
}

impl Element for f64 {
    const DTYPE: Dtype = Dtype::Float64;
}

impl Element for i64 {
    const DTYPE: Dtype = Dtype::Int64;
}

impl Element for u8 {
    const DTYPE: Dtype = Dtype::Uint8;
}
