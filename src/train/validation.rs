//! Retrieval over the whole validation pool, both directions; never in-batch accuracy.
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::augment::evaluation_batch;
use crate::data::{Split, best_rank};
use crate::ingest::Dataset;
use crate::model::{ClipConfig, ComputeDevice, Encoder, Gallery, Tokenizer, normalize_caption};
use crate::stage::{Monitor, StageError};

const BATCH: usize = 64;

/// Recall over the validation pool, fractions in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValidationScores {
    /// hit@1, hit@5, hit@10 of text to image.
    pub text_to_image: [f64; 3],
    /// hit@1, hit@5, hit@10 of image to text.
    pub image_to_text: [f64; 3],
}

impl ValidationScores {
    /// Mean of the six.
    pub fn mean_recall(&self) -> f64 {
        self.text_to_image.iter().chain(&self.image_to_text).sum::<f64>() / 6.0
    }
}

/// The preprocessed validation pool of a data set.
#[derive(Debug)]
pub struct ValidationPool<'a> {
    dataset: &'a Dataset,
    images: Vec<String>,
    /// `[texts, context_length]`.
    tokens: Vec<u32>,
    context_length: usize,
    relevant_images: Vec<Vec<usize>>,
    relevant_texts: Vec<Vec<usize>>,
}

impl<'a> ValidationPool<'a> {
    /// Reads the validation split; `None` if it has no pairs.
    pub fn new(dataset: &'a Dataset, config: &ClipConfig) -> Result<Option<Self>, StageError> {
        let images = dataset.image_ids(Split::Valid)?;
        let texts = dataset.texts(Split::Valid)?;
        let image_at: HashMap<&str, usize> = images.iter().map(String::as_str).zip(0..).collect();
        let text_at: HashMap<&str, usize> = texts.iter().map(|t| t.id.as_str()).zip(0..).collect();
        let mut relevant_images = vec![Vec::new(); texts.len()];
        let mut relevant_texts = vec![Vec::new(); images.len()];
        let pairs = dataset.pairs(Split::Valid)?;
        for pair in &pairs {
            let found = (text_at.get(pair.text_id.as_str()), image_at.get(pair.image_id.as_str()));
            if let (Some(text), Some(image)) = found {
                relevant_images.get_mut(*text).into_iter().for_each(|list| list.push(*image));
                relevant_texts.get_mut(*image).into_iter().for_each(|list| list.push(*text));
            }
        }
        if pairs.is_empty() {
            return Ok(None);
        }
        let tokenizer = Tokenizer::default();
        let context_length = config.context_length;
        let encode = |text: &str| tokenizer.encode(&normalize_caption(text), context_length).ids;
        let tokens = texts.iter().flat_map(|text| encode(&text.text)).collect();
        Ok(Some(Self { dataset, images, tokens, context_length, relevant_images, relevant_texts }))
    }

    /// Scores the current weights.
    pub fn score(
        &self,
        encoder: &Encoder,
        device: &ComputeDevice,
        monitor: &dyn Monitor,
    ) -> Result<ValidationScores, StageError> {
        let dimension = encoder.config().embed_dim;
        let images = self.encode_images(encoder, monitor)?;
        let mut texts = Vec::new();
        for tokens in self.tokens.chunks(BATCH * self.context_length) {
            monitor.check_stop()?;
            texts.extend(encoder.encode_texts(tokens, tokens.len() / self.context_length)?);
        }
        let image_gallery = Gallery::new(images.clone(), dimension, device);
        let text_gallery = Gallery::new(texts.clone(), dimension, device);
        Ok(ValidationScores {
            text_to_image: hits(&texts, &image_gallery, &self.relevant_images)?,
            image_to_text: hits(&images, &text_gallery, &self.relevant_texts)?,
        })
    }

    fn encode_images(&self, encoder: &Encoder, monitor: &dyn Monitor) -> Result<Vec<f32>, StageError> {
        let side = encoder.config().vision.image_resolution();
        let mut features = Vec::new();
        for ids in self.images.chunks(BATCH) {
            monitor.check_stop()?;
            let pixels = evaluation_batch(self.dataset, ids, side)?;
            features.extend(encoder.encode_images(&pixels, ids.len())?);
        }
        Ok(features)
    }
}

/// hit@1, 5 and 10 over the queries that have a relevant document.
fn hits(queries: &[f32], gallery: &Gallery, relevant: &[Vec<usize>]) -> Result<[f64; 3], StageError> {
    let dimension = gallery.dimension();
    let mut counts = [0usize; 3];
    let mut total = 0usize;
    for (block, relevant) in queries.chunks(BATCH * dimension).zip(relevant.chunks(BATCH)) {
        let scores = gallery.scores(block)?;
        for (scores, relevant) in scores.chunks(gallery.rows()).zip(relevant) {
            let Some(rank) = best_rank(scores, relevant) else { continue };
            total += 1;
            for (count, k) in counts.iter_mut().zip([1, 5, 10]) {
                *count += usize::from(rank <= k);
            }
        }
    }
    Ok(counts.map(|count| count as f64 / total.max(1) as f64))
}
