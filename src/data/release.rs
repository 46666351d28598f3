//! What is published: a numbered, create-only list of the artifacts that belong together.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ArtifactKey;

/// Version of the release file's own layout.
pub const RELEASE_VERSION: u32 = 1;

/// One published state of a pipeline. The complete release with the highest number is current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Always `Release`.
    pub kind: String,
    /// [`RELEASE_VERSION`].
    pub version: u32,
    pub pipeline: String,
    /// Counts from 1.
    pub number: u64,
    /// Artifact of every stage by stage id.
    pub artifacts: BTreeMap<String, ArtifactKey>,
    /// The run that published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The older release whose artifacts these are, if it was published to go back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<u64>,
    /// What the quality gate said, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Distinguishes our own write from another's after an ambiguous answer of the store.
    pub nonce: String,
}
