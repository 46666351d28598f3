//! What can go wrong while data come in.
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::data::{ErrorClass, Split};
use crate::stage::StageError;
use crate::store::StoreError;

/// Errors of the room `ingest`.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: not found; check `source` of the stage")]
    Missing { path: PathBuf },
    #[error("{path}: not a regular file")]
    NotAFile { path: PathBuf },
    #[error(transparent)]
    Store(StoreError),
    #[error("{path}: no file {expected} lies there; check `source.root` of the stage")]
    NoFiles { path: PathBuf, expected: &'static str },
    #[error("{path}: {source}")]
    Csv { path: PathBuf, source: csv::Error },
    #[error("{path}: column `{column}` is missing; the first line must name `image` and `text`")]
    Column { path: PathBuf, column: String },
    #[error("{path}: column `{column}` is missing; name yours in `source.columns`: the file has {present}")]
    ParquetColumn { path: PathBuf, column: String, present: String },
    #[error("{path}: not a readable Parquet file: {source}")]
    Parquet { path: PathBuf, source: ParquetError },
    #[error("{path}: not a readable tar file: {source}; it may be cut off: fetch it again")]
    Tar { path: PathBuf, source: std::io::Error },
    #[error("{path}: not a readable LMDB file: {reason}; copy it again or build it anew")]
    Lmdb { path: PathBuf, reason: String },
    #[error("{path}: captions must end in .csv, .jsonl or .parquet, compressed or not")]
    CaptionFormat { path: PathBuf },
    #[error("split `{split}` is empty after ingest: {reason}")]
    EmptySplit { split: Split, reason: String },
    #[error(
        "{quarantined} of {rows} rows are bad, {allowed:.1} % may be; first: {first}; see {table} or raise `max_quarantine`"
    )]
    TooManyBadRows { quarantined: u64, rows: u64, allowed: f64, first: String, table: PathBuf },
    #[error(
        "{found} leaks into validation or test: {summary}; first: {first}; mend the splits, or set `on_leak` to drop or warn"
    )]
    Leaked { found: u64, summary: String, first: String },
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

    /// Wraps an error of the CSV reader with the path it is about.
    pub fn csv(path: &Path) -> impl FnOnce(csv::Error) -> Self {
        move |source| Self::Csv { path: path.to_owned(), source }
    }

    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } | Self::Tar { source, .. } => class_of(source),
            Self::Csv { source, .. } => match source.kind() {
                csv::ErrorKind::Io(source) => class_of(source),
                _ => ErrorClass::BadInput,
            },
            Self::Store(error) => error.class(),
            Self::Missing { .. } | Self::NoFiles { .. } => ErrorClass::NotFound,
            _ => ErrorClass::BadInput,
        }
    }

    /// Whether one row is to blame, so that it goes to quarantine and the others go on.
    pub fn is_of_one_row(&self) -> bool {
        matches!(self, Self::Decode { .. } | Self::Missing { .. } | Self::NotAFile { .. })
            || matches!(self, Self::Store(StoreError::TooLarge { .. }))
    }
}

/// What neither the system nor the network reports comes from a decoder: the data are at fault.
fn class_of(error: &std::io::Error) -> ErrorClass {
    match ErrorClass::of_io(error) {
        ErrorClass::LocalIo if error.raw_os_error().is_none() => ErrorClass::BadInput,
        class => class,
    }
}

impl From<StoreError> for IngestError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io { path, source } => Self::io(&path)(source),
            StoreError::NotAFile { path } => Self::NotAFile { path },
            StoreError::Object { source: object_store::Error::NotFound { path, .. } } => {
                Self::Missing { path: path.into() }
            }
            other => Self::Store(other),
        }
    }
}

impl From<IngestError> for StageError {
    fn from(error: IngestError) -> Self {
        Self::new(error.class(), error)
    }
}
