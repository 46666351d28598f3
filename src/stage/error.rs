//! An error of any room on its way to the exit code.
use std::error::Error;
use std::fmt;

use crate::data::ErrorClass;
use crate::model::ModelError;
use crate::store::StoreError;

/// An error with its class; the message is the room's own.
#[derive(Debug)]
pub struct StageError {
    class: ErrorClass,
    source: Box<dyn Error + Send + Sync>,
}

impl StageError {
    /// Wraps an error of a room.
    pub fn new(class: ErrorClass, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { class, source: source.into() }
    }

    /// A defect of tuwen itself.
    pub fn internal(message: String) -> Self {
        Self::new(ErrorClass::Internal, message)
    }

    pub fn class(&self) -> ErrorClass {
        self.class
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for StageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

impl From<StoreError> for StageError {
    fn from(error: StoreError) -> Self {
        Self::new(error.class(), error)
    }
}

impl From<ModelError> for StageError {
    fn from(error: ModelError) -> Self {
        Self::new(error.class(), error)
    }
}
