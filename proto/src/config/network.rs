//! A network as it is asked for: a preset by its name, or the numbers in a file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::preset::Preset;
use super::vit::{ConfigError, VitConfig};
use crate::regular_file;

/// The key of the preset that gives the numbers which a file leaves out.
const LIKE: &str = "like";
/// A file of numbers is short.
const LARGEST_FILE: usize = 64 << 10;
const LONGEST_NAME: usize = 60;

/// A network with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    name: String,
    /// As it was asked for.
    argument: String,
    config: VitConfig,
}

/// Why there is no such network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error(
        "{0}; or a file that ends in .toml or .json with the numbers, such as `like = \"nano\"` \
         and `dim = 192`"
    )]
    Preset(ConfigError),
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
}

impl Network {
    /// A preset by its name; or the numbers in a file that ends in `.toml` or `.json`, whose name
    /// without that ending is the network's.
    pub fn read(text: &str) -> Result<Self, NetworkError> {
        let path = Path::new(text);
        let ending = path.extension().and_then(|ending| ending.to_str());
        match ending {
            Some("toml" | "json") => Self::in_file(path).map_err(|reason| NetworkError::File {
                path: path.to_owned(),
                reason,
            }),
            _ => match text.parse::<Preset>() {
                Ok(preset) => Ok(preset.into()),
                Err(error) => Err(NetworkError::Preset(error)),
            },
        }
    }

    /// In files and reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What reads the same network again: the preset's name, or the file's.
    pub fn argument(&self) -> &str {
        &self.argument
    }

    /// Named by its preset, else by its sizes, such as `dim512_layers6_heads8_patch4_image32`.
    pub fn of(config: &VitConfig) -> Self {
        let by_sizes = || {
            format!(
                "dim{}_layers{}_heads{}_patch{}_image{}",
                config.dim, config.layers, config.heads, config.patch_size, config.image_size
            )
        };
        let name = Preset::of(config).map_or_else(by_sizes, |preset| preset.name().to_owned());
        Self {
            argument: name.clone(),
            name,
            config: config.clone(),
        }
    }

    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// The preset with exactly these numbers.
    pub fn preset(&self) -> Option<Preset> {
        Preset::of(&self.config)
    }

    fn in_file(path: &Path) -> Result<Self, String> {
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let name = name.filter(|name| is_plain(name)).ok_or(
            "its name is the network's: expected up to 60 letters, digits, `_` and `-` before the \
             ending",
        )?;
        let bytes = regular_file::read(path).map_err(|error| error.to_string())?;
        if bytes.len() > LARGEST_FILE {
            return Err(format!("{} bytes, expected a few lines", bytes.len()));
        }
        let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
        let Numbers(numbers) = match path.extension() {
            Some(ending) if ending == "json" => {
                serde_json::from_str(&text).map_err(|error| error.to_string())?
            }
            _ => toml::from_str(&text).map_err(|error| error.to_string())?,
        };
        let config = config_of(numbers)?;
        config.validate().map_err(|error| error.to_string())?;
        if (config.channels, config.classes) != (3, 10) {
            return Err(format!(
                "{} channels and {} classes, expected 3 and 10, as CIFAR-10 has",
                config.channels, config.classes
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            argument: path.display().to_string(),
            config,
        })
    }
}

/// The entries of a file, in which no key stands twice: which of two numbers was meant, no one
/// could tell.
struct Numbers(Map<String, Value>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NumbersVisitor)
    }
}

struct NumbersVisitor;

impl<'de> Visitor<'de> for NumbersVisitor {
    type Value = Numbers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the numbers of a network by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Numbers, A::Error> {
        let mut numbers = Map::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            if numbers.contains_key(&key) {
                let key = key.escape_debug();
                return Err(A::Error::custom(format!("`{key}` stands twice")));
            }
            numbers.insert(key, value);
        }
        Ok(Numbers(numbers))
    }
}

/// The numbers, those of a preset where they are left out.
fn config_of(mut numbers: Map<String, Value>) -> Result<VitConfig, String> {
    if let Some(like) = numbers.remove(LIKE) {
        let like = like
            .as_str()
            .ok_or("`like`: expected the name of a preset")?;
        let preset: Preset = like.parse().map_err(|error| format!("`like`: {error}"))?;
        let own = serde_json::to_value(preset.config()).map_err(|error| error.to_string())?;
        if let Value::Object(own) = own {
            for (key, value) in own {
                numbers.entry(key).or_insert(value);
            }
        }
    }
    serde_json::from_value(Value::Object(numbers))
        .map_err(|error| format!("{error}; `like = \"PRESET\"` gives what is left out"))
}

fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(is_plain)
}

impl From<Preset> for Network {
    fn from(preset: Preset) -> Self {
        Self::of(&preset.config())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        Self::read(text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, text: &str) -> Result<Network, String> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join(file);
        std::fs::write(&path, text).expect("write");
        Network::read(path.to_str().expect("UTF-8")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_gives_numbers_and_a_preset_those_that_it_leaves_out() {
        let network = read(
            "wide.toml",
            "like = \"nano\"\ndim = 512\nlayers = 6\nheads = 8",
        );
        let network = network.expect("numbers");
        let expected = VitConfig {
            dim: 512,
            layers: 6,
            heads: 8,
            ..Preset::Nano.config()
        };
        assert_eq!((network.name(), network.config()), ("wide", &expected));
        assert_eq!(network.preset(), None);
        let all = serde_json::to_string(&expected).expect("JSON");
        assert_eq!(read("w.json", &all).expect("numbers").config(), &expected);
        let by_sizes = Network::of(&expected);
        assert_eq!(by_sizes.name(), "dim512_layers6_heads8_patch4_image32");
        let preset = Network::read("base").expect("a preset");
        assert_eq!(
            (preset.name(), preset.preset()),
            ("base", Some(Preset::Base))
        );
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_file() {
        let refused = |file: &str, text: &str, expected: &str| {
            let message = read(file, text).expect_err(expected);
            assert!(message.contains(expected), "{message}");
        };
        refused("a.toml", "dim = 512", "missing field");
        refused("a.toml", "like = \"huge\"", "unknown preset `huge`");
        refused(
            "a.toml",
            "like = \"nano\"\nwidth = 3",
            "unknown field `width`",
        );
        refused(
            "a.toml",
            "like = \"nano\"\npatch_size = 5",
            "not a multiple",
        );
        refused("a.toml", "dim = ", "a.toml");
        let twice = r#"{"like": "nano", "dim": 512, "dim": 192}"#;
        refused("a.json", twice, "`dim` stands twice");
        refused(
            "a.toml",
            "like = \"nano\"\ndim = 512\ndim = 192",
            "duplicate key",
        );
        refused("a.json", "[1]", "expected the numbers of a network");
        refused("a b.toml", "like = \"nano\"", "its name is the network's");
        let message = Network::read("huge").expect_err("no preset").to_string();
        assert!(message.contains("nano or micro; or a file"), "{message}");
        assert!(Network::read("none/such.json").is_err());
    }
}
