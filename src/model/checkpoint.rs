//! Weights on disk: the native safetensors with the reference's keys, and the reference's own files read without
//! executing anything.
use std::collections::HashMap;
use std::path::Path;

use half::{bf16, f16};
use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use super::config::ClipConfig;
use super::error::ModelError;
use super::parameters::{NamedTensor, StateDict};

const WEIGHTS_FILE: &str = "model.safetensors";
const CONFIG_FILE: &str = "config.json";

/// A model configuration with its weights.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub config: ClipConfig,
    pub state: StateDict,
}

impl Checkpoint {
    /// Writes `config.json` and `model.safetensors` into `folder`.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        let config = folder.join(CONFIG_FILE);
        let json = serde_json::to_vec_pretty(&self.config)
            .map_err(|source| ModelError::InvalidConfig { path: config.clone(), source })?;
        std::fs::write(&config, json).map_err(|source| ModelError::Io { path: config, source })?;
        write_safetensors(&folder.join(WEIGHTS_FILE), &self.state)
    }

    /// Reads what [`Self::save`] wrote.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let config = Self::open_config(folder)?;
        Ok(Self { config, state: read_safetensors(&folder.join(WEIGHTS_FILE))? })
    }

    /// Only the configuration.
    pub fn open_config(folder: &Path) -> Result<ClipConfig, ModelError> {
        let path = folder.join(CONFIG_FILE);
        let json = std::fs::read(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
        serde_json::from_slice(&json).map_err(|source| ModelError::InvalidConfig { path, source })
    }
}

/// Weights with the reference's keys from `.safetensors` or `.pt`; `module.` prefixes and BERT's unused pooler are
/// dropped.
pub fn read_reference_weights(path: &Path) -> Result<StateDict, ModelError> {
    let state = match path.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => read_safetensors(path)?,
        _ => read_pytorch(path)?,
    };
    Ok(state
        .into_iter()
        .map(|(key, tensor)| (key.strip_prefix("module.").unwrap_or(&key).to_owned(), tensor))
        .filter(|(key, _)| !key.contains("bert.pooler"))
        .collect())
}

/// Writes tensors sorted by key, as 32-bit floats.
pub fn write_safetensors(path: &Path, state: &StateDict) -> Result<(), ModelError> {
    let bytes: Vec<(&String, Vec<usize>, Vec<u8>)> = state
        .iter()
        .map(|(key, tensor)| {
            // The reference keeps the logit scale without a dimension.
            let shape = if key == "logit_scale" { Vec::new() } else { tensor.shape.clone() };
            (key, shape, tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let mut views = Vec::with_capacity(bytes.len());
    for (key, shape, data) in &bytes {
        let view = TensorView::new(Dtype::F32, shape.clone(), data).map_err(|e| unreadable(path, &e))?;
        views.push((key.as_str(), view));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(metadata), path).map_err(|error| match error {
        SafeTensorError::IoError(source) => ModelError::Io { path: path.to_owned(), source },
        other => unreadable(path, &other),
    })
}

/// Reads every floating-point tensor as 32 bits.
pub fn read_safetensors(path: &Path) -> Result<StateDict, ModelError> {
    let bytes = std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| unreadable(path, &e))?;
    let mut state = StateDict::new();
    for (key, view) in file.iter() {
        let values = match view.dtype() {
            Dtype::F32 => floats(view.data(), f32::from_le_bytes),
            Dtype::F16 => floats(view.data(), |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => floats(view.data(), |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F64 => floats(view.data(), |b| f64::from_le_bytes(b) as f32),
            // Integer buffers such as position ids are not parameters.
            _ => continue,
        };
        state.insert(key.to_owned(), named(view.shape(), values));
    }
    Ok(state)
}

fn read_pytorch(path: &Path) -> Result<StateDict, ModelError> {
    if !path.exists() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(ModelError::Io { path: path.to_owned(), source });
    }
    let reader = PytorchReader::new(path).map_err(|e| unreadable(path, &e))?;
    let nested = reader.keys().iter().any(|key| key.starts_with("state_dict."));
    let mut state = StateDict::new();
    for (key, tensor) in reader.tensors() {
        let key = match (nested, key.strip_prefix("state_dict.")) {
            (true, Some(key)) => key,
            (true, None) => continue,
            (false, _) => key.as_str(),
        };
        let bytes = tensor.read().map_err(|e| unreadable(path, &e))?;
        let values = match tensor.dtype() {
            DType::F32 => floats(&bytes, f32::from_le_bytes),
            DType::F16 => floats(&bytes, |b| f16::from_le_bytes(b).to_f32()),
            DType::BF16 => floats(&bytes, |b| bf16::from_le_bytes(b).to_f32()),
            DType::F64 => floats(&bytes, |b| f64::from_le_bytes(b) as f32),
            _ => continue,
        };
        state.insert(key.to_owned(), named(tensor.shape(), values));
    }
    Ok(state)
}

/// The reference's scalars have no dimension; ours have one.
fn named(shape: &[usize], values: Vec<f32>) -> NamedTensor {
    let shape = if shape.is_empty() { vec![1] } else { shape.to_vec() };
    NamedTensor { shape, values }
}

fn floats<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| convert(*chunk)).collect()
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> ModelError {
    ModelError::UnreadableWeights { path: path.to_owned(), reason: error.to_string() }
}
