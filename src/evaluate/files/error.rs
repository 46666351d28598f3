//! What can go wrong with the files of others.
use std::path::{Path, PathBuf};

use crate::data::ErrorClass;
use crate::stage::StageError;

/// Errors of reading and writing these formats.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{path}: not found; check the name")]
    Missing { path: PathBuf },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    /// One line is to blame; `reason` ends with the remedy.
    #[error("{path}:{line}: {reason}")]
    Line { path: PathBuf, line: u64, reason: String },
    #[error("{path}: no line that is not blank; check that the step that makes this file has run")]
    Empty { path: PathBuf },
    #[error("id `{id}` holds a space, which this format cannot carry; give ids without spaces")]
    SpacedId { id: String },
    #[error(
        "the vectors of the queries have {queries} values, those of the documents {documents}; encode both with one model"
    )]
    Dimensions { queries: usize, documents: usize },
}

impl FileError {
    /// Wraps an error of the operating system with the path it is about.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => Self::Missing { path: path.to_owned() },
            _ => Self::Io { path: path.to_owned(), source },
        }
    }

    /// Blames a line, counted from 1.
    pub fn line(path: &Path, line: u64, reason: impl Into<String>) -> Self {
        Self::Line { path: path.to_owned(), line, reason: reason.into() }
    }

    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Missing { .. } => ErrorClass::NotFound,
            Self::Io { source, .. } => ErrorClass::of_io(source),
            _ => ErrorClass::BadInput,
        }
    }
}

impl From<FileError> for StageError {
    fn from(error: FileError) -> Self {
        Self::new(error.class(), error)
    }
}
