//! Items in batches through the encoder; the next batch of images is decoded while the model works on this one.
use std::path::Path;
use std::sync::mpsc::sync_channel;

use super::EmbedError;
use super::table::EmbeddingFile;
use crate::augment::{evaluation_batch, evaluation_pixels};
use crate::data::table::Table;
use crate::data::{Fingerprint, ItemKind};
use crate::ingest::{Dataset, Picture, Text};
use crate::model::{Encoder, Encoding, Tokenizer, normalize_caption};
use crate::stage::{Monitor, Progress, StageError};
use crate::store::{StoreError, TableWriter, text_column, vector_column};

/// A shard's worth of encoding.
pub(super) struct Job<'a> {
    pub encoder: &'a Encoder,
    pub batch_size: usize,
    pub monitor: &'a dyn Monitor,
    pub progress: &'a dyn Progress,
}

/// Unit vectors `[items, dimension]`.
pub(super) struct Encoded {
    pub vectors: Vec<f32>,
    pub dimension: usize,
}

/// What a table of vectors holds, row by row.
pub(super) struct Content<'a> {
    pub ids: &'a [String],
    pub digests: &'a [String],
    pub vectors: Vec<f32>,
    pub dimension: usize,
}

/// Texts as the model takes them.
struct Tokenized {
    tokens: Vec<u32>,
    truncated: u64,
    unknown_tokens: u64,
}

impl Job<'_> {
    pub(super) fn images(&self, dataset: &Dataset, ids: &[String]) -> Result<Encoded, StageError> {
        let side = self.encoder.config().vision.image_resolution();
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
        self.done(ids, vectors, ItemKind::Image)
    }

    pub(super) fn texts(&self, texts: &[Text]) -> Result<Encoded, StageError> {
        let mut vectors = Vec::new();
        for batch in texts.chunks(self.batch_size) {
            let tokenized = tokenize_all(self.encoder, batch.iter().map(|text| text.text.as_str()));
            vectors.extend(self.encoder.encode_texts(&tokenized.tokens, batch.len())?);
            self.step(batch.len())?;
        }
        let ids: Vec<String> = texts.iter().map(|text| text.id.clone()).collect();
        self.done(&ids, vectors, ItemKind::Text)
    }

    fn step(&self, count: usize) -> Result<(), StageError> {
        self.progress.advance(count as u64);
        self.monitor.check_stop()
    }

    fn done(&self, ids: &[String], vectors: Vec<f32>, kind: ItemKind) -> Result<Encoded, StageError> {
        let dimension = self.encoder.config().embed_dim;
        check_finite(&vectors, dimension, ids, kind)?;
        Ok(Encoded { vectors, dimension })
    }
}

/// Fails with the first item whose vector holds infinity or not-a-number.
pub(super) fn check_finite(
    vectors: &[f32],
    dimension: usize,
    ids: &[String],
    kind: ItemKind,
) -> Result<(), EmbedError> {
    let broken = vectors.chunks(dimension).position(|vector| !vector.iter().all(|v| v.is_finite()));
    match broken.and_then(|row| ids.get(row)) {
        Some(id) => Err(EmbedError::NotFinite { kind: kind.as_str(), id: id.clone() }),
        None => Ok(()),
    }
}

/// Unit vectors `[texts, embed_dim]` of texts, normalised as captions are.
pub fn encode_texts(encoder: &Encoder, texts: &[&str]) -> Result<Vec<f32>, StageError> {
    let tokenized = tokenize_all(encoder, texts.iter().copied());
    Ok(encoder.encode_texts(&tokenized.tokens, texts.len())?)
}

/// Unit vectors `[pictures, embed_dim]` of decoded images.
pub fn encode_images(encoder: &Encoder, pictures: &[Picture]) -> Result<Vec<f32>, StageError> {
    let side = encoder.config().vision.image_resolution();
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
    content: Content<'_>,
) -> Result<u64, StageError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
    }
    let Content { ids, digests, vectors, dimension } = content;
    let rows = ids.len();
    let mut writer = TableWriter::create(path, Table::Embeddings.schema_with_dimension(dimension))?;
    writer.write(vec![
        text_column(ids),
        text_column(std::iter::repeat_n(file.kind.as_str(), rows)),
        text_column(std::iter::repeat_n(file.split.as_str(), rows)),
        vector_column(path, vectors, dimension)?,
        text_column(std::iter::repeat_n(model.as_str(), rows)),
        text_column(digests),
    ])?;
    Ok(writer.finish()?)
}

/// How many texts are cut to the context length, and how many of their tokens are `[UNK]`.
pub(super) fn count_losses(encoder: &Encoder, texts: &[&str]) -> (u64, u64) {
    let tokenized = tokenize_all(encoder, texts.iter().copied());
    (tokenized.truncated, tokenized.unknown_tokens)
}

/// A caption as the model takes it.
pub(super) fn tokenize(text: &str, length: usize) -> Encoding {
    Tokenizer::default().encode(&normalize_caption(text), length)
}

fn tokenize_all<'a>(encoder: &Encoder, texts: impl Iterator<Item = &'a str>) -> Tokenized {
    let length = encoder.config().context_length;
    let encodings: Vec<Encoding> = texts.map(|text| tokenize(text, length)).collect();
    Tokenized {
        tokens: encodings.iter().flat_map(|encoding| &encoding.ids).copied().collect(),
        truncated: encodings.iter().filter(|encoding| encoding.truncated).count() as u64,
        unknown_tokens: encodings.iter().map(|encoding| encoding.unknown as u64).sum(),
    }
}
