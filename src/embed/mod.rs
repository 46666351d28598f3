//! What is each item's vector? Encodes images and texts of every split into embedding tables, shard by shard.

mod encode;
mod error;
mod feature_writer;
mod files;
mod spec;
mod table;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::data::{Fingerprint, ItemKind, Split};
use crate::ingest::Dataset;
use crate::model::{Checkpoint, Encoder};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};

pub use encode::{encode_images, encode_texts};
pub use error::EmbedError;
pub use feature_writer::FeatureFormat;
pub use files::{FileJob, FileStats};
pub use spec::{EmbedNeeds, EmbedSpec};
pub use table::{EmbeddedModel, EmbeddingFile, EmbeddingSummary, Embeddings};

/// Version of the stage's results.
pub const VERSION: u32 = 2;

/// Rows of one shard.
const SHARD_ROWS: usize = 8192;

/// `kind: embed`.
#[derive(Debug)]
pub struct Embed {
    spec: EmbedSpec,
    /// The model of the last shard, so that it is not loaded again for the next one.
    loaded: Mutex<Option<LoadedModel>>,
}

#[derive(Debug, Clone)]
struct LoadedModel {
    fingerprint: Fingerprint,
    encoder: Encoder,
}

impl Embed {
    pub fn new(spec: EmbedSpec) -> Self {
        Self { spec, loaded: Mutex::new(None) }
    }

    fn files(&self, context: &StageContext<'_>) -> Result<Vec<EmbeddingFile>, StageError> {
        let mut files = Vec::new();
        for model in &self.spec.needs.models {
            for data in &self.spec.needs.data {
                let dataset = Dataset::open(&context.input(data)?.sealed)?;
                for split in Split::ALL {
                    let rows = [dataset.image_ids(split)?.len(), dataset.texts(split)?.len()];
                    for (kind, rows) in ItemKind::ALL.into_iter().zip(rows) {
                        files.extend(blocks(model, data, split, kind, rows));
                    }
                }
            }
        }
        Ok(files)
    }

    fn encoder(&self, context: &StageContext<'_>, model: &str) -> Result<LoadedModel, StageError> {
        let input = context.input(model)?;
        let fingerprint = input.key.fingerprint.clone();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = loaded.as_ref().filter(|found| found.fingerprint == fingerprint) {
            return Ok(found.clone());
        }
        let Checkpoint { config, state } = Checkpoint::open(&input.sealed.folder)?;
        let encoder = Encoder::new(&config, state, context.device, self.spec.precision)?;
        Ok(loaded.insert(LoadedModel { fingerprint, encoder }).clone())
    }
}

impl Stage for Embed {
    fn shards(&self, context: &StageContext<'_>) -> Result<Vec<Shard>, StageError> {
        Ok(self.files(context)?.iter().map(|file| Shard(file.path())).collect())
    }

    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let files = self.files(context)?;
        let file = files.iter().find(|file| file.path() == shard.0);
        let file = file.ok_or_else(|| StageError::internal(format!("no shard `{}`", shard.0)))?;
        let model = self.encoder(context, &file.model)?;
        let dataset = Dataset::open(&context.input(&file.data)?.sealed)?;
        let rows = file.block * SHARD_ROWS..file.block * SHARD_ROWS + file.rows;
        let what = format!("{}: {} {} {}", context.stage, file.model, file.data, file.kind.as_str());
        let progress = context.monitor.begin(&what, Some(file.rows as u64), "items");
        let job = encode::Job {
            encoder: &model.encoder,
            batch_size: self.spec.batch_size,
            monitor: context.monitor,
            progress: progress.as_ref(),
        };
        let embeddings = match file.kind {
            ItemKind::Image => {
                let ids = dataset.image_ids(file.split)?;
                job.images(&dataset, ids.get(rows).unwrap_or_default())?
            }
            ItemKind::Text => {
                let texts = dataset.texts(file.split)?;
                job.texts(texts.get(rows).unwrap_or_default())?
            }
        };
        let (truncated, unknown) = (embeddings.truncated, embeddings.unknown_tokens);
        let written = encode::write(&context.out.join(file.path()), file, &model.fingerprint, embeddings)?;
        Ok(ShardReceipt {
            shard: shard.clone(),
            rows_in: file.rows as u64,
            rows_out: written,
            rows_quarantined: 0,
            rows_left_out: 0,
            shared: Vec::new(),
            files: vec![file.path()],
            stats: BTreeMap::from([
                ("truncated".to_owned(), json!(truncated)),
                ("unknown_tokens".to_owned(), json!(unknown)),
            ]),
        })
    }

    fn finish(&self, context: &StageContext<'_>, _receipts: &[ShardReceipt]) -> Result<(), StageError> {
        let mut models = Vec::new();
        for id in &self.spec.needs.models {
            let input = context.input(id)?;
            let config = Checkpoint::open_config(&input.sealed.folder)?;
            let fingerprint = input.key.fingerprint.clone();
            models.push(EmbeddedModel { id: id.clone(), fingerprint, dimension: config.embed_dim });
        }
        let files = self.files(context)?;
        let rows: usize = files.iter().map(|file| file.rows).sum();
        context.note(&format!("{rows} vectors of {} models", models.len()));
        EmbeddingSummary { models, data: self.spec.needs.data.clone(), files }.save(context.out)
    }
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
