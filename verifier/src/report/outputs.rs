//! Outputs from files, as records have them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::recorded::element_type::FloatType;

/// Which outputs were asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputsOptions {
    /// The file or folder.
    #[serde(serialize_with = "proto::regular_file::path_as_text")]
    pub path: PathBuf,
    /// What computed them, as the user says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_name: Option<String>,
    /// Where they come from, as the user says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Elements of raw files and of 16-bit words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<FloatType>,
    /// The order in which axes were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transpose: Option<Vec<usize>>,
}

impl OutputsOptions {
    /// What computed them, for titles.
    pub fn name(&self) -> &str {
        self.engine_name.as_deref().unwrap_or("outputs from files")
    }
}
