//! The weight of a convex combination, found on labelled queries of the validation splits, which are never those that a result is
//! reported on where there is a test split.
use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::fusion::{AlphaQuery, tune_alpha};
use super::labelled_pool::LabelledPool;
use super::{FUSION_DEPTH, IndexError, Searcher};
use crate::data::{ItemKind, Split};
use crate::embed::EmbeddingSummary;
use crate::ingest::Dataset;
use crate::stage::{StageContext, StageError};

/// Queries of one data set that are asked, evenly spread.
const QUERIES: usize = 1_000;

/// How the weight of a convex combination was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AboutTuning {
    /// Weight of the vectors, a fraction in 0..=1.
    pub alpha: f64,
    /// Mean reciprocal rank with it, over the queries it was chosen on.
    pub mrr: f64,
    pub queries: usize,
    /// Data sets whose validation splits were asked.
    pub data: Vec<String>,
}

/// Where the vectors of an index come from.
pub struct TuningSource<'a> {
    pub context: &'a StageContext<'a>,
    pub summary: &'a EmbeddingSummary,
    /// Folder of the embeddings.
    pub folder: &'a Path,
    /// Id of the indexed model.
    pub model: &'a str,
}

/// Finds the weight with the highest mean reciprocal rank, every query without its own caption among the keywords.
pub fn tune(searcher: &Searcher, source: &TuningSource<'_>) -> Result<AboutTuning, StageError> {
    let mut queries = Vec::new();
    let mut data = Vec::new();
    for name in &source.summary.data {
        let before = queries.len();
        let dataset = Dataset::open(&source.context.input(name)?.sealed)?;
        ask(searcher, source, name, &dataset, &mut queries)?;
        if queries.len() > before {
            data.push(name.clone());
        }
    }
    let tuned = tune_alpha(&queries).ok_or(IndexError::NothingToTune)?;
    Ok(AboutTuning { alpha: tuned.alpha, mrr: tuned.mrr, queries: queries.len(), data })
}

fn ask(
    searcher: &Searcher,
    source: &TuningSource<'_>,
    name: &str,
    dataset: &Dataset,
    queries: &mut Vec<AlphaQuery>,
) -> Result<(), StageError> {
    let split = Split::Valid;
    let mut images_of: HashMap<String, Vec<String>> = HashMap::new();
    for pair in dataset.pairs(split)? {
        images_of.entry(pair.text_id).or_default().push(pair.image_id);
    }
    let rows = searcher.rows_of(name, split)?;
    let pool = LabelledPool::new(searcher, &rows);
    let vectors = source.summary.read(source.folder, source.model, name, split, ItemKind::Text)?;
    let vector_of: HashMap<&str, &[f32]> =
        vectors.ids.iter().map(String::as_str).zip(vectors.vectors.chunks(vectors.dimension.max(1))).collect();
    let texts = dataset.texts(split)?;
    let labelled: Vec<_> = texts.iter().filter(|text| images_of.contains_key(&text.id)).collect();
    for text in labelled.iter().step_by(labelled.len().div_ceil(QUERIES).max(1)) {
        let (Some(images), Some(vector)) = (images_of.get(&text.id), vector_of.get(text.id.as_str())) else { continue };
        let legs = pool.ask(&text.text, vector, images.iter().map(String::as_str), FUSION_DEPTH)?;
        let relevant = legs.relevant.into_iter().collect();
        queries.push(AlphaQuery { keywords: legs.keywords, vectors: legs.vectors, relevant });
    }
    Ok(())
}
