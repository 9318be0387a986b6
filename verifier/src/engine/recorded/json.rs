//! JSON of Polygraphy (`--save-outputs`) and of trtexec (`--exportOutput`).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::array::{Array, Layout, Named};
use super::element_type::{ElementType, FloatType};
use super::error::FileFault;
use super::npy::npy_array;

/// Polygraphy's `RunResults`: for each runner its name and its iterations.
#[derive(Deserialize)]
struct RunResults {
    lst: Vec<(String, Vec<Iteration>)>,
}

#[derive(Deserialize)]
struct Iteration {
    outputs: BTreeMap<String, Value>,
}

/// One tensor of trtexec.
#[derive(Deserialize)]
struct Tensor {
    name: String,
    /// `8x65x96`
    dimensions: String,
    values: Vec<Number>,
}

/// A number, or one that JSON has no word for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Other(String),
}

pub(super) fn arrays(bytes: &[u8], dtype: Option<FloatType>) -> Result<Vec<Named>, FileFault> {
    let is_list = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if is_list {
        return of_trtexec(bytes);
    }
    of_polygraphy(bytes, dtype)
}

/// Every iteration is a batch; a value's `array` is a whole NPY file in base64, header included.
fn of_polygraphy(bytes: &[u8], dtype: Option<FloatType>) -> Result<Vec<Named>, FileFault> {
    let results: RunResults = serde_json::from_slice(bytes).map_err(broken)?;
    let [(_, iterations)] = results.lst.as_slice() else {
        let runners: Vec<&str> = results.lst.iter().map(|(name, _)| name.as_str()).collect();
        return Err(FileFault::Json(format!(
            "results of {} runners ({}), expected one",
            runners.len(),
            runners.join(", ")
        )));
    };
    let names = |iteration: &Iteration| iteration.outputs.keys().cloned().collect::<Vec<_>>();
    let mut all_names = iterations.iter().map(names).enumerate();
    if let Some((_, first)) = all_names.next()
        && let Some((number, other)) = all_names.find(|(_, names)| *names != first)
    {
        return Err(FileFault::Json(format!(
            "iteration {number} has {}, and the first has {}",
            other.join(", "),
            first.join(", ")
        )));
    }
    let mut named = Vec::new();
    for (name, value) in iterations.iter().flat_map(|iteration| &iteration.outputs) {
        let value = value.get("values").unwrap_or(value);
        let text = value.get("array").and_then(Value::as_str);
        let text = text.ok_or_else(|| FileFault::Json(format!("`{name}` has no array")))?;
        let npy = STANDARD.decode(text).map_err(broken)?;
        named.push(Named {
            name: Some(name.clone()),
            array: npy_array(&npy, dtype)?,
            is_decimal: false,
        });
    }
    Ok(named)
}

/// Numbers with six significant digits; infinities and what is not a number stand there bare.
fn of_trtexec(bytes: &[u8]) -> Result<Vec<Named>, FileFault> {
    let tensors: Vec<Tensor> = serde_json::from_slice(&quoted(bytes)).map_err(broken)?;
    tensors.into_iter().map(tensor_of_trtexec).collect()
}

fn tensor_of_trtexec(tensor: Tensor) -> Result<Named, FileFault> {
    let axes = tensor.dimensions.split('x').map(|axis| axis.trim().parse());
    let shape: Vec<usize> = axes.collect::<Result<_, _>>().map_err(|_| {
        let (name, dimensions) = (&tensor.name, &tensor.dimensions);
        FileFault::Json(format!("`{name}` has the dimensions {dimensions:?}"))
    })?;
    let mut values = Vec::with_capacity(4 * tensor.values.len());
    for number in &tensor.values {
        let value = match number {
            Number::Finite(value) => *value as f32,
            Number::Other(text) => text
                .parse()
                .map_err(|_| FileFault::Json(format!("`{}` holds {text:?}", tensor.name)))?,
        };
        values.extend_from_slice(&value.to_le_bytes());
    }
    Ok(Named {
        name: Some(tensor.name),
        array: Array {
            layout: Layout::new(ElementType::FLOAT32, &shape, values.len() as u64)?,
            bytes: values,
        },
        is_decimal: true,
    })
}

/// Puts quotes round the bare words `nan` and `inf`, with or without a sign.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut in_string = false;
    let mut left = bytes;
    while let Some((&byte, rest)) = left.split_first() {
        let word = if in_string { 0 } else { bare_word(left) };
        if word > 0 {
            text.push(b'"');
            text.extend_from_slice(&left[..word]);
            text.push(b'"');
            left = &left[word..];
            continue;
        }
        if in_string && byte == b'\\' && !rest.is_empty() {
            text.extend_from_slice(&left[..2]);
            left = &left[2..];
            continue;
        }
        in_string ^= byte == b'"';
        text.push(byte);
        left = rest;
    }
    text
}

/// The length of the word at the beginning, 0 if it is another one.
fn bare_word(text: &[u8]) -> usize {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let word = text.get(sign..sign + 3).unwrap_or_default();
    let is_one = word.eq_ignore_ascii_case(b"nan") || word.eq_ignore_ascii_case(b"inf");
    if is_one { sign + 3 } else { 0 }
}

fn broken(error: impl std::fmt::Display) -> FileFault {
    FileFault::Json(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(named: &Named) -> Vec<f32> {
        let words = named.array.bytes.as_chunks().0.iter();
        words.map(|word| f32::from_le_bytes(*word)).collect()
    }

    #[test]
    fn trtexec_has_decimal_numbers_and_bare_words() {
        let text = br#"[ { "name" : "nan-1" , "dimensions" : "1x2x2"
            , "values" : [ 0.1, nan, -inf, 3e-05 ] } ]"#;
        let found = arrays(text, None).expect("as trtexec writes it");
        let [tensor] = found.as_slice() else {
            panic!("one tensor")
        };
        assert_eq!(tensor.name.as_deref(), Some("nan-1"));
        assert_eq!(tensor.array.layout.shape, Some(vec![1, 2, 2]));
        assert!(tensor.is_decimal);
        let values = values(tensor);
        assert_eq!((values[0], values[2]), (0.1, f32::NEG_INFINITY));
        assert!(values[1].is_nan());
    }

    #[test]
    fn an_iteration_without_an_output_is_refused() {
        let text = r#"{"lst": [["a", [{"outputs": {"y": {}, "z": {}}}, {"outputs": {"z": {}}}]]]}"#;
        let refused = arrays(text.as_bytes(), None).expect_err("no y").to_string();
        assert!(
            refused.contains("iteration 1 has z, and the first has y, z"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_neither_is_refused_with_a_reason() {
        for text in [
            r#"[{"name": "y", "dimensions": "2", "values": [1]}]"#,
            r#"[{"name": "y", "dimensions": "1", "values": ["word"]}]"#,
            r#"[{"name": "y", "dimensions": "ax2", "values": [1]}]"#,
            r#"{"lst": []}"#,
            r#"{"lst": [["a", []], ["b", []]]}"#,
            r#"{"lst": [["a", [{"outputs": {"y": {}}}]]]}"#,
            r#"{"lst": [["a", [{"outputs": {"y": {"values": {"array": "?"}}}}]]]}"#,
            r#"{"lst": [["a", [{"outputs": {}}, {"outputs": {"y": {}}}]]]}"#,
            r#"{"other": 1}"#,
            "[inf",
            "\"\\",
            "",
        ] {
            arrays(text.as_bytes(), None).expect_err(text);
        }
    }
}
