//! How a fault is written: `target[index]=value` or `target[index]^bit`.

use std::fmt;
use std::str::FromStr;

use super::fault::{Change, Fault, Target};

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

impl TryFrom<String> for Fault {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Golden(name) => ("golden", name.as_deref()),
            Self::Input(name) => ("input", name.as_deref()),
            Self::Output(name) => ("output", name.as_deref()),
            Self::Weight(name) => ("weight", Some(name.as_str())),
        };
        f.write_str(kind)?;
        name.map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.target, index_text(&self.index))?;
        match self.change {
            // Rust writes `inf` and `NaN`; the grammar of faults is in lower case.
            Change::Value(value) if is_other_nan(value) => write!(f, "=0x{:08x}", value.to_bits()),
            Change::Value(value) => write!(f, "={}", value.to_string().to_lowercase()),
            Change::Flip(bit) => write!(f, "^{bit}"),
        }
    }
}

/// An index in its brackets, without spaces.
pub(super) fn index_text(index: &[usize]) -> String {
    let numbers: Vec<String> = index.iter().map(usize::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// A NaN with a sign or a payload, which its name does not say.
fn is_other_nan(value: f32) -> bool {
    value.is_nan() && value.to_bits() != f32::NAN.to_bits()
}

/// How a fault is written, for messages.
const GRAMMAR: &str = "expected TARGET[INDEX]=VALUE or TARGET[INDEX]^BIT, with TARGET one of \
                       golden, input, output and weight:NAME, such as output[150,34,13]=12 or \
                       weight:to_qkv_weight[10,20]^23";

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (target, rest) = text
            .split_once('[')
            .ok_or_else(|| format!("no index; {GRAMMAR}"))?;
        let (index, change) = rest
            .split_once(']')
            .ok_or_else(|| format!("the index has no end; {GRAMMAR}"))?;
        let target: Target = target.parse()?;
        let is_scalar = index.trim().is_empty() && matches!(target, Target::Weight(_));
        let index = if is_scalar { vec![] } else { indices(index)? };
        let change = match change.split_at_checked(1) {
            Some(("=", value)) => Change::Value(float(value)?),
            Some(("^", bit)) => match bit.parse() {
                Ok(bit @ 0..=31) => Change::Flip(bit),
                _ => return Err(format!("bit `{bit}`: a float32 has bits 0 to 31")),
            },
            _ => {
                return Err(format!(
                    "neither =VALUE nor ^BIT behind the index; {GRAMMAR}"
                ));
            }
        };
        Ok(Self {
            target,
            index,
            change,
        })
    }
}

/// Whole numbers between commas.
fn indices(text: &str) -> Result<Vec<usize>, String> {
    let numbers = text.split(',').map(|number| {
        let parsed = number.trim().parse();
        parsed.map_err(|_| format!("index `{number}` is no whole number; {GRAMMAR}"))
    });
    numbers.collect()
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once(':') {
            Some((_, "")) => return Err(format!("target `{text}` has an empty name; {GRAMMAR}")),
            Some((kind, name)) => (kind, Some(name.to_owned())),
            None => (text, None),
        };
        match (kind, name) {
            ("golden", name) => Ok(Self::Golden(name)),
            ("input", name) => Ok(Self::Input(name)),
            ("output", name) => Ok(Self::Output(name)),
            ("weight", Some(name)) => Ok(Self::Weight(name)),
            ("weight", None) => Err(
                "a weight has a name: weight:NAME[INDEX]; `verifier inspect` lists them".to_owned(),
            ),
            _ => Err(format!("unknown target `{kind}`; {GRAMMAR}")),
        }
    }
}

/// A float32, as a number or as its 32 bits, `0x7fc00000`; a finite number that float32 cannot hold
/// is refused, not made infinite.
fn float(text: &str) -> Result<f32, String> {
    if let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        let is_hexadecimal = digits.len() == 8 && digits.bytes().all(|it| it.is_ascii_hexdigit());
        let bits = u32::from_str_radix(digits, 16).ok();
        let bits = bits.filter(|_| is_hexadecimal);
        let bits = bits.ok_or_else(|| {
            format!("value `{text}`: the bits of a float32 are 8 hexadecimal digits behind 0x")
        })?;
        return Ok(f32::from_bits(bits));
    }
    let value: f32 = text
        .parse()
        .map_err(|_| format!("value `{text}` is no number"))?;
    let says_infinite = text.to_ascii_lowercase().contains("inf");
    if value.is_infinite() && !says_infinite {
        return Err(format!(
            "value `{text}` is beyond float32, whose largest is {:e}; `inf` is infinity",
            f32::MAX
        ));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_repositorys_five_are_written_in_the_grammar() {
        let written: Vec<String> = Fault::python_repository_faults()
            .iter()
            .map(Fault::to_string)
            .collect();
        let expected = [
            "golden[150,34,13]=12",
            "golden[150,34,54]=12",
            "golden[200,5,5]=inf",
            "golden[201,2,23]=nan",
            "golden[300,34,13]=12",
        ];
        assert_eq!(written, expected);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let faults = [
            "output[150,34,13]=12",
            "input[3,0,7]^30",
            "weight:to_qkv_weight[10,20]^23",
            "golden[200,5,5]=-inf",
            "input:residual[1,2,3]=-0",
            "output[0,0]=1e-45",
            "weight:scale[]^30",
            "weight:to_qkv.weight[20,10]^23",
            "output[1,2]=0x41400000",
        ];
        for text in faults {
            let fault: Fault = text.parse().expect(text);
            assert_eq!(
                fault.to_string().parse::<Fault>().expect("again"),
                fault,
                "{text}"
            );
        }
        let nan: Fault = "golden[1,2]=NaN".parse().expect("nan");
        assert_eq!(nan.to_string(), "golden[1,2]=nan");
        assert_eq!(
            "golden[1]^31"
                .parse::<Fault>()
                .expect("sign")
                .change
                .apply(1.5),
            -1.5
        );
        assert_eq!(
            " 1, 2".split(',').count(),
            "golden[ 1, 2]=0"
                .parse::<Fault>()
                .expect("spaces")
                .index
                .len()
        );
    }

    #[test]
    fn a_value_may_be_the_bits_of_a_float32() {
        let value = |text: &str| {
            text.parse::<Fault>()
                .expect(text)
                .change
                .apply(0.0)
                .to_bits()
        };
        for (text, bits, written) in [
            ("golden[1]=0x7FC00000", 0x7fc0_0000, "golden[1]=nan"),
            ("golden[1]=0xffc00001", 0xffc0_0001, "golden[1]=0xffc00001"),
            ("golden[1]=0x7f800000", 0x7f80_0000, "golden[1]=inf"),
            ("golden[1]=0x41400000", 0x4140_0000, "golden[1]=12"),
        ] {
            assert_eq!(value(text), bits, "{text}");
            let fault: Fault = text.parse().expect(text);
            assert_eq!(fault.to_string(), written);
            assert_eq!(value(written), bits, "{written}");
        }
    }

    #[test]
    fn what_is_no_fault_says_why() {
        let refusals = [
            ("", "no index"),
            ("golden", "no index"),
            ("golden[1,2", "no end"),
            ("golden[]=1", "no whole number"),
            ("golden[1,-2]=1", "no whole number"),
            ("golden[1]", "neither =VALUE nor ^BIT"),
            ("golden[1]é", "neither =VALUE nor ^BIT"),
            ("golden[1]=", "is no number"),
            ("golden[1]=one", "is no number"),
            ("golden[1]=1e39", "beyond float32"),
            ("golden[1]=0x7fc0", "8 hexadecimal digits"),
            ("golden[1]=0x7fc00000f", "8 hexadecimal digits"),
            ("golden[1]=0x+fc00000", "8 hexadecimal digits"),
            ("golden[1]^32", "bits 0 to 31"),
            ("golden[1]^-1", "bits 0 to 31"),
            ("weight[1]=1", "a weight has a name"),
            ("weight:[1]=1", "empty name"),
            ("bias[1]=1", "unknown target `bias`"),
            ("golden[99999999999999999999]=1", "no whole number"),
        ];
        for (text, expected) in refusals {
            let message = text.parse::<Fault>().expect_err(text);
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
