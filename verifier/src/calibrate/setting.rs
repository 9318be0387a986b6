//! What a calibration holds for: a model, a part, and what computes it.

use std::collections::BTreeMap;

use console::Host;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::command::EngineSpec;
use crate::engine::device::key_values;
use crate::engine::onnxruntime::{LibraryInfo, Optimization, Options};

/// What a calibration holds for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// BLAKE3 of the part's model.
    pub model_blake3: String,
    /// The part.
    pub part: String,
    #[serde(flatten)]
    pub engine: EngineSetting,
}

/// What of an engine a calibration is bound to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EngineSetting {
    /// ONNX Runtime on this machine.
    Session(Box<SessionSetting>),
    /// Another engine's process; before `Files`, of which it has every field.
    Command {
        /// Its name.
        engine_name: String,
        /// Program and arguments, as they were given.
        command: Vec<String>,
        /// Variables of its environment that were given.
        environment: BTreeMap<String, String>,
    },
    /// Outputs from files.
    Files {
        /// What computed them, as the user says.
        engine_name: String,
    },
}

/// ONNX Runtime on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionSetting {
    /// SHA-256 of the runtime library.
    pub runtime_sha256: String,
    /// Its version.
    pub runtime_version: String,
    /// The device.
    pub device: String,
    /// Which one of several.
    pub device_id: Option<u32>,
    /// Settings of the provider, `key=value`.
    pub device_options: Vec<String>,
    /// Whether reduced precision is allowed.
    pub allow_reduced_precision: bool,
    /// Graph optimisation level.
    pub optimization: Optimization,
    /// Threads for one operation, if not left to the runtime.
    pub threads: Option<usize>,
    /// Samples in one run: kernels are chosen by it.
    pub batch_size: usize,
    /// The machine.
    pub host: Host,
}

impl Setting {
    /// Of outputs from files of an engine that the user names.
    pub fn of_files(model_blake3: String, part: &str, engine_name: &str) -> Self {
        Self {
            model_blake3,
            part: part.to_owned(),
            engine: EngineSetting::Files {
                engine_name: engine_name.to_owned(),
            },
        }
    }

    /// Of another engine's process.
    pub fn of_command(model_blake3: String, part: &str, engine: &EngineSpec) -> Self {
        Self {
            model_blake3,
            part: part.to_owned(),
            engine: EngineSetting::Command {
                engine_name: engine.name.clone(),
                command: engine.words.clone(),
                environment: engine.environment.clone(),
            },
        }
    }

    /// Of runs of ONNX Runtime.
    pub fn of_session(
        model_blake3: String,
        part: &str,
        library: &LibraryInfo,
        options: &Options,
        batch_size: usize,
    ) -> Self {
        Self {
            model_blake3,
            part: part.to_owned(),
            engine: EngineSetting::Session(Box::new(SessionSetting {
                runtime_sha256: library.sha256.clone(),
                runtime_version: library.version.clone(),
                device: options.device.to_string(),
                device_id: options.device_id,
                device_options: key_values(&options.device_options),
                allow_reduced_precision: options.allow_reduced_precision,
                optimization: options.optimization,
                threads: options.threads,
                batch_size,
                host: Host::this(),
            })),
        }
    }

    /// What another setting has that this one has not, by its name: `batch_size 64`.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let fields = |setting: &Self| match serde_json::to_value(setting) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        let own = fields(self);
        // Files have fewer fields than a process of the same name.
        if matches!(
            (&self.engine, &other.engine),
            (EngineSetting::Command { .. }, EngineSetting::Files { .. })
        ) {
            return vec!["outputs from files, no process".to_owned()];
        }
        let others = fields(other)
            .into_iter()
            .filter(|(name, value)| own.get(name) != Some(value));
        others
            .map(|(name, value)| format!("{name} {value}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_and_files_of_one_name_are_two_settings() {
        let of_command = |command: &str| {
            let engine = EngineSpec::parse(command).expect("a command");
            Setting::of_command("aa".to_owned(), "submodel", &engine)
        };
        let files = Setting::of_files("aa".to_owned(), "submodel", "mine");
        let process = of_command("mine=run a");
        assert_eq!(process.differences(&process), Vec::<String>::new());
        assert!(process.differences(&files)[0].contains("from files"));
        assert!(!files.differences(&process).is_empty());
        let other = process.differences(&of_command("mine=run b"));
        assert_eq!(other, [r#"command ["run","b"]"#]);
        for setting in [files, process] {
            let json = serde_json::to_string(&setting).expect("texts");
            let read: Setting = serde_json::from_str(&json).expect("a setting");
            assert_eq!(read, setting);
        }
    }
}
