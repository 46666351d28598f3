//! One index over images and texts, three ways to ask it.
use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::collection::{Collection, Found};
use super::text::{Analyzer, Document, grams};
use super::{AboutIndex, FUSION_DEPTH, IndexError};
use crate::data::{ArtifactKey, ItemKind, Split};
use crate::model::nearest::RowSet;
use crate::stage::StageError;

/// How a query is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchMode {
    Text,
    Vector,
    #[default]
    Hybrid,
}

/// What a search looks for, and how.
#[derive(Debug, Clone, Copy)]
pub struct SearchOptions<'a> {
    /// Whether images or texts are found.
    pub among: ItemKind,
    pub mode: SearchMode,
    /// Most hits.
    pub k: usize,
    /// The only rows that may be found.
    pub allowed: Option<&'a RowSet>,
}

/// A found image or text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    pub id: String,
    /// By the fusion, or by the only side that was asked.
    pub score: f32,
    /// BM25, if the keywords were asked and have it among their first.
    pub keywords: Option<f32>,
    /// Inner product of unit vectors, if the vectors were asked and have it among their first.
    pub vectors: Option<f32>,
    /// The text, or the image's first caption, empty if it has none.
    pub text: String,
    /// Where the image came from; of a text its first image, empty if it has none.
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
    images: Collection,
    texts: Option<Collection>,
}

/// What the sides of a search found.
#[derive(Default)]
struct Sides {
    keywords: Option<Found>,
    vectors: Option<Found>,
}

impl Searcher {
    /// Opens the folder of an `index` artifact.
    pub fn open(folder: &Path) -> Result<Self, StageError> {
        let about = AboutIndex::open(folder)?;
        let dictionary = about.open_dictionary(folder)?;
        let texts = (about.texts > 0).then(|| Collection::open(folder, ItemKind::Text, about.texts)).transpose()?;
        Ok(Self {
            analyzer: Analyzer::new(about.analyzer, about.hmm, dictionary.as_ref())?,
            images: Collection::open(folder, ItemKind::Image, about.rows)?,
            texts,
            about,
        })
    }

    pub fn about(&self) -> &AboutIndex {
        &self.about
    }

    /// The best images or texts, best first.
    pub fn search(&self, query: Query<'_>, options: &SearchOptions<'_>) -> Result<Vec<Hit>, StageError> {
        if let Some((_, model)) = query.vector
            && *model != self.about.model
        {
            let (expected, found) = (self.about.model.to_string(), model.to_string());
            return Err(IndexError::OtherModel { expected, found }.into());
        }
        let collection = self.collection(options.among)?;
        let (fused, sides) = self.ask(collection, query, options)?;
        let by_row = |found: Option<Found>| found.unwrap_or_default().into_iter().collect::<HashMap<_, _>>();
        let (keywords, vectors) = (by_row(sides.keywords), by_row(sides.vectors));
        let hit = |(number, score): (usize, f32)| {
            let document = collection.document(number)?;
            Ok(Hit::new(document, score, keywords.get(&number).copied(), vectors.get(&number).copied()))
        };
        fused.into_iter().map(hit).collect()
    }

    /// Both lists where both sides can be asked, and what becomes of them.
    fn ask(
        &self,
        collection: &Collection,
        query: Query<'_>,
        options: &SearchOptions<'_>,
    ) -> Result<(Found, Sides), IndexError> {
        let SearchOptions { mode, k, allowed, .. } = *options;
        let by_text = |text: &str, k: usize| {
            let (terms, grams) = (self.analyzer.terms(text), grams(&self.analyzer.normalize(text)));
            collection.by_terms((&terms, &grams), self.about.bigram_weight.unwrap_or_default(), k, allowed)
        };
        match (mode, query.text, query.vector) {
            (SearchMode::Text, Some(text), _) => {
                let found = by_text(text, k)?;
                Ok((found.clone(), Sides { keywords: Some(found), ..Sides::default() }))
            }
            (SearchMode::Text, None, _) => Err(IndexError::Query { mode: "text", needs: "a text" }),
            (_, _, None) => Err(IndexError::Query { mode: "vector", needs: "a text or an image" }),
            (SearchMode::Vector, _, Some((vector, _))) | (SearchMode::Hybrid, None, Some((vector, _))) => {
                let found = collection.nearest(vector, k, allowed)?;
                Ok((found.clone(), Sides { vectors: Some(found), ..Sides::default() }))
            }
            (SearchMode::Hybrid, Some(text), Some((vector, _))) => {
                let depth = FUSION_DEPTH.max(k);
                let (keywords, vectors) = (by_text(text, depth)?, collection.nearest(vector, depth, allowed)?);
                let fused = self.about.fusion.fuse(&keywords, &vectors, k);
                Ok((fused, Sides { keywords: Some(keywords), vectors: Some(vectors) }))
            }
        }
    }

    /// The rows of images or texts that meet a condition.
    pub fn rows_where(&self, among: ItemKind, holds: impl Fn(&Document) -> bool) -> Result<RowSet, IndexError> {
        self.collection(among)?.rows_where(holds)
    }

    /// What an image's row stands for.
    pub fn image(&self, number: usize) -> Result<Document, IndexError> {
        self.images.document(number)
    }

    /// All images of one split of a data set, in the order of their numbers.
    pub fn rows_of(&self, data: &str, split: Split) -> Result<Vec<IndexedRow>, IndexError> {
        let mut rows = Vec::new();
        for number in 0..self.about.rows {
            let document = self.images.document(number)?;
            if document.data == data && document.split == split {
                rows.push(IndexedRow { number, document });
            }
        }
        Ok(rows)
    }

    /// Numbers and scores of the nearest images among `allowed`, nearest first.
    pub fn nearest(&self, vector: &[f32], k: usize, allowed: &RowSet) -> Result<Vec<(usize, f32)>, IndexError> {
        self.images.nearest(vector, k, Some(allowed))
    }

    /// The terms of a text in every field, as captions were cut, with the field's weight.
    pub fn terms(&self, text: &str) -> Vec<(Vec<String>, f64)> {
        let mut fields = vec![(self.analyzer.terms(text), 1.0)];
        if let Some(weight) = self.about.bigram_weight {
            fields.push((grams(&self.analyzer.normalize(text)), f64::from(weight)));
        }
        fields
    }

    fn collection(&self, kind: ItemKind) -> Result<&Collection, IndexError> {
        match kind {
            ItemKind::Image => Ok(&self.images),
            ItemKind::Text => self.texts.as_ref().ok_or(IndexError::NoTexts),
        }
    }
}

impl Hit {
    fn new(document: Document, score: f32, keywords: Option<f32>, vectors: Option<f32>) -> Self {
        let image = match document.source.as_str() {
            "" => String::new(),
            source => format!("{}/{source}", document.data),
        };
        let text = document.captions.first().cloned().unwrap_or_default();
        Self { id: document.id.clone(), score, keywords, vectors, text, image, document }
    }
}
