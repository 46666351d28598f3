//! One index, three ways to ask it.
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::fusion::reciprocal_rank_fusion;
use super::text::{Analyzer, Document, KeywordIndex};
use super::vector::{VectorIndex, open_vectors};
use super::{AnalyzerKind, IndexError};
use crate::data::ArtifactKey;
use crate::stage::StageError;
use crate::store::{StoreError, write_whole};

const ABOUT_FILE: &str = "index.json";
const DICTIONARY_FILE: &str = "dictionary.txt";
/// Candidates that each side hands to the fusion.
const FUSION_DEPTH: usize = 100;

/// What an index says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AboutIndex {
    pub version: u32,
    pub rows: usize,
    pub dimension: usize,
    /// The checkpoint whose vectors these are; queries must come from the same one.
    pub model: ArtifactKey,
    /// Digest of the tokenizer's vocabulary.
    pub tokenizer: String,
    pub analyzer: AnalyzerKind,
    /// Digest of the user dictionary, if there is one.
    pub dictionary: Option<String>,
}

/// How a query is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchMode {
    Text,
    Vector,
    #[default]
    Hybrid,
}

/// A found image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    pub id: String,
    pub score: f32,
    /// The image's first caption, empty if it has none.
    pub text: String,
    /// Where the image came from.
    pub image: String,
    #[serde(skip)]
    pub document: Document,
}

/// A query: its words, its vector, or both.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<'a> {
    pub text: Option<&'a str>,
    /// A unit vector with the model that made it.
    pub vector: Option<(&'a [f32], &'a ArtifactKey)>,
}

/// An open index.
pub struct Searcher {
    about: AboutIndex,
    analyzer: Analyzer,
    keywords: KeywordIndex,
    vectors: Box<dyn VectorIndex>,
}

impl Searcher {
    /// Opens the folder of an `index` artifact.
    pub fn open(folder: &Path) -> Result<Self, StageError> {
        let about = AboutIndex::open(folder)?;
        let dictionary = match &about.dictionary {
            None => None,
            Some(digest) => {
                let path = folder.join(DICTIONARY_FILE);
                let words = std::fs::read_to_string(&path).map_err(StoreError::io(&path))?;
                if blake3::hash(words.as_bytes()).to_hex().as_str() != digest {
                    let reason = "the dictionary is not the one it was built with".to_owned();
                    return Err(IndexError::Broken { path, reason }.into());
                }
                Some(words)
            }
        };
        Ok(Self {
            analyzer: Analyzer::new(about.analyzer, dictionary.as_deref())?,
            keywords: KeywordIndex::open(&folder.join("keywords"))?,
            vectors: open_vectors(&folder.join("vectors"))?,
            about,
        })
    }

    pub fn about(&self) -> &AboutIndex {
        &self.about
    }

    /// The best `k` images, best first.
    pub fn search(&self, query: Query<'_>, mode: SearchMode, k: usize) -> Result<Vec<Hit>, StageError> {
        if let Some((_, model)) = query.vector
            && *model != self.about.model
        {
            let (expected, found) = (self.about.model.to_string(), model.to_string());
            return Err(IndexError::OtherModel { expected, found }.into());
        }
        let found = match (mode, query.text, query.vector) {
            (SearchMode::Text, Some(text), _) => self.by_text(text, k)?,
            (SearchMode::Text, None, _) => {
                return Err(IndexError::Query { mode: "text", needs: "a text" }.into());
            }
            (_, _, None) => return Err(IndexError::Query { mode: "vector", needs: "a text or an image" }.into()),
            (SearchMode::Vector, _, Some((vector, _))) | (SearchMode::Hybrid, None, Some((vector, _))) => {
                self.by_vector(vector, k)?
            }
            (SearchMode::Hybrid, Some(text), Some((vector, _))) => {
                let depth = FUSION_DEPTH.max(k);
                let numbers = |list: Vec<(usize, f32)>| list.into_iter().map(|(number, _)| number).collect();
                let lists = [numbers(self.by_text(text, depth)?), numbers(self.by_vector(vector, depth)?)];
                reciprocal_rank_fusion(&lists, k)
            }
        };
        found.into_iter().map(|(number, score)| self.hit(number, score)).collect()
    }

    fn by_vector(&self, vector: &[f32], k: usize) -> Result<Vec<(usize, f32)>, IndexError> {
        if vector.len() != self.about.dimension {
            return Err(IndexError::Dimension { expected: self.about.dimension, found: vector.len() });
        }
        let lists = self.vectors.search(vector, k, None)?;
        Ok(lists.into_iter().flatten().map(|scored| (scored.row as usize, scored.score)).collect())
    }

    fn by_text(&self, text: &str, k: usize) -> Result<Vec<(usize, f32)>, IndexError> {
        self.keywords.search(&self.analyzer.terms(text), k)
    }

    fn hit(&self, number: usize, score: f32) -> Result<Hit, StageError> {
        let document = self.keywords.document(number)?;
        Ok(Hit {
            id: document.id.clone(),
            score,
            text: document.captions.first().cloned().unwrap_or_default(),
            image: format!("{}/{}", document.data, document.source),
            document,
        })
    }
}

impl AboutIndex {
    fn open(folder: &Path) -> Result<Self, StageError> {
        let path = folder.join(ABOUT_FILE);
        let json = std::fs::read(&path).map_err(StoreError::io(&path))?;
        let parsed = serde_json::from_slice(&json);
        Ok(parsed.map_err(|error| IndexError::Broken { path, reason: error.to_string() })?)
    }

    /// Writes the description and the dictionary it speaks of.
    pub(super) fn save(&self, folder: &Path, dictionary: Option<&str>) -> Result<(), StageError> {
        if let Some(words) = dictionary {
            write_whole(&folder.join(DICTIONARY_FILE), words.as_bytes())?;
        }
        let json = serde_json::to_vec_pretty(self).map_err(|error| StageError::internal(error.to_string()))?;
        Ok(write_whole(&folder.join(ABOUT_FILE), &json)?)
    }
}
