//! The folder of a campaign: `plan.json`, and `results/` with a file for each attempt.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use proto::{regular_file, staging};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use verifier::campaign::settings::{CAMPAIGN_VERSION, Settings};
use verifier::campaign::study::Study;

use super::super::recorded::refuse_inside;

const PLAN: &str = "plan.json";
const RESULTS: &str = "results";

/// What `plan.json` holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PlanFile {
    /// The plan's hash.
    pub(super) plan: String,
    /// Where the bundle was; its hash is in the settings.
    #[serde(serialize_with = "proto::regular_file::path_as_text")]
    pub(super) bundle_path: PathBuf,
    pub(super) settings: Settings,
}

impl PlanFile {
    /// Reads the plan in a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(PLAN);
        ensure!(
            path.exists(),
            "{}: no campaign here: there is no {PLAN}",
            folder.display()
        );
        let in_file = || path.display().to_string();
        let bytes = regular_file::read(&path).with_context(in_file)?;
        let value: Value = serde_json::from_slice(&bytes).with_context(in_file)?;
        let version = value["settings"]["campaign_version"]
            .as_str()
            .unwrap_or_default();
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        ensure!(
            major(version) == major(CAMPAIGN_VERSION),
            "{}: campaign version `{version}`, expected {CAMPAIGN_VERSION}",
            path.display()
        );
        serde_json::from_value(value).with_context(in_file)
    }

    /// Whether the folder has a plan.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join(PLAN).exists()
    }

    /// Writes the plan into a folder, or finds the same one there.
    pub(super) fn keep(&self, folder: &Path) -> Result<()> {
        refuse_inside("--out", folder)?;
        fs::create_dir_all(results(folder))
            .with_context(|| format!("{}: cannot be made", folder.display()))?;
        if Self::is_in(folder) {
            return self.compare(&Self::read(folder)?, folder);
        }
        let path = folder.join(PLAN);
        let text = serde_json::to_string_pretty(self)? + "\n";
        let written = staging::write_file(&path, |writer| writer.write_all(text.as_bytes()));
        written.with_context(|| format!("{}: cannot be written", path.display()))
    }

    /// Refuses another plan, and says in what it differs.
    fn compare(&self, other: &Self, folder: &Path) -> Result<()> {
        let [own, there] = [self, other].map(|file| serde_json::to_value(&file.settings));
        let (own, there) = (own?, there?);
        let fields = own.as_object().into_iter().flatten();
        let differing: Vec<String> = fields
            .filter(|(name, value)| there[name.as_str()] != **value)
            .map(|(name, value)| {
                format!("{name} is {}, asked for is {value}", there[name.as_str()])
            })
            .collect();
        if differing.is_empty() {
            return Ok(());
        }
        bail!(
            "{}: holds another campaign: {}\n\
             hint: the same flags go on with it; another --out begins a new one",
            folder.display(),
            differing.join("; ")
        )
    }

    /// Refuses a plan file that was changed.
    pub(super) fn check_hash(&self, study: &Study, folder: &Path) -> Result<()> {
        let found = study.plan.hash();
        ensure!(
            found == self.plan,
            "{}: its plan has the hash {found}, expected {}\n\
             hint: it was changed, or made by another version of the verifier",
            folder.join(PLAN).display(),
            self.plan
        );
        Ok(())
    }
}

/// Refuses a file in the place of the plan or among results, by whatever path.
pub(super) fn refuse_own(flag: &str, path: &Path, folder: &Path) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let parent = real(parent.unwrap_or(Path::new(".")));
    let as_named = parent.zip(path.file_name()).map(|(at, name)| at.join(name));
    let folder = real(folder).unwrap_or_else(|| folder.to_owned());
    let own = [folder.join(PLAN), results(&folder)];
    let own_real = own.iter().filter_map(|own| real(own));
    let own: Vec<PathBuf> = own.iter().cloned().chain(own_real).collect();
    for place in as_named.into_iter().chain(real(path)) {
        ensure!(
            !own.iter().any(|own| place.starts_with(own)),
            "{flag} {}: the campaign keeps its plan and its results there\n\
             hint: another name",
            path.display()
        );
    }
    Ok(())
}

/// The folder of the files of results.
pub(super) fn results(folder: &Path) -> PathBuf {
    folder.join(RESULTS)
}
