//! What was found in files of outputs, as records have it.

use console::grouped;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Recorded;
use super::element_type::{ElementType, FloatType};
use crate::engine::files::FileRecord;

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

    /// What was done to the numbers before they were compared; empty if nothing was. `transpose` is
    /// how axes were reordered.
    pub fn conversions(&self, transpose: Option<&[usize]>) -> Vec<String> {
        let mut texts = Vec::new();
        for element in &self.element_types {
            let how = match element.float {
                FloatType::Float32 if !element.big_endian => continue,
                FloatType::Float64 => "rounded to float32",
                _ => "converted to float32, exactly",
            };
            texts.push(format!("{element}: {how}"));
        }
        if let Some(order) = transpose {
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
