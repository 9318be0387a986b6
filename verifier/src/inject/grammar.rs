//! How a fault is written: `target[index]=value` or `target[index]^bit`.

use std::fmt;
use std::str::FromStr;

use super::change::Change;
use super::fault::{Fault, Target};
use super::positions::Positions;

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
            Self::Edge(name) => ("edge", Some(name.as_str())),
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
            Change::Value(value) => write!(f, "={}", value.to_string().to_lowercase()),
            Change::Pattern(bits) => write!(f, "={bits:#010x}"),
            Change::Flip(bit) => write!(f, "^{bit}"),
            Change::Flips(mask) => {
                let bits = (0..32).rev().filter(|bit| mask >> bit & 1 == 1);
                let bits: Vec<String> = bits.map(|bit: u32| bit.to_string()).collect();
                write!(f, "^{}", bits.join("+"))
            }
            Change::Stuck { bit, is_one } => write!(f, ":{bit}={}", u8::from(is_one)),
        }
    }
}

/// An index in its brackets, without spaces.
pub(super) fn index_text<T: ToString>(index: &[T]) -> String {
    let numbers: Vec<String> = index.iter().map(T::to_string).collect();
    format!("[{}]", numbers.join(","))
}

/// How a fault is written, for messages.
const GRAMMAR: &str = "expected TARGET[INDEX]=VALUE, TARGET[INDEX]^BIT or TARGET[INDEX]:BIT=0, \
                       with TARGET one of golden, input, output, edge:NAME and weight:NAME, such \
                       as output[150,34,13]=12 or weight:to_qkv_weight[10,20]^23";

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
        let index = if is_scalar { vec![] } else { positions(index)? };
        let change = match change.split_at_checked(1) {
            Some(("=", value)) => value_of(value)?,
            Some(("^", bits)) => flips(bits)?,
            Some((":", stuck)) => stuck_bit(stuck)?,
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

/// Positions between commas.
fn positions(text: &str) -> Result<Vec<Positions>, String> {
    let of_axes = text.split(',').map(|positions| {
        let parsed = positions.trim().parse();
        let what = "is no whole number, nor *, START:END or FIRST::STEP";
        parsed.map_err(|()| format!("index `{positions}` {what}; {GRAMMAR}"))
    });
    of_axes.collect()
}

/// A number, or a bit pattern of eight hexadecimal digits.
fn value_of(text: &str) -> Result<Change, String> {
    let Some(digits) = text.strip_prefix("0x").or(text.strip_prefix("0X")) else {
        return Ok(Change::Value(float(text)?));
    };
    // `from_str_radix` takes a sign, too.
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    match u32::from_str_radix(digits, 16) {
        Ok(bits) if digits.len() == 8 && is_hexadecimal => Ok(Change::Pattern(bits)),
        _ => Err(format!(
            "bit pattern `{text}`: expected 0x and eight hexadecimal digits"
        )),
    }
}

/// Bits that are inverted, each once.
fn flips(text: &str) -> Result<Change, String> {
    let mut mask = 0u32;
    for bit in text.split('+') {
        let bit = 1 << bit_of(bit)?;
        if mask & bit != 0 {
            return Err(format!("bits `{text}`: flipped twice, a bit is as it was"));
        }
        mask |= bit;
    }
    Ok(match mask.count_ones() {
        1 => Change::Flip(mask.trailing_zeros() as u8),
        _ => Change::Flips(mask),
    })
}

/// A bit that is 0 or 1 whatever it was.
fn stuck_bit(text: &str) -> Result<Change, String> {
    let (bit, is_one) = match text.split_once('=') {
        Some((bit, "0")) => (bit, false),
        Some((bit, "1")) => (bit, true),
        _ => return Err(format!("`:{text}` is not :BIT=0 or :BIT=1; {GRAMMAR}")),
    };
    let bit = bit_of(bit)?;
    Ok(Change::Stuck { bit, is_one })
}

fn bit_of(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(bit @ 0..=31) => Ok(bit),
        _ => Err(format!("bit `{text}`: a float32 has bits 0 to 31")),
    }
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
            ("edge", Some(name)) => Ok(Self::Edge(name)),
            ("weight", Some(name)) => Ok(Self::Weight(name)),
            ("edge" | "weight", None) => Err(format!(
                "{kind} needs a name: {kind}:NAME[INDEX]; `verifier inspect` lists them"
            )),
            _ => Err(format!("unknown target `{kind}`; {GRAMMAR}")),
        }
    }
}

/// A float32; a finite number that float32 cannot hold
/// is refused, not made infinite.
fn float(text: &str) -> Result<f32, String> {
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
            "edge:softmax[3,1,12,40]^27",
            "edge:qkv[3,*,32:64+128:160]^31+23+0",
            "output[3,2::7]:30=1",
            "weight:w[0:2,*]:31=0",
            "input[0,0]=0x7fc00001",
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
            ("golden[1]=0x7FC00000", 0x7fc0_0000, "golden[1]=0x7fc00000"),
            ("golden[1]=0xffc00001", 0xffc0_0001, "golden[1]=0xffc00001"),
            ("golden[1]=0x7f800000", 0x7f80_0000, "golden[1]=0x7f800000"),
            ("golden[1]=0x41400000", 0x4140_0000, "golden[1]=0x41400000"),
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
            ("golden[1]=0x7fc0", "eight hexadecimal digits"),
            ("golden[1]=0x7fc00000f", "eight hexadecimal digits"),
            ("golden[1]=0x+fc00000", "eight hexadecimal digits"),
            ("golden[1]^32", "bits 0 to 31"),
            ("golden[1]^-1", "bits 0 to 31"),
            ("golden[1]^3+40", "bits 0 to 31"),
            ("golden[1]^3+4+3", "flipped twice"),
            ("golden[1]:32=0", "bits 0 to 31"),
            ("golden[1]:3=2", "is not :BIT=0"),
            ("golden[1]=0x7f", "eight hexadecimal digits"),
            ("golden[1,4:4]=1", "no whole number"),
            ("edge[1]=1", "edge needs a name"),
            ("weight[1]=1", "weight needs a name"),
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
