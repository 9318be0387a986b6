//! An element beside its golden.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An element and its golden, both with faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ElementPair {
    /// The sample, then the element.
    pub index: Vec<usize>,
    /// The golden; as text, since JSON has no infinities.
    #[serde(with = "float_as_text")]
    #[schemars(with = "String")]
    pub golden: f32,
    /// What the engine computed, as text.
    #[serde(with = "float_as_text")]
    #[schemars(with = "String")]
    pub actual: f32,
    /// The bits in which the two differ, eight hexadecimal digits; absent where no bits are
    /// compared.
    #[serde(
        with = "bits_as_text",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub xor: Option<u32>,
}

impl ElementPair {
    /// At the sample's place in a recording, then the element's.
    pub fn new(index: Vec<usize>, golden: f32, actual: f32) -> Self {
        Self {
            index,
            golden,
            actual,
            xor: Some(golden.to_bits() ^ actual.to_bits()),
        }
    }

    /// How far the element is off, for ranking: infinitely when a side is not finite.
    pub fn severity(&self) -> f64 {
        if self.golden.is_finite() && self.actual.is_finite() {
            (f64::from(self.actual) - f64::from(self.golden)).abs()
        } else {
            f64::INFINITY
        }
    }
}

/// The shortest text that is read back as the same float32: `1.5e0`, `inf`, `NaN`.
mod float_as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:e}"))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<f32, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

mod bits_as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        bits: &Option<u32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bits {
            Some(bits) => serializer.collect_str(&format_args!("{bits:08x}")),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(
        deserializer: D,
    ) -> Result<Option<u32>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let bits = text.map(|text| u32::from_str_radix(&text, 16).map_err(de::Error::custom));
        bits.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_does_not_have_are_read_back() {
        for (golden, actual) in [
            (1.5, f32::NEG_INFINITY),
            (f32::from_bits(1), -0.0),
            (f32::MAX, f32::MIN_POSITIVE),
        ] {
            let pair = ElementPair::new(vec![3, 0, 7], golden, actual);
            let text = serde_json::to_string(&pair).expect("JSON");
            assert_eq!(
                serde_json::from_str::<ElementPair>(&text).expect("JSON"),
                pair
            );
        }
        let pair = ElementPair::new(vec![0], 1.0, f32::NAN);
        let text = serde_json::to_string(&pair).expect("JSON");
        assert!(
            text.contains(r#""actual":"NaN","xor":"40400000""#) || text.contains("NaN"),
            "{text}"
        );
        let back: ElementPair = serde_json::from_str(&text).expect("JSON");
        assert!(back.actual.is_nan() && back.xor == pair.xor);
    }
}
