//! What can go wrong with models, weights and devices.
use std::path::PathBuf;

use crate::data::ErrorClass;

/// Errors of the room `model`.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("unknown preset `{name}`; known presets: {known}")]
    UnknownPreset { name: String, known: String },
    #[error(
        "weights lack the tensor `{key}` of shape {expected:?}; the file holds another architecture or is not whole"
    )]
    MissingTensor { key: String, expected: Vec<usize> },
    #[error("tensor `{key}` has shape {found:?}, the model expects {expected:?}; check the preset against the weights")]
    WrongShape { key: String, expected: Vec<usize>, found: Vec<usize> },
    #[error(
        "weights hold {count} tensors that the model has no place for, the first is `{first}`; check the preset against the weights"
    )]
    UnusedTensors { count: usize, first: String },
    #[error("{path}: not a readable checkpoint: {reason}; expected .safetensors or a .pt state dict")]
    UnreadableWeights { path: PathBuf, reason: String },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: model configuration is invalid: {source}")]
    InvalidConfig { path: PathBuf, source: serde_json::Error },
    #[error("unknown device `{name}`; expected auto, cpu or cuda:N")]
    UnknownDevice { name: String },
    #[error("device `{name}` is not on this machine: {reason}; use --device cpu or auto")]
    MissingDevice { name: String, reason: String },
    #[error("text is {found} tokens wide, the model takes at most {expected}; lower context_length")]
    ContextTooLong { expected: usize, found: usize },
    #[error("the device failed: {reason}; lower the batch size or resume later")]
    Device { reason: String },
}

impl ModelError {
    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => ErrorClass::of_io(source),
            Self::UnknownDevice { .. } | Self::MissingDevice { .. } => ErrorClass::Unavailable,
            Self::Device { .. } => ErrorClass::Temporary,
            _ => ErrorClass::BadInput,
        }
    }
}
