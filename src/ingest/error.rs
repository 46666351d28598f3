//! What can go wrong while data come in.
use std::path::{Path, PathBuf};

use crate::data::{ErrorClass, Split};
use crate::stage::StageError;

/// Errors of the room `ingest`.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: not found; check `source.root` of the stage")]
    Missing { path: PathBuf },
    #[error("{path}: {source}")]
    Csv { path: PathBuf, source: csv::Error },
    #[error("{path}: column `{column}` is missing; the first line must name `image` and `text`")]
    Column { path: PathBuf, column: &'static str },
    #[error("{path}: captions must end in .csv or .jsonl")]
    CaptionFormat { path: PathBuf },
    #[error("split `{split}` is empty after ingest: {reason}")]
    EmptySplit { split: Split, reason: String },
    #[error(
        "{quarantined} of {rows} rows are bad, {allowed:.1} % may be; first: {first}; see {table} or raise `max_quarantine`"
    )]
    TooManyBadRows { quarantined: u64, rows: u64, allowed: f64, first: String, table: PathBuf },
    #[error("image is not readable: {reason}")]
    Decode { reason: String },
}

impl IngestError {
    /// Wraps an error of the operating system with the path it is about.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => Self::Missing { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), source },
        }
    }

    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => ErrorClass::of_io(source),
            Self::Missing { .. } => ErrorClass::NotFound,
            _ => ErrorClass::BadInput,
        }
    }
}

impl From<IngestError> for StageError {
    fn from(error: IngestError) -> Self {
        Self::new(error.class(), error)
    }
}
