//! The element types of NumPy, and their values as text.

use super::literal::Literal;
use super::time::{date, span};

/// An element type of NumPy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnyElement(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Plain {
        /// NumPy's type string, such as `<f4`.
        descr: String,
        is_big: bool,
        /// NumPy's letter: `f`, `i`, `u`, `b`, `c`, `S`, `U`, `V`, `M`, `m` or `O`.
        kind: u8,
        /// Bytes.
        size: usize,
    },
    /// Fields: name, type, and the shape of an array of it.
    Record(Vec<(String, AnyElement, Vec<usize>)>),
}

impl AnyElement {
    pub(super) fn of(descr: &Literal) -> Option<Self> {
        match descr {
            Literal::Text(descr) => Self::plain(descr),
            Literal::Items(fields) => {
                let fields: Option<Vec<_>> = fields.iter().map(field).collect();
                Some(Self(Form::Record(fields?)))
            }
            _ => None,
        }
    }

    fn plain(descr: &str) -> Option<Self> {
        let (order, rest) = descr.split_at_checked(1)?;
        let (kind, size) = rest.split_at_checked(1)?;
        let kind = *kind.as_bytes().first()?;
        // Units of a time stand in brackets after its size.
        let size: usize = match kind {
            b'O' => 0,
            _ => size.split('[').next()?.parse().ok()?,
        };
        let size = match kind {
            b'U' => size.checked_mul(4)?,
            _ => size,
        };
        let is_known = match kind {
            b'f' => matches!(size, 2 | 4 | 8 | 12 | 16),
            b'i' | b'u' => matches!(size, 1 | 2 | 4 | 8),
            b'b' => size == 1,
            b'c' => matches!(size, 8 | 16 | 24 | 32),
            b'M' | b'm' => size == 8,
            b'S' | b'a' | b'U' | b'V' | b'O' => true,
            _ => false,
        };
        let is_order = matches!(order, "<" | ">" | "|" | "=");
        (is_known && is_order).then(|| {
            Self(Form::Plain {
                descr: descr.to_owned(),
                is_big: order == ">",
                kind,
                size,
            })
        })
    }

    /// Bytes of one element; none of Python's objects, which are a pickle.
    pub fn size(&self) -> Option<usize> {
        match &self.0 {
            Form::Plain { kind: b'O', .. } => None,
            Form::Plain { size, .. } => Some(*size),
            Form::Record(fields) => fields.iter().try_fold(0, |sum: usize, field| {
                let (_, element, shape) = field;
                let count = shape
                    .iter()
                    .try_fold(1, |count: usize, &axis| count.checked_mul(axis))?;
                sum.checked_add(element.size()?.checked_mul(count)?)
            }),
        }
    }

    /// NumPy's type string of a plain type.
    pub fn descr(&self) -> Option<&str> {
        match &self.0 {
            Form::Plain { descr, .. } => Some(descr),
            Form::Record(_) => None,
        }
    }

    /// Whether it is NumPy's `bool`.
    pub fn is_bool(&self) -> bool {
        matches!(self.0, Form::Plain { kind: b'b', .. })
    }

    /// Whether it is a floating-point number of one part.
    pub fn is_float(&self) -> bool {
        matches!(self.0, Form::Plain { kind: b'f', .. })
    }

    /// What a person calls it.
    pub fn name(&self) -> String {
        let (is_big, kind, size) = match &self.0 {
            Form::Plain {
                is_big, kind, size, ..
            } => (*is_big, *kind, *size),
            Form::Record(fields) => {
                let fields = fields.iter().map(|(name, element, shape)| match shape[..] {
                    [] => format!("{name} ({})", element.name()),
                    _ => format!("{name} ({} {shape:?})", element.name()),
                });
                return format!("record of {}", fields.collect::<Vec<_>>().join(", "));
            }
        };
        let name = match kind {
            b'f' => format!("float{}", 8 * size),
            b'i' => format!("int{}", 8 * size),
            b'u' => format!("uint{}", 8 * size),
            b'c' => format!("complex{}", 8 * size),
            b'b' => "bool".to_owned(),
            b'S' | b'a' => format!("{size} bytes of text"),
            b'U' => format!("{} characters", size / 4),
            b'M' => "datetime64".to_owned(),
            b'm' => "timedelta64".to_owned(),
            b'O' => "Python objects, as a pickle".to_owned(),
            _ => format!("{size} bytes"),
        };
        match is_big && size > 1 {
            true => format!("{name}, big endian"),
            false => name,
        }
    }

    /// An element's value; its bytes are as many as [`AnyElement::size`] says.
    pub fn describe(&self, bytes: &[u8]) -> String {
        match &self.0 {
            Form::Record(fields) => describe_fields(fields, bytes),
            Form::Plain { kind: b'b', .. } => (bytes != [0]).to_string(),
            Form::Plain { kind: b'c', .. } => {
                let (real, imaginary) = bytes.split_at(bytes.len() / 2);
                match (self.float(real), self.float(imaginary)) {
                    (Some(real), Some(imaginary)) => format!("{real} + {imaginary}i"),
                    _ => hexadecimal(bytes),
                }
            }
            Form::Plain {
                kind: b'S' | b'a', ..
            } => format!(
                "{:?}",
                String::from_utf8_lossy(bytes).trim_end_matches('\0')
            ),
            Form::Plain { kind: b'U', .. } => {
                let characters = bytes.chunks_exact(4).map(|character| {
                    let number = self.unsigned(character) as u32;
                    char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
                });
                let text: String = characters.collect();
                format!("{:?}", text.trim_end_matches('\0'))
            }
            Form::Plain {
                descr,
                kind: b'M' | b'm',
                ..
            } => {
                let count = self.unsigned(bytes) as i64;
                let unit = descr.split_once('[').map(|(_, unit)| unit);
                let unit = unit.map_or("", |unit| unit.trim_end_matches(']'));
                match self.is_date() {
                    true => date(count, unit),
                    false => span(count, unit),
                }
            }
            Form::Plain { kind: b'f', .. } => match self.float(bytes) {
                Some(value) => value.to_string(),
                None => hexadecimal(bytes),
            },
            Form::Plain { .. } => match self.whole(bytes) {
                Some(value) => value.to_string(),
                None => hexadecimal(bytes),
            },
        }
    }

    /// An element that is a whole number, also one that is kept as floating-point.
    pub fn whole(&self, bytes: &[u8]) -> Option<i128> {
        let Form::Plain { kind, size, .. } = self.0 else {
            return None;
        };
        match kind {
            b'u' => Some(self.unsigned(bytes).into()),
            b'i' | b'M' | b'm' => {
                let above = 64 - 8 * size as u32; // 1 to 8 bytes
                Some(((self.unsigned(bytes) << above) as i64 >> above).into())
            }
            b'f' => {
                let value = self.float(bytes)?;
                (value.fract() == 0.0 && value.abs() < 2f64.powi(53)).then_some(value as i128)
            }
            _ => None,
        }
    }

    fn is_date(&self) -> bool {
        matches!(self.0, Form::Plain { kind: b'M', .. })
    }

    /// Whether its bytes are another number on another machine: C's `long double`, which has 80
    /// bits on x86, 128 on ARM.
    pub fn is_long_double(&self) -> bool {
        match &self.0 {
            Form::Plain {
                kind: b'f', size, ..
            } => *size > 8,
            Form::Plain {
                kind: b'c', size, ..
            } => *size > 16,
            Form::Plain { .. } => false,
            Form::Record(fields) => fields
                .iter()
                .any(|(_, element, _)| element.is_long_double()),
        }
    }

    fn is_big(&self) -> bool {
        matches!(self.0, Form::Plain { is_big: true, .. })
    }

    /// Up to eight bytes as a number without a sign.
    fn unsigned(&self, bytes: &[u8]) -> u64 {
        let fold = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        match self.is_big() {
            true => bytes.iter().fold(0, fold),
            false => bytes.iter().rev().fold(0, fold),
        }
    }

    fn float(&self, bytes: &[u8]) -> Option<f64> {
        let bits = self.unsigned(bytes.get(..bytes.len().min(8))?);
        match bytes.len() {
            2 => Some(half(bits as u16)),
            4 => Some(shortest(f32::from_bits(bits as u32))),
            8 => Some(f64::from_bits(bits)),
            _ => None,
        }
    }
}

/// Fields are `(name, dtype)` or `(name, dtype, shape)`; a name may be a pair of title and name.
fn field(field: &Literal) -> Option<(String, AnyElement, Vec<usize>)> {
    let Literal::Items(parts) = field else {
        return None;
    };
    let (name, descr, shape) = match &parts[..] {
        [name, descr] => (name, descr, &[][..]),
        [name, descr, Literal::Items(shape)] => (name, descr, &shape[..]),
        _ => return None,
    };
    let name = match name {
        Literal::Text(name) => name,
        Literal::Items(names) => match names.last()? {
            Literal::Text(name) => name,
            _ => return None,
        },
        _ => return None,
    };
    let axis = |axis: &Literal| match axis {
        Literal::Number(axis) => usize::try_from(*axis).ok(),
        _ => None,
    };
    let shape: Option<Vec<usize>> = shape.iter().map(axis).collect();
    Some((name.clone(), AnyElement::of(descr)?, shape?))
}

fn describe_fields(fields: &[(String, AnyElement, Vec<usize>)], mut bytes: &[u8]) -> String {
    /// Values of an array in a field that are shown.
    const SHOWN: usize = 8;
    let mut texts = Vec::new();
    for (_, element, shape) in fields {
        let count = shape.iter().product::<usize>();
        let size = element.size().unwrap_or(0);
        let Some((own, rest)) = bytes.split_at_checked(size * count) else {
            break;
        };
        bytes = rest;
        let values = own.chunks_exact(size.max(1)).take(SHOWN);
        let values: Vec<String> = values.map(|value| element.describe(value)).collect();
        texts.push(match shape[..] {
            [] => values.join(", "),
            _ => format!("[{}]", values.join(", ")),
        });
    }
    format!("({})", texts.join(", "))
}

/// The number that a float32 is written as, which is a shorter one than its exact value.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(value.into())
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    match bits >> 15 {
        0 => magnitude,
        _ => -magnitude,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const SHOWN: usize = 32;
    let digits = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}"));
    let more = if bytes.len() > SHOWN { "…" } else { "" };
    format!("0x{}{more}", digits.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(descr: &str) -> AnyElement {
        AnyElement::of(&Literal::Text(descr.to_owned())).expect("a dtype")
    }

    #[test]
    fn values_are_shown_as_numpy_shows_them() {
        let cases: [(&str, &[u8], &str); 16] = [
            ("<f4", &0.1f32.to_le_bytes(), "0.1"),
            (">f4", &0.1f32.to_be_bytes(), "0.1"),
            ("<f8", &f64::NAN.to_le_bytes(), "NaN"),
            ("<f2", &[0x01, 0x00], "0.00000005960464477539063"),
            ("<f2", &[0x00, 0xfc], "-inf"),
            ("|i1", &[0xff], "-1"),
            (">i4", &[0xff, 0xff, 0xff, 0xfe], "-2"),
            ("<u8", &[0xff; 8], "18446744073709551615"),
            ("|b1", &[1], "true"),
            ("<c8", &[0, 0, 128, 63, 0, 0, 0, 192], "1 + -2i"),
            ("|S3", b"ab\0", "\"ab\""),
            ("<U2", &[97, 0, 0, 0, 0, 0, 0, 0], "\"a\""),
            ("|V2", &[0xab, 0xcd], "0xabcd"),
            (">M8[s]", &[0, 0, 0, 0, 0, 0, 0, 7], "1970-01-01T00:00:07"),
            ("<m8[ns]", &[7, 0, 0, 0, 0, 0, 0, 0], "7 × ns"),
            ("<f16", &[0; 16], "0x00000000000000000000000000000000"),
        ];
        for (descr, bytes, expected) in cases {
            assert_eq!(element(descr).describe(bytes), expected, "{descr}");
            assert_eq!(element(descr).size(), Some(bytes.len()), "{descr}");
        }
        assert!(element("<f16").is_long_double() && element("<c32").is_long_double());
        assert!(!element("<f8").is_long_double() && !element("<c16").is_long_double());
        assert_eq!(element("|O").size(), None);
        assert_eq!(element("|O").name(), "Python objects, as a pickle");
    }

    #[test]
    fn whole_numbers_of_any_width_are_whole() {
        assert_eq!(element("<f4").whole(&5f32.to_le_bytes()), Some(5));
        assert_eq!(element("<f4").whole(&5.5f32.to_le_bytes()), None);
        assert_eq!(element(">f8").whole(&f64::NAN.to_be_bytes()), None);
        assert_eq!(element(">u2").whole(&[1, 0]), Some(256));
        assert_eq!(element("<i2").whole(&[0xff, 0xff]), Some(-1));
        assert_eq!(element("|S1").whole(b"1"), None);
    }
}
