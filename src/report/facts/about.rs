//! Where a report comes from.
use serde::Serialize;

/// The run behind a report.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AboutFacts {
    /// The pipeline file as given; absent where it is not known.
    pub pipeline: Option<String>,
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

/// What a gate decided.
#[derive(Debug, Clone, Serialize)]
pub struct GateFacts {
    pub passed: bool,
    /// Why, as one sentence.
    pub sentence: String,
}
