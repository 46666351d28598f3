//! What can go wrong with an index.
use std::path::PathBuf;

use crate::data::ErrorClass;
use crate::model::ModelError;
use crate::stage::StageError;
use crate::store::StoreError;

/// Errors of the room `index`.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("{path}: keyword index: {source}")]
    Keyword { path: PathBuf, source: tantivy::TantivyError },
    #[error("user dictionary, line {line}: {reason}")]
    Dictionary { line: usize, reason: String },
    #[error("the dictionary for traditional characters is broken: {reason}")]
    Conversion { reason: String },
    #[error("{path}: not an index of this version: {reason}; re-run the index stage")]
    Broken { path: PathBuf, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("dimension mismatch: index has {expected}, query has {found}; re-run stage `embed`")]
    Dimension { expected: usize, found: usize },
    #[error("the set is about {found} rows, the index has {expected}")]
    OtherRows { expected: usize, found: usize },
    #[error("{rows} vectors are more than one index holds; divide the data sets among index stages")]
    TooMany { rows: usize },
    #[error("the index was built with model {expected}, the query was encoded by {found}; re-run the index stage")]
    OtherModel { expected: String, found: String },
    #[error("there is no image to index: the data sets of the embed stage are empty")]
    Empty,
    #[error(
        "no data set of the index has labelled texts in its validation split to tune `fusion.alpha` on; give a number"
    )]
    NothingToTune,
    #[error(
        "the index holds no texts; set `texts: true` at its stage, give the data sets texts, and run the pipeline again"
    )]
    NoTexts,
    #[error("search mode `{mode}` needs {needs}")]
    Query { mode: &'static str, needs: &'static str },
}

impl IndexError {
    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Keyword { .. } => ErrorClass::LocalIo,
            Self::Conversion { .. } => ErrorClass::Internal,
            Self::Store(error) => error.class(),
            Self::Model(error) => error.class(),
            _ => ErrorClass::BadInput,
        }
    }
}

impl From<IndexError> for StageError {
    fn from(error: IndexError) -> Self {
        Self::new(error.class(), error)
    }
}
