//! How elements from elsewhere are stored, and their way to float32.

use std::fmt;

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A format of numbers with a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FloatType {
    /// IEEE 754 binary32.
    Float32,
    /// IEEE 754 binary16.
    Float16,
    /// The upper half of a binary32.
    Bfloat16,
    /// IEEE 754 binary64.
    Float64,
}

/// How one element is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ElementType {
    pub float: FloatType,
    pub big_endian: bool,
}

impl FloatType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Float32, Self::Float16, Self::Bfloat16, Self::Float64];

    /// As flags and messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Float64 => "float64",
        }
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Float16 | Self::Bfloat16 => 2,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }
}

impl std::str::FromStr for FloatType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|float| float.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("expected one of {names}")
        })
    }
}

impl ElementType {
    /// What every output is compared as: nothing is converted.
    pub const FLOAT32: Self = Self::little(FloatType::Float32);

    /// Little endian.
    pub const fn little(float: FloatType) -> Self {
        Self {
            float,
            big_endian: false,
        }
    }

    /// By NumPy's type string, such as `>f4`. Sixteen bits without a meaning of their own, `<u2`
    /// and `|V2`, are how bfloat16 is kept by those who have no such type; `sixteen` says what
    /// else they are.
    pub fn of_descr(descr: &str, sixteen: Option<FloatType>) -> Option<Self> {
        let (order, kind) = descr.split_at_checked(1)?;
        let float = match kind {
            "f2" => FloatType::Float16,
            "f4" => FloatType::Float32,
            "f8" => FloatType::Float64,
            "u2" | "V2" => sixteen.unwrap_or(FloatType::Bfloat16),
            _ => return None,
        };
        let big_endian = match order {
            ">" => true,
            "<" | "|" | "=" => false,
            _ => return None,
        };
        Some(Self { float, big_endian })
    }

    /// Widens or rounds elements to float32: exact but for float64, which is rounded to the
    /// nearest.
    ///
    /// # Panics
    /// Unless there are as many bytes as the elements have.
    pub fn decode(self, bytes: &mut [u8], into: &mut [f32]) {
        let size = self.float.size();
        assert_eq!(bytes.len(), size * into.len());
        if self.big_endian {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        match self.float {
            FloatType::Float32 => {
                for (value, word) in into.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f32::from_le_bytes(*word);
                }
            }
            FloatType::Float64 => {
                for (value, word) in into.iter_mut().zip(bytes.as_chunks().0) {
                    *value = f64::from_le_bytes(*word) as f32;
                }
            }
            FloatType::Float16 => {
                let words = bytes.as_chunks().0.iter();
                let halves: Vec<f16> = words.map(|word| f16::from_le_bytes(*word)).collect();
                halves.convert_to_f32_slice(into);
            }
            FloatType::Bfloat16 => {
                for (value, word) in into.iter_mut().zip(bytes.as_chunks().0) {
                    *value = bf16::from_le_bytes(*word).to_f32();
                }
            }
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.float.name())?;
        if self.big_endian {
            f.write_str(", big endian")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(element: ElementType, bytes: &[u8]) -> Vec<f32> {
        let mut values = vec![0.0; bytes.len() / element.float.size()];
        element.decode(&mut bytes.to_vec(), &mut values);
        values
    }

    #[test]
    fn every_type_and_byte_order_gives_the_same_number() {
        let written = [
            ("<f4", (-1.5f32).to_le_bytes().to_vec()),
            (">f4", (-1.5f32).to_be_bytes().to_vec()),
            ("<f8", (-1.5f64).to_le_bytes().to_vec()),
            (">f8", (-1.5f64).to_be_bytes().to_vec()),
            ("<f2", f16::from_f32(-1.5).to_le_bytes().to_vec()),
            (">f2", f16::from_f32(-1.5).to_be_bytes().to_vec()),
            ("<u2", bf16::from_f32(-1.5).to_le_bytes().to_vec()),
            ("|V2", bf16::from_f32(-1.5).to_le_bytes().to_vec()),
        ];
        for (descr, bytes) in written {
            let element = ElementType::of_descr(descr, None).expect(descr);
            assert_eq!(decoded(element, &bytes), [-1.5], "{descr}");
        }
        let half = ElementType::of_descr("<u2", Some(FloatType::Float16)).expect("sixteen bits");
        assert_eq!(
            decoded(half, &f16::from_f32(0.1).to_le_bytes()),
            [0.099_975_586]
        );
        for descr in ["<i4", "|u1", "<c8", "O", "", "é"] {
            assert_eq!(ElementType::of_descr(descr, None), None, "{descr}");
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let nan = f32::from_bits(0x7fc0_1234);
        assert_eq!(
            decoded(ElementType::FLOAT32, &nan.to_le_bytes())[0].to_bits(),
            nan.to_bits()
        );
        let bytes = f16::INFINITY.to_le_bytes();
        let half = ElementType::little(FloatType::Float16);
        assert_eq!(decoded(half, &bytes), [f32::INFINITY]);
    }
}
