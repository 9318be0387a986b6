//! How a run of an engine is expected to end, as a file of engines says.

use std::collections::BTreeMap;
use std::fmt;

use proto::manifest::part;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The parts of which something may be expected.
const PARTS: [&str; 5] = [
    part::SUBMODEL,
    part::FULL,
    part::HEAD,
    part::TAIL,
    part::PREPROCESS,
];

/// What is expected of an engine, for all parts or for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "`expect`: expected pass, fail or cannot, a list of them, or a table by part"
)]
pub enum Expect {
    Always(Ends),
    ByPart(BTreeMap<String, Ends>),
}

/// The ends of a run that are expected: one, or any of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ends {
    One(Expected),
    Several(Vec<Expected>),
}

/// How a run of an engine should end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// All outputs within the tolerance.
    #[default]
    Pass,
    /// Something outside: a control that the check must notice.
    Fail,
    /// It says that it cannot run here.
    Cannot,
}

impl Default for Expect {
    fn default() -> Self {
        Self::Always(Ends::default())
    }
}

impl Expect {
    /// Of a part; one that is not named passes.
    pub fn of(&self, part: &str) -> Ends {
        match self {
            Self::Always(ends) => ends.clone(),
            Self::ByPart(parts) => parts.get(part).cloned().unwrap_or_default(),
        }
    }

    /// What of it can never come true.
    pub(super) fn contradiction(&self) -> Option<String> {
        let parts: BTreeMap<&str, &Ends> = match self {
            Self::Always(ends) => [(part::SUBMODEL, ends)].into(),
            Self::ByPart(parts) => parts.iter().map(|(part, ends)| (&**part, ends)).collect(),
        };
        if let Some(part) = parts.keys().find(|part| !PARTS.contains(part)) {
            let known = PARTS.join(", ");
            return Some(format!(
                "`expect` names the part `{part}`, expected one of {known}"
            ));
        }
        let is_empty = parts.values().any(|ends| ends.list().is_empty());
        is_empty.then(|| "`expect` is an empty list, expected pass, fail or cannot".to_owned())
    }
}

impl Default for Ends {
    fn default() -> Self {
        Self::One(Expected::default())
    }
}

impl Ends {
    /// Whether a run may end so.
    pub fn include(&self, end: Expected) -> bool {
        self.list().contains(&end)
    }

    fn list(&self) -> &[Expected] {
        match self {
            Self::One(end) => std::slice::from_ref(end),
            Self::Several(ends) => ends,
        }
    }
}

/// `fail or cannot`
impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.list().iter().map(|end| end.name()).collect();
        f.write_str(&names.join(" or "))
    }
}

impl Expected {
    /// As it is written in a file of engines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Cannot => "cannot",
        }
    }
}
