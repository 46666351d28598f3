//! What can go wrong with an evaluation.
use crate::data::{ErrorClass, Split};
use crate::stage::StageError;

/// Errors of the room `evaluate`.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("data set `{data}` has no labelled pairs in split {split}; choose another `split`")]
    NoLabels { data: String, split: Split },
    #[error("data set `{data}` has labels in neither test nor valid; there is nothing to measure")]
    NoHeldOut { data: String },
}

impl From<EvaluateError> for StageError {
    fn from(error: EvaluateError) -> Self {
        Self::new(ErrorClass::BadInput, error)
    }
}
