//! What an index says of itself: the file `index.json` and the dictionary beside it.
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::text::UserDictionary;
use super::{AboutTuning, AnalyzerKind, Fusion, IndexError, VERSION};
use crate::data::ArtifactKey;
use crate::stage::StageError;
use crate::store::{StoreError, write_whole};

const ABOUT_FILE: &str = "index.json";
const DICTIONARY_FILE: &str = "dictionary.txt";

/// What an index says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AboutIndex {
    pub version: u32,
    /// Images.
    pub rows: usize,
    /// Texts, 0 if the stage leaves them out.
    pub texts: usize,
    pub dimension: usize,
    /// The checkpoint whose vectors these are; queries must come from the same one.
    pub model: ArtifactKey,
    /// Tokens that the model reads of a text, `[CLS]` and `[SEP]` included.
    pub context_length: usize,
    /// Digest of the tokenizer's vocabulary.
    pub tokenizer: String,
    pub analyzer: AnalyzerKind,
    pub hmm: bool,
    /// Weight of the second field, if there is one.
    pub bigram_weight: Option<f32>,
    pub dictionary: Option<AboutDictionary>,
    pub fusion: Fusion,
    /// How the weight of the fusion was found, if it was not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<AboutTuning>,
}

/// The user dictionary that an index was built with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutDictionary {
    /// Hexadecimal BLAKE3 of the file.
    pub digest: String,
    /// What its header names.
    pub version: Option<String>,
}

impl AboutIndex {
    pub(super) fn open(folder: &Path) -> Result<Self, StageError> {
        let path = folder.join(ABOUT_FILE);
        let json = std::fs::read(&path).map_err(StoreError::io(&path))?;
        let broken = |reason: String| IndexError::Broken { path: path.clone(), reason };
        let value: serde_json::Value = serde_json::from_slice(&json).map_err(|error| broken(error.to_string()))?;
        if value["version"] != VERSION {
            return Err(broken(format!("it has version {}, this program reads {VERSION}", value["version"])).into());
        }
        Ok(serde_json::from_value(value).map_err(|error| broken(error.to_string()))?)
    }

    /// Writes the description and the dictionary it speaks of.
    pub(super) fn save(&self, folder: &Path, dictionary: Option<&str>) -> Result<(), StageError> {
        if let Some(words) = dictionary {
            write_whole(&folder.join(DICTIONARY_FILE), words.as_bytes())?;
        }
        let json = serde_json::to_vec_pretty(self).map_err(|error| StageError::internal(error.to_string()))?;
        Ok(write_whole(&folder.join(ABOUT_FILE), &json)?)
    }

    /// The dictionary beside the index, which must be the one that its texts were cut with.
    pub(super) fn open_dictionary(&self, folder: &Path) -> Result<Option<UserDictionary>, StageError> {
        let Some(expected) = &self.dictionary else { return Ok(None) };
        let path = folder.join(DICTIONARY_FILE);
        let words = std::fs::read_to_string(&path).map_err(StoreError::io(&path))?;
        let dictionary = UserDictionary::parse(&words)?;
        if dictionary.digest == expected.digest {
            return Ok(Some(dictionary));
        }
        let named = |version: &Option<String>| version.as_deref().map_or(String::new(), |name| format!(" ({name})"));
        let (found, built) = (named(&dictionary.version), named(&expected.version));
        let reason = format!("the dictionary{found} is not the one it was built with{built}");
        Err(IndexError::Broken { path, reason }.into())
    }
}
