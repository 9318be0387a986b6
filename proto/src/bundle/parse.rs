//! The manifest's text as a [`Manifest`]: of a version that is known, and consistent.

use std::path::Path;

use serde_json::Value;

use super::error::BundleError;
use crate::manifest::{FORMAT_VERSION, Manifest};

pub(super) fn parse(path: &Path, json: &str) -> Result<Manifest, BundleError> {
    let malformed = |reason: String| BundleError::Malformed {
        path: path.to_owned(),
        reason,
    };
    // The version first: a later major version may have another layout altogether.
    let value: Value = serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    let version = value
        .get("format_version")
        .and_then(|version| version.as_str())
        .ok_or_else(|| malformed("no format_version".to_owned()))?;
    if major(version) != major(FORMAT_VERSION) {
        return Err(BundleError::Version {
            path: path.to_owned(),
            found: version.to_owned(),
        });
    }
    if let Some(text) = text_with_control_characters(&value) {
        return Err(malformed(format!("control characters in {text:?}")));
    }
    // From the text, in which a key that stands twice can still be seen.
    let manifest: Manifest =
        serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    manifest.check().map_err(malformed)?;
    Ok(manifest)
}

/// The first number of `major.minor`; `None` if it is not written so.
fn major(version: &str) -> Option<u32> {
    let (major, minor) = version.split_once('.')?;
    number(minor)?;
    number(major)
}

fn number(digits: &str) -> Option<u32> {
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then_some(number)
}

/// A text or key that could move a terminal's cursor or forge a line of output.
fn text_with_control_characters(value: &Value) -> Option<&str> {
    let is_hostile = |text: &str| text.chars().any(char::is_control);
    match value {
        Value::String(text) => is_hostile(text).then_some(text.as_str()),
        Value::Array(values) => values.iter().find_map(text_with_control_characters),
        Value::Object(entries) => {
            let hostile_key = entries.keys().find(|key| is_hostile(key));
            hostile_key
                .map(String::as_str)
                .or_else(|| entries.values().find_map(text_with_control_characters))
        }
        _ => None,
    }
}
