//! Weights on disk: the native folder, the reference's files, and the layout of Hugging Face. Nothing in a file is
//! executed.

mod hugging_face;
mod open;
mod pytorch;
mod reference;
mod safetensors;

pub use hugging_face::write_hugging_face;
pub use open::{ModelFile, WEIGHTS_FILES, WeightsFormat, open_model, weights_file};
pub use pytorch::write_pytorch;
pub use safetensors::{read_safetensors, write_safetensors};

use std::collections::BTreeMap;
use std::path::Path;

use half::{bf16, f16};

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
        write_json(&folder.join(CONFIG_FILE), &self.config)?;
        write_safetensors(&folder.join(WEIGHTS_FILE), &self.state)
    }

    /// Reads what [`Self::save`] wrote.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let config = Self::open_config(folder)?;
        Ok(Self { config, state: read_safetensors(&folder.join(WEIGHTS_FILE))? })
    }

    /// Only the configuration.
    pub fn open_config(folder: &Path) -> Result<ClipConfig, ModelError> {
        read_config(&folder.join(CONFIG_FILE))
    }
}

/// A configuration in the native form.
pub fn read_config(path: &Path) -> Result<ClipConfig, ModelError> {
    let json = read_json(path)?;
    let config: ClipConfig = serde_json::from_value(json).map_err(invalid_config(path))?;
    config.check()?;
    Ok(config)
}

/// Tensors as a file holds them.
#[derive(Debug, Default)]
pub(super) struct RawWeights {
    pub state: StateDict,
    /// How many tensors there are of each number format.
    pub dtypes: BTreeMap<&'static str, usize>,
}

impl RawWeights {
    /// Takes up a tensor of little-endian numbers; integer buffers such as position ids are no weights.
    fn insert(&mut self, key: &str, shape: &[usize], dtype: &'static str, bytes: &[u8]) {
        let values = match dtype {
            "f32" => floats(bytes, f32::from_le_bytes),
            "f16" => floats(bytes, |b| f16::from_le_bytes(b).to_f32()),
            "bf16" => floats(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            "f64" => floats(bytes, |b| f64::from_le_bytes(b) as f32),
            _ => return,
        };
        *self.dtypes.entry(dtype).or_default() += 1;
        // The reference's scalars have no dimension; ours have one.
        let shape = if shape.is_empty() { vec![1] } else { shape.to_vec() };
        self.state.insert(key.to_owned(), NamedTensor { shape, values });
    }
}

fn floats<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| convert(*chunk)).collect()
}

/// The shape a tensor has in the reference's files.
fn stored_shape<'a>(key: &str, tensor: &'a NamedTensor) -> &'a [usize] {
    if key == "logit_scale" { &[] } else { &tensor.shape }
}

fn read_json(path: &Path) -> Result<serde_json::Value, ModelError> {
    let json = std::fs::read(path).map_err(io(path))?;
    serde_json::from_slice(&json).map_err(invalid_config(path))
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), ModelError> {
    let json = serde_json::to_vec_pretty(value).map_err(invalid_config(path))?;
    std::fs::write(path, json).map_err(io(path))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ModelError {
    move |source| ModelError::Io { path: path.to_owned(), source }
}

fn invalid_config(path: &Path) -> impl Fn(serde_json::Error) -> ModelError {
    move |source| ModelError::InvalidConfig { path: path.to_owned(), source }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> ModelError {
    ModelError::UnreadableWeights { path: path.to_owned(), reason: error.to_string() }
}
