//! What can go wrong between the file and the run.
use std::path::PathBuf;

use crate::data::{ArtifactKey, Diagnostic, ErrorClass};
use crate::stage::StageError;

/// Errors of the room `pipeline`.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} problem(s) in the pipeline file", problems.len())]
    Invalid { problems: Vec<Diagnostic> },
    #[error("no stage has the id `{id}`; the file has: {known}")]
    UnknownStage { id: String, known: String },
    #[error("stage `{stage}` ({kind}) is made in one piece; use `tuwen run FILE --until {stage}`")]
    Undivided { stage: String, kind: &'static str },
    #[error("{wanted}: stage `{stage}` has {count} shards; give an index from 0 and below {limit}")]
    NoSuchShard { stage: String, wanted: String, count: usize, limit: usize },
    #[error("stage `{stage}` reads {missing}, not made yet; use {remedy} first")]
    InputsMissing { stage: String, missing: String, remedy: String },
    #[error(
        "{store} holds no list of shards for {artifact}; use `tuwen shard list FILE --stage {stage}` where the sources are"
    )]
    NotListed { stage: String, artifact: ArtifactKey, store: String },
    #[error(
        "the file's stage `{stage}` is not the one that makes {artifact}; use the file of `tuwen shard list`, or list again"
    )]
    OtherStage { stage: String, artifact: ArtifactKey },
    #[error("stage `{stage}`: {source}")]
    Stage { stage: String, source: StageError },
    #[error(transparent)]
    Other(#[from] StageError),
}

impl PipelineError {
    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } => ErrorClass::of_io(source),
            Self::Invalid { .. } => ErrorClass::InvalidSpec,
            Self::UnknownStage { .. } | Self::InputsMissing { .. } | Self::NotListed { .. } => ErrorClass::NotFound,
            Self::Undivided { .. } | Self::NoSuchShard { .. } => ErrorClass::Usage,
            Self::OtherStage { .. } => ErrorClass::InvalidSpec,
            Self::Stage { source, .. } | Self::Other(source) => source.class(),
        }
    }
}
