//! A model that ran in the place of the bundle's own, as records have it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::files::FileRecord;

/// A model that ran in the place of the bundle's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OtherModelRecord {
    /// The model, and the files that it refers to.
    pub files: Vec<FileRecord>,
}

impl OtherModelRecord {
    /// Names and values for a person.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("other model", "not the bundle's own".to_owned())];
        rows.extend(self.files.iter().map(|file| {
            let text = format!("{} BLAKE3 {}", file.path.display(), file.blake3);
            ("model file", text)
        }));
        rows
    }
}
