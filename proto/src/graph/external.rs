//! Data that lie outside of the model's file: only in the one file that the manifest names, whose
//! hash covers them.

use std::collections::BTreeMap;

use crate::onnx::{ModelProto, TensorProto};

/// A tensor whose data no hash of the bundle covers.
#[derive(Debug, thiserror::Error)]
#[error("tensor `{tensor}` {reason}: the bundle's hashes do not cover its data")]
pub struct ExternalDataError {
    pub tensor: String,
    /// Where its data are said to lie.
    pub reason: String,
}

/// Every tensor whose data are not in the model must have them in the file of this name beside it,
/// and inside its bytes. ONNX looks for such a file in the model's own folder.
pub(super) fn check_external_data(
    model: &ModelProto,
    listed: Option<(&str, u64)>,
) -> Result<(), ExternalDataError> {
    model
        .external_tensors()
        .into_iter()
        .try_for_each(|tensor| check_tensor(tensor, listed))
}

fn check_tensor(
    tensor: &TensorProto,
    listed: Option<(&str, u64)>,
) -> Result<(), ExternalDataError> {
    let refused = |reason: String| {
        Err(ExternalDataError {
            tensor: tensor.name().to_owned(),
            reason,
        })
    };
    let entries: BTreeMap<&str, &str> = tensor
        .external_data
        .iter()
        .map(|entry| (entry.key(), entry.value()))
        .collect();
    let location = entries.get("location").copied().unwrap_or_default();
    let Some((name, size)) = listed else {
        return refused(format!(
            "is stored in another file, {location:?}, and the manifest names none beside the model"
        ));
    };
    if location != name {
        return refused(format!(
            "is stored in {location:?}, but the manifest names {name:?}"
        ));
    }
    let number = |key: &str| entries.get(key).map_or(Some(0), |text| text.parse().ok());
    let end = number("offset")
        .zip(number("length"))
        .and_then(|(offset, length): (u64, u64)| offset.checked_add(length));
    if end.is_none_or(|end| end > size) {
        return refused(format!("ends beyond the {size} bytes of {name:?}"));
    }
    Ok(())
}
