//! Values of flags, each with its own rule.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, RangedU64ValueParser, TypedValueParser};
use verifier::campaign::statistics::Confidence;
use verifier::engine::Device;
use verifier::report::bench::Bench;
use verifier::report::check::Check;
use verifier::report::matrix::Matrix;
use verifier::report::{Body, Format};

/// Whole numbers in a range.
pub(super) type Number = RangedU64ValueParser<usize>;

/// How many samples, runs or passes: more than anybody can want, and products of two stay far below
/// 2^64.
pub(super) fn count() -> Number {
    Number::new().range(1..=1_000_000_000)
}

/// Rounded twice, as a Python number that `torch.isclose` is given for float32 tensors.
pub(super) fn tolerance(text: &str) -> Result<f32, String> {
    match text.parse::<f64>().map(|value| value as f32) {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("expected a finite number from 0".to_owned()),
    }
}

pub(super) fn margin(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && value >= 1.0 => Ok(value),
        _ => Err("expected a finite number from 1".to_owned()),
    }
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 100".to_owned()),
    }
}

/// A share between 0 and 1, such as `0.05` or `5%`.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    let share = match text.trim_end().strip_suffix('%') {
        Some(percent) => percent
            .trim_end()
            .parse()
            .map(|percent: f64| percent / 100.0),
        None => text.parse(),
    };
    match share {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a share between 0 and 1, such as 0.05 or 5%".to_owned()),
    }
}

/// A share that intervals can have as their confidence.
pub(super) fn confidence(text: &str) -> Result<f64, String> {
    let share = fraction(text).ok();
    share
        .filter(|&share| Confidence::new(share).is_ok())
        .ok_or_else(|| "expected a confidence from 50% to 99.9999%, such as 95% or 0.95".to_owned())
}

/// Half of an interval's width: what is larger says nothing, or is a percentage without its sign.
pub(super) fn half_width(text: &str) -> Result<f64, String> {
    let share = fraction(text).ok();
    share.filter(|&share| share <= 0.2).ok_or_else(|| {
        "expected a margin of at most 20%, such as 0.5% or 0.005; without % it is a share"
            .to_owned()
    })
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1e9 => Ok(value),
        _ => Err("expected a number of seconds above 0, at most 1e9".to_owned()),
    }
}

pub(super) fn hours(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1e5 => Ok(value),
        _ => Err("expected a number of hours above 0, at most 1e5".to_owned()),
    }
}

/// Between clocks of the world.
pub(super) fn hours_ahead(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (-24.0..=24.0).contains(&value) => Ok(value),
        _ => Err("expected a number of hours from -24 to 24".to_owned()),
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("expected a finite number above 0".to_owned()),
    }
}

/// `HOST:PORT`.
pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let is_right = text
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    match is_right {
        true => Ok(text.to_owned()),
        false => Err("expected HOST:PORT, such as 192.168.1.5:1024".to_owned()),
    }
}

/// The beginning of a hash, or all of it, hexadecimal.
pub(super) fn hash(text: &str) -> Result<String, String> {
    let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.len() {
        16..=64 if is_hexadecimal => Ok(text.to_ascii_lowercase()),
        _ => Err("expected 16 to 64 hexadecimal digits".to_owned()),
    }
}

/// A name that stands in one line of a report.
pub(super) fn engine_name(text: &str) -> Result<String, String> {
    let is_plain = !text.trim().is_empty() && text.len() <= 100;
    if is_plain && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err("expected a name of up to 100 bytes, without control characters".to_owned())
    }
}

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// What a flag takes that has a path in it, whose name may be any bytes.
pub(super) fn path<T: Clone + Send + Sync + 'static>(
    parse: fn(OsString) -> Result<T, String>,
) -> impl TypedValueParser<Value = T> {
    OsStringValueParser::new().try_map(parse)
}

/// A library and a device; the device stands behind the last `@`.
pub(super) fn runtime_on_device(text: OsString) -> Result<(PathBuf, Device), String> {
    let mut parts = text.as_bytes().rsplitn(2, |&byte| byte == b'@');
    let device = parts.next().map(std::str::from_utf8);
    match (parts.next(), device) {
        (Some(library), Some(Ok(device))) if !library.is_empty() && !device.is_empty() => {
            let library = PathBuf::from(OsStr::from_bytes(library));
            Ok((library, Device::from(device.to_owned())))
        }
        _ => Err("expected LIB@DEVICE, such as a/libonnxruntime.so@openvino".to_owned()),
    }
}

pub(super) fn check_report(text: OsString) -> Result<PathBuf, String> {
    report::<Check>(text)
}

pub(super) fn matrix_report(text: OsString) -> Result<PathBuf, String> {
    report::<Matrix>(text)
}

pub(super) fn bench_report(text: OsString) -> Result<PathBuf, String> {
    report::<Bench>(text)
}

pub(super) fn campaign_report(text: OsString) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match Format::of(&path) {
        Some(Format::Html | Format::Json | Format::Markdown | Format::Csv) => Ok(path),
        _ => Err("expected a name that ends in .html, .json, .md or .csv".to_owned()),
    }
}

pub(super) fn watch_report(text: OsString) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match Format::of(&path) {
        Some(Format::Json | Format::Markdown) => Ok(path),
        _ => Err("expected a name that ends in .json or .md".to_owned()),
    }
}

/// A path, and what its user calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPath {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// `NAME=PATH`, or a path that is called by its last part.
pub(super) fn named_path(text: &str) -> Result<NamedPath, String> {
    let whole = Path::new(text);
    if let Some((name, path)) = text.split_once('=').filter(|_| !whole.exists()) {
        let name = engine_name(name)?;
        let path = PathBuf::from(path);
        return Ok(NamedPath { name, path });
    }
    let name = whole.file_name().unwrap_or(whole.as_os_str());
    Ok(NamedPath {
        name: engine_name(&name.to_string_lossy())?,
        path: whole.to_owned(),
    })
}

/// A file in a format that the command's record can be written in.
fn report<B: Body>(text: OsString) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match Format::of(&path) {
        Some(format) if B::FORMATS.contains(&format) => Ok(path),
        _ => {
            let endings: Vec<&str> = B::FORMATS.iter().map(|format| format.ending()).collect();
            Err(format!("expected a name that ends in {}", one_of(&endings)))
        }
    }
}

pub(super) fn svg_file(text: OsString) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(extension) if extension == "svg" => Ok(path),
        _ => Err("expected a name that ends in .svg".to_owned()),
    }
}

/// `a, b or c`.
fn one_of(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_rounded_as_torch_rounds_them() {
        // torch.isclose(torch.tensor(1 + 2**-23), torch.tensor(0.0), rtol=0,
        // atol=1.000000059604644775390626) is false: in float64 the tolerance lies halfway between
        // 1 and that, in decimals above.
        assert_eq!(tolerance("1.000000059604644775390626"), Ok(1.0));
        assert_eq!(tolerance("5e-6"), Ok(5e-6));
        for refused in ["1e39", "inf", "nan", "-1", ""] {
            assert!(tolerance(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_report_that_the_command_cannot_write_is_refused_with_those_that_it_can() {
        assert!(check_report("a/b.html".into()).is_ok());
        let refused = matrix_report("a/b.csv".into()).expect_err("no such list");
        assert_eq!(refused, "expected a name that ends in .html, .json or .md");
        assert!(bench_report("table".into()).is_err());
    }

    #[test]
    fn a_path_may_be_any_bytes() {
        let bytes = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        assert_eq!(
            check_report(bytes(b"\xff.md")),
            Ok(bytes(b"\xff.md").into())
        );
        let pair = runtime_on_device(bytes(b"a@\xff.so@cpu"));
        assert_eq!(pair, Ok((bytes(b"a@\xff.so").into(), Device::Cpu)));
        for refused in [&b"a.so@\xff"[..], b"a.so", b"@cpu", b"a.so@"] {
            assert!(runtime_on_device(bytes(refused)).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_confidence_or_a_margin_that_is_refused_says_what_is_taken() {
        for (text, share) in [("95%", 0.95), ("0.95", 0.95), ("50 %", 0.5)] {
            assert_eq!(confidence(text), Ok(share), "{text}");
        }
        for text in ["95", "0.1", "100%", "x"] {
            let refused = confidence(text).expect_err(text);
            assert!(refused.contains("such as 95% or 0.95"), "{refused}");
        }
        for (text, share) in [("0.5%", 0.005), ("0.01", 0.01), ("20%", 0.2)] {
            assert_eq!(half_width(text), Ok(share), "{text}");
        }
        for text in ["0.5", "21%", "1", "0", "x"] {
            let refused = half_width(text).expect_err(text);
            assert!(refused.contains("such as 0.5% or 0.005"), "{refused}");
        }
    }
}
