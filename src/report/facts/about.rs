//! Where a report comes from.
use serde::Serialize;

/// The run behind a report.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AboutFacts {
    /// Settings of every stage, as they entered its fingerprint: a path is the digest of what it led to.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Inputs in the order of the stages.
    pub artifacts: Vec<ArtifactFacts>,
    /// What was used, and its version: `tuwen`, `device`, `precision`, …
    pub versions: Vec<(String, String)>,
}

/// A sealed input.
#[derive(Debug, Clone, Serialize)]
pub struct ArtifactFacts {
    pub stage: String,
    /// `dataset`, `checkpoint`, …
    pub kind: String,
    pub fingerprint: String,
}
