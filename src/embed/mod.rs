//! What is each item's vector? Encodes images and texts of every split into embedding tables, shard by shard.

mod encode;
mod error;
mod feature_writer;
mod files;
mod reuse;
mod spec;
mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::data::{Fingerprint, ItemKind, Split};
use crate::ingest::{Dataset, Text};
use crate::model::{Checkpoint, Encoder};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};

pub use encode::{encode_images, encode_texts};
pub use error::EmbedError;
pub use feature_writer::FeatureFormat;
pub use files::{FileJob, FileStats};
pub use spec::{EmbedNeeds, EmbedSpec};
pub use table::{EmbeddedModel, EmbeddingFile, EmbeddingSummary, Embeddings};

use reuse::Reuse;

/// Version of the stage's results.
pub const VERSION: u32 = 3;

/// Rows of one shard.
const SHARD_ROWS: usize = 8192;

/// `kind: embed`.
#[derive(Debug)]
pub struct Embed {
    spec: EmbedSpec,
    kept: Mutex<Kept>,
}

/// What the next shard is likely to need too.
#[derive(Debug, Default)]
struct Kept {
    model: Option<LoadedModel>,
    files: Option<Arc<Vec<EmbeddingFile>>>,
    items: Option<(String, Split, ItemKind, Arc<Items>)>,
    reuse: Reuse,
}

#[derive(Debug, Clone)]
struct LoadedModel {
    fingerprint: Fingerprint,
    encoder: Encoder,
}

/// The images or the texts of a split, in source order.
#[derive(Debug, Default)]
struct Items {
    ids: Vec<String>,
    /// BLAKE3 of the content in hexadecimal.
    digests: Vec<String>,
    /// Empty for images.
    texts: Vec<Text>,
}

impl Embed {
    pub fn new(spec: EmbedSpec) -> Self {
        Self { spec, kept: Mutex::default() }
    }

    fn files(&self, context: &StageContext<'_>, kept: &mut Kept) -> Result<Arc<Vec<EmbeddingFile>>, StageError> {
        if let Some(files) = &kept.files {
            return Ok(Arc::clone(files));
        }
        let mut rows = Vec::new();
        for data in &self.spec.needs.data {
            let dataset = Dataset::open(&context.input(data)?.sealed)?;
            for split in Split::ALL {
                rows.push((data, split, ItemKind::Image, dataset.image_ids(split)?.len()));
                rows.push((data, split, ItemKind::Text, dataset.texts(split)?.len()));
            }
        }
        let models = self.spec.needs.models.iter();
        let files = models.flat_map(|model| {
            rows.iter().flat_map(move |(data, split, kind, rows)| blocks(model, data, *split, *kind, *rows))
        });
        Ok(Arc::clone(kept.files.insert(Arc::new(files.collect()))))
    }

    fn model(&self, context: &StageContext<'_>, model: &str, kept: &mut Kept) -> Result<LoadedModel, StageError> {
        let input = context.input(model)?;
        let fingerprint = input.key.fingerprint.clone();
        if let Some(found) = kept.model.as_ref().filter(|found| found.fingerprint == fingerprint) {
            return Ok(found.clone());
        }
        let Checkpoint { config, state } = Checkpoint::open(&input.sealed.folder)?;
        let encoder = Encoder::new(&config, state, context.device, self.spec.precision)?;
        Ok(kept.model.insert(LoadedModel { fingerprint, encoder }).clone())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage for Embed {
    fn divides(&self) -> bool {
        true
    }

    fn shards(&self, context: &StageContext<'_>) -> Result<Vec<Shard>, StageError> {
        Ok(self.files(context, &mut self.kept())?.iter().map(|file| Shard(file.path())).collect())
    }

    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let kept = &mut *self.kept();
        let files = self.files(context, kept)?;
        let file = files.iter().find(|file| file.path() == shard.0);
        let file = file.ok_or_else(|| StageError::internal(format!("no shard `{}`", shard.0)))?;
        let dataset = Dataset::open(&context.input(&file.data)?.sealed)?;
        let items = items(&dataset, file, kept)?;
        let fingerprint = context.input(&file.model)?.key.fingerprint.clone();
        if let (Some(base), false) = (context.base, kept.reuse.is_of(&fingerprint)) {
            kept.reuse = Reuse::find(base, &fingerprint, &self.spec)?;
        }
        let rows = file.block * SHARD_ROWS..file.block * SHARD_ROWS + file.rows;
        let digests = items.digests.get(rows.clone()).unwrap_or_default();
        let new: Vec<usize> = rows
            .clone()
            .zip(digests)
            .filter(|(_, digest)| !kept.reuse.contains(file.kind, digest))
            .map(|(row, _)| row)
            .collect();
        let model = self.model(context, &file.model, kept)?;
        let what = format!("{}: {} {} {}", context.stage, file.model, file.data, file.kind.as_str());
        let progress = context.monitor.begin(&what, Some(new.len() as u64), "items");
        let job = encode::Job {
            encoder: &model.encoder,
            batch_size: self.spec.batch_size,
            monitor: context.monitor,
            progress: progress.as_ref(),
        };
        let encoded = match file.kind {
            ItemKind::Image => job.images(&dataset, &pick(&items.ids, &new))?,
            ItemKind::Text => job.texts(&pick(&items.texts, &new))?,
        };
        // Images have no texts.
        let texts = items.texts.get(rows.clone()).unwrap_or_default();
        let texts: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
        let (truncated, unknown) = encode::count_losses(&model.encoder, &texts);
        let vectors = with_known(&encoded, file.kind, digests, &mut kept.reuse)?;
        let ids = items.ids.get(rows).unwrap_or_default();
        let content = encode::Content { ids, digests, vectors, dimension: model.encoder.config().embed_dim };
        let written = encode::write(&context.out.join(file.path()), file, &model.fingerprint, content)?;
        Ok(ShardReceipt {
            shard: shard.clone(),
            rows_in: file.rows as u64,
            rows_out: written,
            rows_quarantined: 0,
            rows_left_out: 0,
            shared: Vec::new(),
            digested: Vec::new(),
            files: vec![file.path()],
            stats: BTreeMap::from([
                ("truncated".to_owned(), json!(truncated)),
                ("unknown_tokens".to_owned(), json!(unknown)),
                ("encoded".to_owned(), json!(new.len())),
            ]),
        })
    }

    fn finish(&self, context: &StageContext<'_>, receipts: &[ShardReceipt]) -> Result<(), StageError> {
        let mut models = Vec::new();
        for id in &self.spec.needs.models {
            let input = context.input(id)?;
            let config = Checkpoint::open_config(&input.sealed.folder)?;
            let fingerprint = input.key.fingerprint.clone();
            models.push(EmbeddedModel { id: id.clone(), fingerprint, dimension: config.embed_dim });
        }
        let files = self.files(context, &mut self.kept())?.to_vec();
        let rows: usize = files.iter().map(|file| file.rows).sum();
        let encoded: u64 = receipts.iter().filter_map(|receipt| receipt.stats.get("encoded")?.as_u64()).sum();
        context.note(&format!("{rows} vectors of {} models, {encoded} encoded", models.len()));
        EmbeddingSummary { models, data: self.spec.needs.data.clone(), files }.save(context.out)
    }
}

/// The items of a file's split; those of the last file are kept.
fn items(dataset: &Dataset, file: &EmbeddingFile, kept: &mut Kept) -> Result<Arc<Items>, StageError> {
    if let Some((data, split, kind, items)) = &kept.items
        && (data, split, kind) == (&file.data, &file.split, &file.kind)
    {
        return Ok(Arc::clone(items));
    }
    let items = match file.kind {
        ItemKind::Image => {
            let (ids, digests) = dataset.image_digests(file.split)?.into_iter().unzip();
            Items { ids, digests, texts: Vec::new() }
        }
        ItemKind::Text => {
            let texts = dataset.texts(file.split)?;
            let digest = |text: &Text| blake3::hash(text.text.as_bytes()).to_hex().to_string();
            let digests = texts.iter().map(digest).collect();
            Items { ids: texts.iter().map(|text| text.id.clone()).collect(), digests, texts }
        }
    };
    let items = Arc::new(items);
    kept.items = Some((file.data.clone(), file.split, file.kind, Arc::clone(&items)));
    Ok(items)
}

fn pick<T: Clone>(items: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().filter_map(|row| items.get(*row)).cloned().collect()
}

/// All vectors of a shard in order: known ones from the earlier artifact, the others as they were encoded.
fn with_known(
    encoded: &encode::Encoded,
    kind: ItemKind,
    digests: &[String],
    reuse: &mut Reuse,
) -> Result<Vec<f32>, StageError> {
    let mut new = encoded.vectors.chunks_exact(encoded.dimension.max(1));
    let mut all = Vec::with_capacity(digests.len() * encoded.dimension);
    for digest in digests {
        match reuse.vector(kind, digest)? {
            Some(known) => all.extend_from_slice(known),
            None => all.extend_from_slice(new.next().unwrap_or_default()),
        }
    }
    Ok(all)
}

fn blocks(model: &str, data: &str, split: Split, kind: ItemKind, rows: usize) -> impl Iterator<Item = EmbeddingFile> {
    let (model, data) = (model.to_owned(), data.to_owned());
    (0..rows.div_ceil(SHARD_ROWS)).map(move |block| EmbeddingFile {
        model: model.clone(),
        data: data.clone(),
        split,
        kind,
        block,
        rows: SHARD_ROWS.min(rows - block * SHARD_ROWS),
    })
}
