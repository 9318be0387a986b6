//! Outputs from files, as records have them.

use std::path::PathBuf;

use console::grouped;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::files::FileRecord;
use crate::engine::recorded::Recorded;
use crate::engine::recorded::element_type::{ElementType, FloatType};

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

/// What was found in the files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputsRecord {
    /// The files with their hashes; none until all were read.
    pub files: Vec<FileRecord>,
    /// How elements were stored; other types than float32 were converted to it.
    pub element_types: Vec<ElementType>,
    /// Whether the numbers came as decimal text, of which no bits are compared.
    pub decimal_text: bool,
    /// Samples of a padded last batch that were left out.
    pub padding: usize,
}

impl OutputsOptions {
    /// What computed them, for titles.
    pub fn name(&self) -> &str {
        self.engine_name.as_deref().unwrap_or("outputs from files")
    }
}

impl OutputsRecord {
    /// Of files whose shapes are known.
    pub fn new(recorded: &Recorded) -> Self {
        Self {
            files: recorded.files(),
            element_types: recorded.element_types(),
            decimal_text: recorded.is_decimal(),
            padding: recorded.padding(),
        }
    }

    /// What was done to the numbers before they were compared; empty if nothing was.
    pub fn conversions(&self, options: &OutputsOptions) -> Vec<String> {
        let mut texts = Vec::new();
        for element in &self.element_types {
            let how = match element.float {
                FloatType::Float32 if !element.big_endian => continue,
                FloatType::Float64 => "rounded to float32",
                _ => "converted to float32, exactly",
            };
            texts.push(format!("{element}: {how}"));
        }
        if let Some(order) = &options.transpose {
            texts.push(format!("axes reordered by {order:?}"));
        }
        if self.padding > 0 {
            let padding = grouped(self.padding);
            texts.push(format!("{padding} samples of padding at the end left out"));
        }
        if self.decimal_text {
            texts.push("decimal text: no bits are compared".to_owned());
        }
        texts
    }

    /// How many files, and how large.
    pub fn files_text(&self) -> String {
        let bytes: u64 = self.files.iter().map(|file| file.bytes).sum();
        let files = match self.files.len() {
            1 => "1 file".to_owned(),
            files => format!("{} files", grouped(files)),
        };
        format!("{files}, {:.1} MB", bytes as f64 / 1e6)
    }
}
