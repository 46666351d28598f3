//! Items in batches through the encoder; the next batch of images is decoded while the model works on this one.
use std::path::Path;
use std::sync::mpsc::sync_channel;

use super::EmbedError;
use super::table::EmbeddingFile;
use crate::augment::{evaluation_batch, evaluation_pixels};
use crate::data::Fingerprint;
use crate::data::table::Table;
use crate::ingest::{Dataset, Picture, Text};
use crate::model::{Encoder, Tokenizer, normalize_caption};
use crate::stage::{Monitor, Progress, StageError};
use crate::store::{StoreError, TableWriter, text_column, vector_column};

/// A shard's worth of encoding.
pub(super) struct Job<'a> {
    pub encoder: &'a Encoder,
    pub batch_size: usize,
    pub monitor: &'a dyn Monitor,
    pub progress: &'a dyn Progress,
}

/// Vectors with their ids.
pub(super) struct Encoded {
    ids: Vec<String>,
    vectors: Vec<f32>,
    dimension: usize,
    /// Texts that were cut to the context length.
    pub truncated: u64,
}

impl Job<'_> {
    pub(super) fn images(&self, dataset: &Dataset, ids: &[String]) -> Result<Encoded, StageError> {
        let side = self.encoder.config().vision.image_resolution;
        let batch_size = self.batch_size;
        let mut vectors = Vec::with_capacity(ids.len() * self.encoder.config().embed_dim);
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(1);
            scope.spawn(move || {
                for batch in ids.chunks(batch_size) {
                    // The receiver is gone once encoding failed; that error is the one to report.
                    if sender.send(evaluation_batch(dataset, batch, side).map(|pixels| (pixels, batch.len()))).is_err()
                    {
                        return;
                    }
                }
            });
            for batch in receiver {
                let (pixels, count) = batch?;
                vectors.extend(self.encoder.encode_images(&pixels, count)?);
                self.step(count)?;
            }
            Ok::<(), StageError>(())
        })?;
        self.done(ids.to_vec(), vectors, "image", 0)
    }

    pub(super) fn texts(&self, texts: &[Text]) -> Result<Encoded, StageError> {
        let mut vectors = Vec::new();
        let mut truncated = 0;
        for batch in texts.chunks(self.batch_size) {
            let texts: Vec<&str> = batch.iter().map(|text| text.text.as_str()).collect();
            let (encoded, cut) = text_vectors(self.encoder, &texts)?;
            vectors.extend(encoded);
            truncated += cut;
            self.step(batch.len())?;
        }
        self.done(texts.iter().map(|text| text.id.clone()).collect(), vectors, "text", truncated)
    }

    fn step(&self, count: usize) -> Result<(), StageError> {
        self.progress.advance(count as u64);
        self.monitor.check_stop()
    }

    fn done(
        &self,
        ids: Vec<String>,
        vectors: Vec<f32>,
        kind: &'static str,
        truncated: u64,
    ) -> Result<Encoded, StageError> {
        let dimension = self.encoder.config().embed_dim;
        let broken = vectors.chunks(dimension).position(|vector| !vector.iter().all(|v| v.is_finite()));
        if let Some(id) = broken.and_then(|row| ids.get(row)) {
            return Err(EmbedError::NotFinite { kind, id: id.clone() }.into());
        }
        Ok(Encoded { ids, vectors, dimension, truncated })
    }
}

/// Unit vectors `[texts, embed_dim]` of texts, normalised as captions are.
pub fn encode_texts(encoder: &Encoder, texts: &[&str]) -> Result<Vec<f32>, StageError> {
    Ok(text_vectors(encoder, texts)?.0)
}

/// Unit vectors `[pictures, embed_dim]` of decoded images.
pub fn encode_images(encoder: &Encoder, pictures: &[Picture]) -> Result<Vec<f32>, StageError> {
    let side = encoder.config().vision.image_resolution;
    let mut pixels = vec![0.0; pictures.len() * 3 * side * side];
    for (pixels, picture) in pixels.chunks_exact_mut(3 * side * side).zip(pictures) {
        evaluation_pixels(picture, side as u32, pixels);
    }
    Ok(encoder.encode_images(&pixels, pictures.len())?)
}

/// Writes one table of vectors; returns its rows.
pub(super) fn write(
    path: &Path,
    file: &EmbeddingFile,
    model: &Fingerprint,
    encoded: Encoded,
) -> Result<u64, StageError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
    }
    let rows = encoded.ids.len();
    let mut writer = TableWriter::create(path, Table::Embeddings.schema_with_dimension(encoded.dimension))?;
    writer.write(vec![
        text_column(&encoded.ids),
        text_column(std::iter::repeat_n(file.kind.as_str(), rows)),
        text_column(std::iter::repeat_n(file.split.as_str(), rows)),
        vector_column(path, encoded.vectors, encoded.dimension)?,
        text_column(std::iter::repeat_n(model.as_str(), rows)),
    ])?;
    Ok(writer.finish()?)
}

/// Vectors and the number of texts that were cut.
fn text_vectors(encoder: &Encoder, texts: &[&str]) -> Result<(Vec<f32>, u64), StageError> {
    let tokenizer = Tokenizer::default();
    let length = encoder.config().context_length;
    let encodings: Vec<_> = texts.iter().map(|text| tokenizer.encode(&normalize_caption(text), length)).collect();
    let tokens: Vec<u32> = encodings.iter().flat_map(|encoding| &encoding.ids).copied().collect();
    let truncated = encodings.iter().filter(|encoding| encoding.truncated).count() as u64;
    Ok((encoder.encode_texts(&tokens, texts.len())?, truncated))
}
