//! What can go wrong with embedding tables.
use std::path::PathBuf;

use crate::data::ErrorClass;
use crate::stage::StageError;

/// Errors of the room `embed`.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error("embeddings hold no model `{model}`, they hold: {known}; add it to `needs.models` of the embed stage")]
    UnknownModel { model: String, known: String },
    #[error("{path}: vectors have {found} dimensions, the model has {expected}; re-run the embed stage")]
    Dimension { path: PathBuf, expected: usize, found: usize },
    #[error("{place}: {reason}; mend the row, or allow more than {allowed} such rows with --max-quarantine")]
    BadRow { place: String, reason: String, allowed: u64 },
    #[error("{path}: nothing to encode; expected a folder of images, a TSV of ids and base64, or a JSONL of texts")]
    EmptySource { path: PathBuf },
    #[error("the model gave a vector that is not finite for {kind} `{id}`; the checkpoint is broken")]
    NotFinite { kind: &'static str, id: String },
}

impl From<EmbedError> for StageError {
    fn from(error: EmbedError) -> Self {
        Self::new(ErrorClass::BadInput, error)
    }
}
