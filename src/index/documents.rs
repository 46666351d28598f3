//! What an index is built from: images with their captions, texts with their images, and the vectors of both.
use std::collections::HashMap;
use std::path::Path;

use super::text::Document;
use super::{IndexNeeds, IndexSpec};
use crate::data::{ItemKind, Split};
use crate::embed::{EmbeddingSummary, Embeddings};
use crate::ingest::{Dataset, Pair, Text};
use crate::stage::{StageContext, StageError};

/// Vectors of a split that stand for queries when recall is measured.
const SAMPLED: usize = 1_000;

/// Items of one kind, row for row.
#[derive(Default)]
pub(super) struct Items {
    pub documents: Vec<Document>,
    /// `[documents.len(), dimension]`, unit vectors.
    pub vectors: Vec<f32>,
    /// Some of them, evenly spread over every split, `[n, dimension]`.
    pub sample: Vec<f32>,
}

/// Everything that an index is built from.
#[derive(Default)]
pub(super) struct Documents {
    pub images: Items,
    /// Without documents and vectors where the stage leaves texts out.
    pub texts: Items,
}

impl Documents {
    /// All splits of all data sets of the embedding stage, in order.
    pub fn read(
        context: &StageContext<'_>,
        summary: &EmbeddingSummary,
        folder: &Path,
        spec: &IndexSpec,
    ) -> Result<Self, StageError> {
        let IndexNeeds { model, .. } = &spec.needs;
        let mut all = Self::default();
        for data in &summary.data {
            let dataset = Dataset::open(&context.input(data)?.sealed)?;
            let sources = dataset.image_sources()?;
            for split in Split::ALL {
                let (texts, pairs) = (dataset.texts(split)?, dataset.pairs(split)?);
                let document = |id: &str, image_id: &str, captions: Vec<String>| Document {
                    id: format!("{data}/{id}"),
                    data: data.clone(),
                    split,
                    source: sources.get(image_id).cloned().unwrap_or_default(),
                    captions,
                    image_id: image_id.to_owned(),
                };
                let mut captions = captions(&texts, &pairs);
                let vectors = summary.read(folder, model, data, split, ItemKind::Image)?;
                let image = |id: &String| document(id, id, captions.remove(id).unwrap_or_default());
                let images = vectors.ids.iter().map(image).collect();
                all.images.extend(images, &vectors);
                let vectors = summary.read(folder, model, data, split, ItemKind::Text)?;
                if !spec.texts {
                    all.texts.sample.extend(evenly(&vectors));
                    continue;
                }
                let mut images = first_images(&pairs);
                let words: HashMap<&str, &str> =
                    texts.iter().map(|text| (text.id.as_str(), text.text.as_str())).collect();
                let text = |id: &String| {
                    let caption = words.get(id.as_str()).copied().unwrap_or_default().to_owned();
                    document(id, images.remove(id.as_str()).unwrap_or_default(), vec![caption])
                };
                let documents = vectors.ids.iter().map(text).collect();
                all.texts.extend(documents, &vectors);
            }
        }
        Ok(all)
    }
}

impl Items {
    fn extend(&mut self, documents: Vec<Document>, vectors: &Embeddings) {
        self.documents.extend(documents);
        self.vectors.extend_from_slice(&vectors.vectors);
        self.sample.extend(evenly(vectors));
    }
}

/// Captions of every image of a split, in source order.
fn captions(texts: &[Text], pairs: &[Pair]) -> HashMap<String, Vec<String>> {
    let texts: HashMap<&str, &str> = texts.iter().map(|text| (text.id.as_str(), text.text.as_str())).collect();
    let mut captions: HashMap<String, Vec<String>> = HashMap::new();
    for pair in pairs {
        if let Some(text) = texts.get(pair.text_id.as_str()) {
            captions.entry(pair.image_id.clone()).or_default().push((*text).to_owned());
        }
    }
    captions
}

/// The first image of every text of a split that has one.
fn first_images(pairs: &[Pair]) -> HashMap<&str, &str> {
    let mut images = HashMap::new();
    for pair in pairs {
        images.entry(pair.text_id.as_str()).or_insert(pair.image_id.as_str());
    }
    images
}

/// At most [`SAMPLED`] of the vectors, evenly spread.
fn evenly(embeddings: &Embeddings) -> impl Iterator<Item = f32> {
    let step = embeddings.ids.len().div_ceil(SAMPLED).max(1);
    embeddings.vectors.chunks(embeddings.dimension.max(1)).step_by(step).flatten().copied()
}
