//! What can go wrong with bytes.
use std::path::{Path, PathBuf};

use crate::data::{ErrorClass, conceal};

/// Errors of the room `store`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error(
        "`{url}`: scheme `{scheme}` is not supported; use a path, file://, s3://, gs://, az:// or, for a store, memory://"
    )]
    UnknownScheme { scheme: String, url: String },
    #[error("object store: {}", conceal(&source.to_string()))]
    Object { source: object_store::Error },
    #[error("{url}: the settings of the environment make no client: {}; correct {variables}", conceal(&source.to_string()))]
    Settings { url: String, variables: &'static str, source: object_store::Error },
    #[error("`where: {sql}`: {reason}{}", if columns.is_empty() { String::new() } else { format!("; columns: {columns}") })]
    Filter { sql: String, reason: String, columns: String },
    #[error("{path}: not a regular file")]
    NotAFile { path: PathBuf },
    #[error("{path}: {bytes} bytes, at most {limit} are accepted")]
    TooLarge { path: PathBuf, bytes: u64, limit: u64 },
    #[error("object key `{key}` is not valid: {source}")]
    Key { key: String, source: object_store::path::Error },
    #[error("{path}: LMDB: {source}")]
    Lmdb { path: PathBuf, source: heed::Error },
    #[error("{path}: entry {entry}: a key has 1 to {limit} bytes, this one has {bytes}; choose another id")]
    KeySize { path: PathBuf, entry: u64, bytes: usize, limit: usize },
    #[error("{path}: entry {entry}: the value has {bytes} bytes, at most {limit} are stored; leave it out")]
    ValueSize { path: PathBuf, entry: u64, bytes: usize, limit: usize },
    #[error(
        "{path}: entry {entry}: key `{key}` is not greater than `{previous}` before it; append every key once, in the order of their bytes"
    )]
    KeyOrder { path: PathBuf, entry: u64, previous: String, key: String },
    #[error("{path}: table could not be written: {source}")]
    Write { path: PathBuf, source: ::parquet::errors::ParquetError },
    #[error("{path}: table is not readable: {source}")]
    Parquet { path: PathBuf, source: ::parquet::errors::ParquetError },
    #[error("{path}: table is not readable: {source}")]
    Arrow { path: PathBuf, source: arrow_schema::ArrowError },
    #[error("{path}: column `{column}` is missing or has another type; the file is not a `{table}` table")]
    Column { path: PathBuf, table: &'static str, column: &'static str },
    #[error("{key}: not valid JSON: {source}; the object was damaged or written by another program")]
    Json { key: String, source: serde_json::Error },
    #[error("{key}: expected {expected} bytes with digest {digest}, found another content; run the stage again")]
    Damaged { key: String, expected: u64, digest: String },
    #[error("artifact {key} does not exist in {store}; run the pipeline first")]
    NoArtifact { key: String, store: String },
    #[error("no release in {store}; run a pipeline first")]
    NoRelease { store: String },
    #[error("release {release} of {pipeline} is gone: `gc` collected it; choose another one of `tuwen releases list`")]
    Collected { pipeline: String, release: u64 },
    #[error("{key} was written by another run at the same time; run again")]
    Conflict { key: String },
    #[error("pipeline `{pipeline}` is being run by {by}; wait for it to end, or use --lock wait")]
    Held { pipeline: String, by: String },
    #[error(
        "another run took the lease of pipeline `{pipeline}` over while this one was silent; nothing was published"
    )]
    Fenced { pipeline: String },
    #[error("another run is working in {path}; wait for it to end")]
    Locked { path: PathBuf },
    #[error("the request budget of {requests} is used up; run again with a larger one to continue")]
    Budget { requests: u64 },
    #[error(
        "store {url}: {found}; two runs could publish the same number, so nothing is published; use another server, or --allow-weak-store if only one run ever publishes"
    )]
    WeakStore { url: String, found: String },
    #[error("the system's random generator failed: {reason}")]
    Random { reason: String },
}

impl StoreError {
    /// Wraps an error of the operating system with the path it is about.
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// Whether an object store could not be reached or gave no answer that means anything.
    pub(super) fn is_of_connection(&self) -> bool {
        matches!(self, Self::Object { source: object_store::Error::Generic { .. } })
    }

    pub(super) fn object(source: object_store::Error) -> Self {
        Self::Object { source }
    }

    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => ErrorClass::of_io(source),
            Self::Lmdb { source: heed::Error::Io(source), .. } => ErrorClass::of_io(source),
            Self::Lmdb { .. } | Self::Write { .. } => ErrorClass::LocalIo,
            Self::Parquet { source: ::parquet::errors::ParquetError::External(source), .. } => {
                source.downcast_ref().map_or(ErrorClass::BadInput, ErrorClass::of_io)
            }
            // Of batches the library gives it as text alone.
            Self::Arrow { source, .. } if source.to_string().contains("(os error ") => ErrorClass::LocalIo,
            Self::UnknownScheme { .. } | Self::NoArtifact { .. } | Self::NoRelease { .. } | Self::Collected { .. } => {
                ErrorClass::NotFound
            }
            Self::Settings { .. } => ErrorClass::Permission,
            Self::Object { source } => match source {
                object_store::Error::NotFound { .. } => ErrorClass::NotFound,
                object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                    ErrorClass::Permission
                }
                // Of listings the client gives these as text alone.
                source if mentions(source, &["NoSuchBucket", "InvalidBucketName", "ContainerNotFound"]) => {
                    ErrorClass::NotFound
                }
                source if mentions(source, &["403 Forbidden", "401 Unauthorized"]) => ErrorClass::Permission,
                _ => ErrorClass::Temporary,
            },
            Self::Conflict { .. } | Self::Locked { .. } | Self::Held { .. } | Self::Fenced { .. } => {
                ErrorClass::Conflict
            }
            Self::Budget { .. } => ErrorClass::Temporary,
            Self::WeakStore { .. } => ErrorClass::InvalidSpec,
            Self::Random { .. } => ErrorClass::Internal,
            _ => ErrorClass::BadInput,
        }
    }
}

fn mentions(error: &object_store::Error, words: &[&str]) -> bool {
    let text = error.to_string();
    words.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_the_disk_does_not_give_is_no_damage() {
        let disk = || std::io::Error::from_raw_os_error(5);
        let path = || PathBuf::from("rows.parquet");
        let opened = ::parquet::errors::ParquetError::from(disk());
        assert_eq!(StoreError::Parquet { path: path(), source: opened }.class(), ErrorClass::LocalIo);
        let read = arrow_schema::ArrowError::from(::parquet::errors::ParquetError::from(disk()));
        assert_eq!(StoreError::Arrow { path: path(), source: read }.class(), ErrorClass::LocalIo);
        let damaged = ::parquet::errors::ParquetError::General("no magic".to_owned());
        assert_eq!(StoreError::Parquet { path: path(), source: damaged }.class(), ErrorClass::BadInput);
    }
}
