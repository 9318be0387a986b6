//! An engine that ran as a process, as records have it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::command::{EngineSays, EngineSpec};

/// The engine, and how its process ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRecord {
    pub engine: EngineSpec,
    /// What it said of itself.
    pub says: EngineSays,
    /// Seconds of the whole process, for all samples.
    pub seconds: f64,
    /// Whether a second run of the first samples gave the same bits.
    pub repeats: bool,
    /// How many samples the controls were made with; fewer than two cannot be swapped.
    pub control_samples: usize,
}

impl CommandRecord {
    /// Names and values for a person.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let EngineSays {
            engine,
            version,
            precision,
            ..
        } = &self.says;
        let said = [engine, version, precision].into_iter().flatten();
        let said: Vec<&str> = said.map(String::as_str).collect();
        let name = match said.is_empty() {
            true => self.engine.name.clone(),
            false => format!("{} (it says: {})", self.engine.name, said.join(", ")),
        };
        let controls = match self.control_samples {
            0 | 1 => "none: there is one sample".to_owned(),
            samples => format!(
                "swapped inputs gave swapped outputs; a second run of {samples} samples gave {}",
                if self.repeats {
                    "the same bits"
                } else {
                    "OTHER BITS"
                }
            ),
        };
        vec![
            ("engine", name),
            ("command", self.engine.words.join(" ")),
            ("controls", controls),
        ]
    }
}
