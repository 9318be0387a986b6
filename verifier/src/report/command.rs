//! An engine that ran as a process, as records have it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::other_model::OtherModelRecord;
use crate::engine::command::{Ends, EngineSays, EngineSpec};

/// The engine, and how its process ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRecord {
    pub engine: EngineSpec,
    /// How it was expected to end for this part; the verdict does not depend on it.
    #[serde(default)]
    pub expected: Ends,
    /// The model, unless it is the bundle's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_model: Option<OtherModelRecord>,
    /// Threads that it was told to use.
    pub threads: usize,
    /// What it said of itself.
    pub says: EngineSays,
    /// Seconds of the whole process, for all samples.
    pub seconds: f64,
    /// Whether a second run of the first samples gave the same bits.
    pub repeats: bool,
    /// How many samples the controls were made with.
    pub control_samples: usize,
    /// Whether swapped inputs gave swapped outputs; false where no two samples differ, or there is
    /// one.
    pub swapped: bool,
}

impl CommandRecord {
    /// Names and values for a person.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("engine", self.name_and_version()),
            ("command", self.engine.words.join(" ")),
        ];
        if let Some(precision) = self.says.other_precision() {
            rows.push((
                "arithmetic",
                format!("{precision}, as it says: not float32"),
            ));
        }
        rows.extend(self.other_model.iter().flat_map(OtherModelRecord::rows));
        rows.push(("controls", self.controls()));
        if self.expected != Ends::default() {
            rows.push((
                "expected",
                format!("{}; the verdict is that of the comparison", self.expected),
            ));
        }
        rows
    }

    fn name_and_version(&self) -> String {
        let EngineSays {
            engine,
            version,
            precision,
            ..
        } = &self.says;
        let said = [engine, version, precision].into_iter().flatten();
        let said: Vec<&str> = said.map(String::as_str).collect();
        match said.is_empty() {
            true => self.engine.name.clone(),
            false => format!("{} (it says: {})", self.engine.name, said.join(", ")),
        }
    }

    fn controls(&self) -> String {
        let swapped = match (self.swapped, self.control_samples) {
            (true, _) => "swapped inputs gave swapped outputs",
            (false, 1) => "no inputs were swapped, for there is one sample",
            (false, _) => "no inputs were swapped, for no two samples differ",
        };
        let bits = match self.repeats {
            true => "the same bits",
            false => "OTHER BITS",
        };
        let samples = self.control_samples;
        format!("{swapped}; a second run of {samples} samples gave {bits}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::command::Expected;

    #[test]
    fn what_is_out_of_the_ordinary_has_a_line() {
        let record = CommandRecord {
            engine: EngineSpec::parse("mine=run {model}").expect("a command"),
            expected: Ends::default(),
            other_model: None,
            threads: 2,
            says: EngineSays {
                engine: Some("Mine".to_owned()),
                precision: Some("float32".to_owned()),
                ..EngineSays::default()
            },
            seconds: 1.0,
            repeats: true,
            control_samples: 8,
            swapped: true,
        };
        let names = |record: &CommandRecord| -> Vec<&str> {
            record.rows().iter().map(|(name, _)| *name).collect()
        };
        assert_eq!(names(&record), ["engine", "command", "controls"]);
        assert_eq!(record.rows()[0].1, "mine (it says: Mine, float32)");
        let odd = CommandRecord {
            expected: Ends::Several(vec![Expected::Fail, Expected::Cannot]),
            says: EngineSays {
                precision: Some("bfloat16".to_owned()),
                ..EngineSays::default()
            },
            repeats: false,
            swapped: false,
            ..record
        };
        let rows = odd.rows();
        assert_eq!(
            names(&odd),
            ["engine", "command", "arithmetic", "controls", "expected"]
        );
        assert_eq!(rows[2].1, "bfloat16, as it says: not float32");
        assert!(rows[3].1.contains("OTHER BITS") && rows[3].1.contains("no inputs were swapped"));
        assert!(rows[4].1.starts_with("fail or cannot"));
        let of_one = CommandRecord {
            control_samples: 1,
            ..odd
        };
        let controls = of_one.controls();
        assert!(controls.starts_with("no inputs were swapped, for there is one sample"));
    }
}
