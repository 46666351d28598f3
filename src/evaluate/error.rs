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
    #[error("the ranking of query `{query}` holds document `{document}` twice; keep its best place only")]
    DuplicateDocument { query: String, document: String },
    #[error("query `{query}` has two rankings in one evaluation; compare one model on one data set at a time")]
    DuplicateQuery { query: String },
    #[error("query `{query}` has other relevant documents in the one evaluation than in the other; evaluate both anew")]
    DifferentJudgements { query: String },
    #[error(
        "no query is in both evaluations ({published} published, {candidate} of the candidate); \
         compare the same data set, split and direction"
    )]
    NoCommonQueries { published: usize, candidate: usize },
}

impl From<EvaluateError> for StageError {
    fn from(error: EvaluateError) -> Self {
        Self::new(ErrorClass::BadInput, error)
    }
}
