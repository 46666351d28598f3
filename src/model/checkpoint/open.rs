//! Any file or folder that holds a Chinese-CLIP, whoever wrote it.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{
    CONFIG_FILE, RawWeights, WEIGHTS_FILE, hugging_face, io, pytorch, read_config, read_json, reference, safetensors,
};
use crate::model::config::{ClipConfig, ConfigChanges};
use crate::model::error::ModelError;
use crate::model::parameters::StateDict;
use crate::model::text::tokenizer::{Tokenizer, VOCABULARY};

/// The file of weights in a folder: the first that is there.
pub const WEIGHTS_FILES: [&str; 2] = [WEIGHTS_FILE, "pytorch_model.bin"];
const VOCABULARY_FILE: &str = "vocab.txt";

/// Who wrote a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightsFormat {
    /// A folder that tuwen wrote.
    Native,
    /// The reference's state dict, as its trainer or a bare `torch.save` wrote it.
    ChineseClip,
    /// The same, with the layers of flash-attention.
    ChineseClipFlashAttention,
    HuggingFace,
}

impl WeightsFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "tuwen",
            Self::ChineseClip => "chinese-clip",
            Self::ChineseClipFlashAttention => "chinese-clip with flash-attention",
            Self::HuggingFace => "hugging-face",
        }
    }
}

/// A model that was read and held against its configuration.
#[derive(Debug)]
pub struct ModelFile {
    pub format: WeightsFormat,
    /// The file that the weights stand in.
    pub weights: PathBuf,
    pub config: ClipConfig,
    /// Weights under the reference's names.
    pub state: StateDict,
    /// How many tensors the file holds of each number format.
    pub dtypes: BTreeMap<&'static str, usize>,
}

/// Opens a native or Hugging Face folder, or a file of weights (`.safetensors`, `.pt`, `.bin`). The configuration is
/// `given`, or the `config.json` beside the weights, or what the shapes of the reference's weights tell; then `changes`
/// are made to it.
pub fn open_model(path: &Path, given: Option<ClipConfig>, changes: ConfigChanges) -> Result<ModelFile, ModelError> {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let weights = weights_file(path)?;
    let RawWeights { state, dtypes } = match weights.extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => safetensors::read_raw(&weights)?,
        _ => pytorch::read_raw(&weights)?,
    };
    let beside = folder.map(|folder| folder.join(CONFIG_FILE));
    let (format, config, state) = if hugging_face::has_names(&state) {
        let config = match (given, beside) {
            (Some(config), _) => config,
            (None, Some(beside)) => hugging_face::parse_config(&read_json(&beside)?)?,
            (None, None) => return Err(no_model(&weights)),
        };
        if let Some(folder) = folder {
            check_vocabulary(&folder.join(VOCABULARY_FILE))?;
        }
        let state = hugging_face::from_names(&config, state)?;
        (WeightsFormat::HuggingFace, config, state)
    } else {
        let (state, flash) = reference::canonical(RawWeights { state, dtypes: BTreeMap::new() });
        let native = beside.filter(|beside| given.is_none() && is_native(beside));
        let (format, config) = match (given, native) {
            (Some(config), _) => (WeightsFormat::ChineseClip, config),
            (None, Some(beside)) => (WeightsFormat::Native, read_config(&beside)?),
            (None, None) => (WeightsFormat::ChineseClip, reference::infer_config(&weights, &state)?),
        };
        (if flash { WeightsFormat::ChineseClipFlashAttention } else { format }, config, state)
    };
    let config = config.with(changes)?;
    let state = config.fit(state)?;
    Ok(ModelFile { format, weights, config, state, dtypes })
}

/// Whether a config.json is tuwen's; the published `.pt` files lie beside one of Hugging Face.
fn is_native(path: &Path) -> bool {
    path.is_file() && read_json(path).map_or(true, |json| json.get("model_type").is_none())
}

/// The file with the weights: `path` itself, or the one in the folder `path`.
pub fn weights_file(path: &Path) -> Result<PathBuf, ModelError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let found = WEIGHTS_FILES.map(|name| path.join(name)).into_iter().find(|path| path.is_file());
    found.ok_or_else(|| ModelError::NoWeights { path: path.to_owned() })
}

impl ModelFile {
    /// Fails where texts would be given ids that mean something else to the model.
    pub fn check_tokenizer(&self) -> Result<(), ModelError> {
        let (expected, found) = (Tokenizer::VOCABULARY_SIZE, self.config.text.vocab_size);
        if expected != found {
            return Err(ModelError::TokenizerMismatch {
                path: self.weights.clone(),
                expected: format!("{expected} entries"),
                found: format!("{found}"),
            });
        }
        Ok(())
    }
}

/// A folder may bring its own vocabulary; any other than ours would give other ids.
fn check_vocabulary(path: &Path) -> Result<(), ModelError> {
    if !path.is_file() {
        return Ok(());
    }
    let found = std::fs::read_to_string(path).map_err(io(path))?;
    if found.lines().eq(VOCABULARY.lines()) {
        return Ok(());
    }
    Err(ModelError::TokenizerMismatch {
        path: path.to_owned(),
        expected: format!("the {} entries of bert-base-chinese", Tokenizer::VOCABULARY_SIZE),
        found: format!("{} other ones", found.lines().count()),
    })
}

fn no_model(path: &Path) -> ModelError {
    let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no config.json beside the weights");
    io(path)(source)
}
