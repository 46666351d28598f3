//! The seal of an artifact: written last and create-only, so its presence means the artifact is whole.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ArtifactKey, Fingerprint};

/// Version of the manifest's own layout.
pub const MANIFEST_VERSION: u32 = 1;

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path below the artifact, with forward slashes.
    pub path: String,
    pub bytes: u64,
    /// BLAKE3 of the content, 64 hexadecimal characters.
    pub digest: String,
    /// The artifact whose folder holds the file, where it is not this one: what did not change is not written again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<ArtifactKey>,
}

/// What an artifact is, what it was made from, and every file it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `Artifact`.
    pub kind: String,
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    pub artifact: ArtifactKey,
    /// Version of the stage's code.
    #[serde(default)]
    pub code: u32,
    /// Id of the stage that made it, e.g. `muge-tuned`.
    pub stage: String,
    /// The stage's settings, as they entered the fingerprint.
    pub spec: serde_json::Value,
    /// Fingerprints of the inputs by role.
    pub inputs: BTreeMap<String, Vec<Fingerprint>>,
    /// All files but the manifest, sorted by path.
    pub files: Vec<FileEntry>,
    /// Counts of the stage.
    pub stats: serde_json::Value,
    /// Distinguishes our own write from another's after an ambiguous answer of the store.
    pub nonce: String,
}

impl Manifest {
    /// Whether an artifact is among its inputs.
    pub fn uses(&self, artifact: &ArtifactKey) -> bool {
        self.inputs.values().flatten().any(|input| *input == artifact.fingerprint)
    }
}
