//! What can go wrong between the file and the run.
use std::path::PathBuf;

use crate::data::{Diagnostic, ErrorClass};
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
            Self::UnknownStage { .. } => ErrorClass::NotFound,
            Self::Stage { source, .. } | Self::Other(source) => source.class(),
        }
    }
}
