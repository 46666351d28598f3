//! What a stage leaves behind: an immutable folder named by kind and fingerprint.
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Fingerprint;

/// The kinds of artifact, one per kind of result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactKind {
    /// Tables `images`, `texts`, `pairs`, `quarantine` and the LMDB image store.
    Dataset,
    /// Table `leaks`.
    Audit,
    /// Weights, model configuration, tokenizer and training log.
    Checkpoint,
    /// Table `embeddings`, one file per model, data set and shard.
    Embeddings,
    /// Keyword index and vectors.
    Index,
    /// Tables `scores`, `rankings`, `qrels`.
    Scores,
    /// HTML, Markdown and JSON pages.
    Report,
}

impl ArtifactKind {
    /// The folder name below `artifacts/`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Audit => "audit",
            Self::Checkpoint => "checkpoint",
            Self::Embeddings => "embeddings",
            Self::Index => "index",
            Self::Scores => "scores",
            Self::Report => "report",
        }
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an artifact lies: kind and fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArtifactKey {
    pub kind: ArtifactKind,
    pub fingerprint: Fingerprint,
}

impl ArtifactKey {
    /// The key prefix in the store, without a trailing slash.
    pub fn prefix(&self) -> String {
        format!("artifacts/{}/{}", self.kind, self.fingerprint)
    }
}

impl fmt::Display for ArtifactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.fingerprint)
    }
}
