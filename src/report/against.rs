//! The published release that a report compares with.
use serde::{Deserialize, Serialize};

use crate::data::ArtifactKey;
use crate::evaluate::GateSpec;

/// Name of the published scores among the inputs of a report; no stage can be called so.
pub const PUBLISHED_SCORES: &str = "published scores";

/// What the gate holds the new scores against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// Number of the release.
    pub release: u64,
    /// Its scores.
    pub scores: ArtifactKey,
    pub gate: GateSpec,
}
