//! One index, three ways to ask it.
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::text::{Analyzer, Document, KeywordIndex, UserDictionary, grams};
use super::vector::{VectorIndex, open_vectors};
use super::{AboutTuning, AnalyzerKind, FUSION_DEPTH, Fusion, IndexError};
use crate::data::{ArtifactKey, Split};
use crate::model::nearest::RowSet;
use crate::stage::StageError;
use crate::store::{StoreError, write_whole};

const ABOUT_FILE: &str = "index.json";
const DICTIONARY_FILE: &str = "dictionary.txt";

/// What an index says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AboutIndex {
    pub version: u32,
    pub rows: usize,
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

/// A row of an index and what it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedRow {
    pub number: usize,
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
        let dictionary = about.dictionary.as_ref().map(|expected| open_dictionary(folder, expected)).transpose()?;
        Ok(Self {
            analyzer: Analyzer::new(about.analyzer, about.hmm, dictionary.as_ref())?,
            keywords: KeywordIndex::open(&folder.join("keywords"))?,
            vectors: open_vectors(&folder.join("vectors"))?,
            about,
        })
    }

    pub fn about(&self) -> &AboutIndex {
        &self.about
    }

    /// The best `k` images among the allowed rows, best first.
    pub fn search(
        &self,
        query: Query<'_>,
        mode: SearchMode,
        k: usize,
        allowed: Option<&RowSet>,
    ) -> Result<Vec<Hit>, StageError> {
        if let Some((_, model)) = query.vector
            && *model != self.about.model
        {
            let (expected, found) = (self.about.model.to_string(), model.to_string());
            return Err(IndexError::OtherModel { expected, found }.into());
        }
        let found = match (mode, query.text, query.vector) {
            (SearchMode::Text, Some(text), _) => self.by_text(text, k, allowed)?,
            (SearchMode::Text, None, _) => {
                return Err(IndexError::Query { mode: "text", needs: "a text" }.into());
            }
            (_, _, None) => return Err(IndexError::Query { mode: "vector", needs: "a text or an image" }.into()),
            (SearchMode::Vector, _, Some((vector, _))) | (SearchMode::Hybrid, None, Some((vector, _))) => {
                self.nearest_of(vector, k, allowed)?
            }
            (SearchMode::Hybrid, Some(text), Some((vector, _))) => {
                let depth = FUSION_DEPTH.max(k);
                self.about.fusion.fuse(
                    &self.by_text(text, depth, allowed)?,
                    &self.nearest_of(vector, depth, allowed)?,
                    k,
                )
            }
        };
        found.into_iter().map(|(number, score)| self.hit(number, score)).collect()
    }

    /// The rows whose images meet a condition.
    pub fn rows_where(&self, holds: impl Fn(&Document) -> bool) -> Result<RowSet, IndexError> {
        let mut rows = RowSet::none(self.about.rows);
        for number in 0..self.about.rows {
            if holds(&self.keywords.document(number)?) {
                rows.insert(number);
            }
        }
        Ok(rows)
    }

    /// All rows of one split of a data set, in the order of their numbers.
    pub fn rows_of(&self, data: &str, split: Split) -> Result<Vec<IndexedRow>, IndexError> {
        let mut rows = Vec::new();
        for number in 0..self.about.rows {
            let document = self.keywords.document(number)?;
            if document.data == data && document.split == split {
                rows.push(IndexedRow { number, document });
            }
        }
        Ok(rows)
    }

    /// Numbers and scores of the nearest rows among `allowed`, nearest first.
    pub fn nearest(&self, vector: &[f32], k: usize, allowed: &RowSet) -> Result<Vec<(usize, f32)>, IndexError> {
        self.nearest_of(vector, k, Some(allowed))
    }

    /// The terms of a text in every field, as captions were cut, with the field's weight.
    pub fn terms(&self, text: &str) -> Vec<(Vec<String>, f64)> {
        let mut fields = vec![(self.analyzer.terms(text), 1.0)];
        if let Some(weight) = self.about.bigram_weight {
            fields.push((grams(&self.analyzer.normalize(text)), f64::from(weight)));
        }
        fields
    }

    fn nearest_of(&self, vector: &[f32], k: usize, allowed: Option<&RowSet>) -> Result<Vec<(usize, f32)>, IndexError> {
        if vector.len() != self.about.dimension {
            return Err(IndexError::Dimension { expected: self.about.dimension, found: vector.len() });
        }
        let lists = self.vectors.search(vector, k, allowed)?;
        Ok(lists.into_iter().flatten().map(|scored| (scored.row as usize, scored.score)).collect())
    }

    fn by_text(&self, text: &str, k: usize, allowed: Option<&RowSet>) -> Result<Vec<(usize, f32)>, IndexError> {
        let normal = self.analyzer.normalize(text);
        let (terms, grams) = (self.analyzer.terms(text), grams(&normal));
        // Keywords know no rows: all that are found are looked through where only some may be.
        let depth = if allowed.is_some() { self.about.rows } else { k };
        let mut found = self.keywords.search(&terms, &grams, self.about.bigram_weight.unwrap_or_default(), depth)?;
        if let Some(allowed) = allowed {
            found.retain(|(row, _)| allowed.contains(*row));
            found.truncate(k);
        }
        Ok(found)
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

/// The dictionary beside an index, which must be the one that its captions were cut with.
fn open_dictionary(folder: &Path, expected: &AboutDictionary) -> Result<UserDictionary, StageError> {
    let path = folder.join(DICTIONARY_FILE);
    let words = std::fs::read_to_string(&path).map_err(StoreError::io(&path))?;
    let dictionary = UserDictionary::parse(&words)?;
    if dictionary.digest == expected.digest {
        return Ok(dictionary);
    }
    let named = |version: &Option<String>| version.as_deref().map_or(String::new(), |name| format!(" ({name})"));
    let (found, built) = (named(&dictionary.version), named(&expected.version));
    let reason = format!("the dictionary{found} is not the one it was built with{built}");
    Err(IndexError::Broken { path, reason }.into())
}
