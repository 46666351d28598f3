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
    #[error(
        "{path}: holds no Chinese-CLIP: the tensor `{key}` is missing; give a checkpoint of the reference, of Hugging Face or of tuwen"
    )]
    NotAModel { path: PathBuf, key: String },
    #[error(
        "{path}: no published model has these shapes, and widths of heads leave no trace in them; give --preset or --config"
    )]
    UnknownArchitecture { path: PathBuf },
    #[error("{path}: no model.safetensors or pytorch_model.bin in this folder")]
    NoWeights { path: PathBuf },
    #[error("{path}: the tokenizer does not fit: tuwen's has {expected}, the model's {found}")]
    TokenizerMismatch { path: PathBuf, expected: String, found: String },
    #[error("Hugging Face's ChineseCLIPModel has no residual network; export `{name}` as chinese-clip or tuwen")]
    NoHuggingFaceLayout { name: String },
    #[error("{path}: not a readable checkpoint: {reason}; expected .safetensors or a .pt state dict")]
    UnreadableWeights { path: PathBuf, reason: String },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: model configuration is invalid: {source}")]
    InvalidConfig { path: PathBuf, source: serde_json::Error },
    #[error("unknown device `{name}`; expected auto, cpu, cuda:N or cuda:N,M")]
    UnknownDevice { name: String },
    #[error("device `{name}` is not on this machine: {reason}; use --device cpu or auto")]
    MissingDevice { name: String, reason: String },
    #[error("context length {found} does not fit: the model takes 3 to {expected} tokens; change context_length")]
    ContextTooLong { expected: usize, found: usize },
    #[error("token id {id} is outside the vocabulary of {expected}; the tokenizer and the model do not fit")]
    UnknownToken { id: u32, expected: usize },
    #[error("configuration `{name}` is impossible: {problem}; correct config.json or the option")]
    ImpossibleConfig { name: String, problem: &'static str },
    #[error("{found} values are no whole number of vectors of {dimension} dimensions; re-run stage `embed`")]
    VectorLength { dimension: usize, found: usize },
    #[error("vector {row} is not finite, or its length is neither zero nor in 1e-12..=1e12; re-run stage `embed`")]
    VectorRange { row: usize },
    #[error("the device failed: {reason}; give the same command again, or divide the batch with `accumulation`")]
    Device { reason: String },
}

impl ModelError {
    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { source, .. } => ErrorClass::of_io(source),
            Self::NoWeights { .. } => ErrorClass::NotFound,
            Self::UnknownDevice { .. } | Self::MissingDevice { .. } => ErrorClass::Unavailable,
            Self::Device { .. } => ErrorClass::Temporary,
            _ => ErrorClass::BadInput,
        }
    }
}
