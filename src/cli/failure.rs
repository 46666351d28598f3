//! An error at the end of its way: a message and an exit code.
use crate::data::{Diagnostic, ErrorClass};
use crate::evaluate::files::FileError;
use crate::index::IndexError;
use crate::ingest::IngestError;
use crate::model::ModelError;
use crate::pipeline::PipelineError;
use crate::stage::StageError;
use crate::store::StoreError;

/// What the user is told.
#[derive(Debug)]
pub struct Failure {
    pub class: ErrorClass,
    pub message: String,
    /// Problems of a pipeline file.
    pub diagnostics: Vec<Diagnostic>,
}

impl Failure {
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), diagnostics: Vec::new() }
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        let (class, message) = (error.class(), error.to_string());
        let diagnostics = match error {
            PipelineError::Invalid { problems } => problems,
            _ => Vec::new(),
        };
        Self { class, message, diagnostics }
    }
}

impl From<StageError> for Failure {
    fn from(error: StageError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}
