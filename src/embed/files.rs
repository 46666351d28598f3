//! Features of images and texts that are in no store: TSV, folder or JSONL in, one feature file out. Memory does not
//! grow with the number of items.
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rayon::prelude::*;

use super::EmbedError;
use super::encode::{check_finite, tokenize};
use super::feature_writer::{FeatureFormat, FeatureWriter};
use crate::augment::evaluation_pixels_of;
use crate::data::ItemKind;
use crate::ingest::{ImageRow, IngestError, LineKind, SourceRow, SourceRows, file_rows, folder_rows};
use crate::model::{Encoder, ModelError};
use crate::stage::{Monitor, Progress, StageError};
use crate::store::SourceFolder;

/// Encodes files.
pub struct FileJob<'a> {
    pub encoder: &'a Encoder,
    /// Items per call of the model.
    pub batch_size: usize,
    /// How many unusable rows are set aside before the work stops.
    pub max_quarantine: u64,
    pub format: FeatureFormat,
    /// Folder of the feature files.
    pub output: &'a Path,
    pub monitor: &'a dyn Monitor,
}

/// What became of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStats {
    /// The feature file.
    pub path: PathBuf,
    pub rows: u64,
    pub quarantined: u64,
    /// Rows whose id an earlier row had.
    pub repeated_ids: u64,
    /// Texts that were cut to the context length.
    pub truncated: u64,
    /// `[UNK]` among the tokens.
    pub unknown_tokens: u64,
}

/// A row that could not be used.
struct BadRow {
    source: String,
    line: u64,
    reason: String,
}

/// Items ready for the model.
struct Batch<T> {
    ids: Vec<String>,
    input: Vec<T>,
    bad: Vec<BadRow>,
    truncated: u64,
    unknown_tokens: u64,
}

impl FileJob<'_> {
    /// Encodes the images of a folder, or of a TSV of ids and base64.
    pub fn images(&self, source: &Path) -> Result<FileStats, StageError> {
        let (folder, name) = SourceFolder::holding(source)?;
        let rows = match &name {
            None => folder_rows(&folder)?,
            Some(name) => file_rows(&folder, name, LineKind::Image),
        };
        let side = self.encoder.config().vision.image_resolution();
        self.run(source, ItemKind::Image, rows, |rows| image_batch(rows, &folder, side), Encoder::encode_images)
    }

    /// Encodes the texts of a JSONL of `{"text_id", "text"}`.
    pub fn texts(&self, source: &Path) -> Result<FileStats, StageError> {
        let length = self.encoder.config().context_length;
        let (folder, name) = SourceFolder::holding(source)?;
        let rows = file_rows(&folder, name.as_deref().unwrap_or_default(), LineKind::Text);
        self.run(source, ItemKind::Text, rows, |rows| text_batch(rows, length), Encoder::encode_texts)
    }

    /// The next batch is prepared while the model works on this one.
    fn run<T: Send>(
        &self,
        source: &Path,
        kind: ItemKind,
        rows: SourceRows,
        prepare: impl Fn(Vec<SourceRow>) -> Batch<T> + Sync + Send,
        encode: impl Fn(&Encoder, &[T], usize) -> Result<Vec<f32>, ModelError>,
    ) -> Result<FileStats, StageError> {
        let (stem, unit) = (stem(source), if kind == ItemKind::Image { "images" } else { "texts" });
        let mut writer = FeatureWriter::create(self.output, &stem, kind, self.format, self.encoder.config().embed_dim)?;
        let mut stats = FileStats {
            path: writer.path().to_owned(),
            rows: 0,
            quarantined: 0,
            repeated_ids: 0,
            truncated: 0,
            unknown_tokens: 0,
        };
        let progress = self.monitor.begin(&stem, None, unit);
        let batch_size = self.batch_size;
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(1);
            scope.spawn(move || send_batches(rows, batch_size, &prepare, &sender));
            self.encode_batches(receiver, &mut writer, &mut stats, kind, progress.as_ref(), &encode)
        })?;
        if stats.rows == 0 {
            return Err(EmbedError::EmptySource { path: source.to_owned() }.into());
        }
        writer.finish()?;
        Ok(stats)
    }

    fn encode_batches<T>(
        &self,
        batches: Receiver<Result<Batch<T>, IngestError>>,
        writer: &mut FeatureWriter,
        stats: &mut FileStats,
        kind: ItemKind,
        progress: &dyn Progress,
        encode: &impl Fn(&Encoder, &[T], usize) -> Result<Vec<f32>, ModelError>,
    ) -> Result<(), StageError> {
        // Eight bytes an id: a million of them take some megabytes.
        let mut seen = HashSet::new();
        for batch in batches {
            let batch = batch?;
            let vectors = encode(self.encoder, &batch.input, batch.ids.len())?;
            check_finite(&vectors, self.encoder.config().embed_dim, &batch.ids, kind)?;
            stats.repeated_ids += batch.ids.iter().filter(|id| !seen.insert(hash_of(id))).count() as u64;
            writer.write(&batch.ids, vectors)?;
            stats.rows += batch.ids.len() as u64;
            stats.quarantined += batch.bad.len() as u64;
            stats.truncated += batch.truncated;
            stats.unknown_tokens += batch.unknown_tokens;
            for row in &batch.bad {
                if stats.quarantined > self.max_quarantine {
                    let place = if row.line == 0 { row.source.clone() } else { format!("{}:{}", row.source, row.line) };
                    let allowed = self.max_quarantine;
                    return Err(EmbedError::BadRow { place, reason: row.reason.clone(), allowed }.into());
                }
                writer.quarantine(&row.source, row.line, &row.reason)?;
            }
            progress.advance((batch.ids.len() + batch.bad.len()) as u64);
            self.monitor.check_stop()?;
        }
        Ok(())
    }
}

/// Stops early when the receiver is gone: then encoding failed, and that error is the one to report.
fn send_batches<T>(
    rows: SourceRows,
    batch_size: usize,
    prepare: &impl Fn(Vec<SourceRow>) -> Batch<T>,
    sender: &SyncSender<Result<Batch<T>, IngestError>>,
) {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let batch: Result<Vec<SourceRow>, IngestError> = rows.by_ref().take(batch_size).collect();
        let failed = batch.is_err();
        if sender.send(batch.map(prepare)).is_err() || failed {
            return;
        }
    }
}

fn image_batch(rows: Vec<SourceRow>, folder: &SourceFolder, side: usize) -> Batch<f32> {
    let decoded: Vec<Result<(String, Vec<f32>), BadRow>> =
        rows.into_par_iter().map(|row| pixels(row, folder, side)).collect();
    let mut batch = Batch::with_capacity(decoded.len(), 3 * side * side);
    for row in decoded {
        match row {
            Ok((id, pixels)) => {
                batch.ids.push(id);
                batch.input.extend(pixels);
            }
            Err(bad) => batch.bad.push(bad),
        }
    }
    batch
}

fn pixels(row: SourceRow, folder: &SourceFolder, side: usize) -> Result<(String, Vec<f32>), BadRow> {
    let ImageRow { place, id, content, .. } = match row {
        SourceRow::Image(image) => image,
        other => return Err(unusable(other, "expected an image")),
    };
    let bad = |reason: String| BadRow { source: place.source.to_string(), line: place.line, reason };
    if id.is_empty() {
        return Err(bad("the id is empty".to_owned()));
    }
    let bytes = content.into_bytes(folder).map_err(|error| bad(error.to_string()))?;
    let mut pixels = vec![0.0; 3 * side * side];
    evaluation_pixels_of(&bytes, side as u32, &mut pixels).map_err(|error| bad(error.to_string()))?;
    Ok((id, pixels))
}

fn text_batch(rows: Vec<SourceRow>, length: usize) -> Batch<u32> {
    let mut batch = Batch::with_capacity(rows.len(), length);
    for row in rows {
        match row {
            SourceRow::Text(text) if text.id.is_empty() => {
                batch.bad.push(unusable(SourceRow::Text(text), "the id is empty"));
            }
            SourceRow::Text(text) => {
                let encoding = tokenize(&text.text, length);
                batch.ids.push(text.id);
                batch.input.extend(encoding.ids);
                batch.truncated += u64::from(encoding.truncated);
                batch.unknown_tokens += encoding.unknown as u64;
            }
            other => batch.bad.push(unusable(other, "expected a text")),
        }
    }
    batch
}

fn unusable(row: SourceRow, expected: &str) -> BadRow {
    let (place, reason) = match row {
        SourceRow::Bad { place, reason, .. } => (place, reason),
        SourceRow::Image(image) => (image.place, expected.to_owned()),
        SourceRow::Text(text) => (text.place, expected.to_owned()),
    };
    BadRow { source: place.source.to_string(), line: place.line, reason }
}

impl<T> Batch<T> {
    fn with_capacity(items: usize, values: usize) -> Self {
        Self {
            ids: Vec::with_capacity(items),
            input: Vec::with_capacity(items * values),
            bad: Vec::new(),
            truncated: 0,
            unknown_tokens: 0,
        }
    }
}

fn hash_of(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// `valid_imgs` of `data/valid_imgs.tsv`, or the name of a folder.
fn stem(source: &Path) -> String {
    let name = if source.is_dir() { source.file_name() } else { source.file_stem() };
    name.map_or_else(|| "features".to_owned(), |name| name.to_string_lossy().into_owned())
}
