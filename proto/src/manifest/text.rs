//! The manifest's own text, and that of the list of hashes.

use std::collections::BTreeMap;

use super::layout::Manifest;
use super::names::MANIFEST_FILE;
use crate::digest;

impl Manifest {
    /// The text of `manifest.json`: keys in a fixed order, one newline at the end.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("plain data with text keys always serialises");
        text.push('\n');
        text
    }

    /// The text of `SHA256SUMS` for a bundle whose manifest has this text: every other file, sorted
    /// by path.
    pub fn sha256sums(&self, manifest_json: &str) -> String {
        let manifest_sha256 = digest::sha256_bytes(manifest_json.as_bytes());
        let mut sums: BTreeMap<&str, &str> = self
            .files
            .iter()
            .map(|(file, digest)| (file.as_str(), digest.sha256.as_str()))
            .collect();
        sums.insert(MANIFEST_FILE, &manifest_sha256);
        sums.iter()
            .map(|(file, sha256)| format!("{sha256}  {file}\n"))
            .collect()
    }
}
