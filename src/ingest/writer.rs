//! Checked rows into tables and the image store; bad ones into quarantine. In memory are a batch and what `seen` keeps of ids.
use std::path::{Path, PathBuf};

use super::examine::Examiner;
use super::image_batch::{ImageBatch, Sound};
use super::image_sink::{self, ImageSink};
use super::prepare::{PreparedBatch, PreparedRow, PreparedText};
use super::seen::Seen;
use super::source::Place;
use super::spec::{IdenticalImages, IngestSpec};
use super::split_rule::SplitRule;
use super::statistics::Statistics;
use super::table_sink::{self, TableSink};
use super::tally::IngestStats;
use crate::data::FileEntry;
use crate::data::table::Table;
use crate::stage::StageError;
use crate::store::{FileDigest, RowFilter, Sheet, StoreError, TableWriter, primitive_column, text_column};
use arrow_array::types::UInt64Type;

const BATCH_IMAGES: usize = 512;
/// Of images in memory. They go to the store while they are in the processor's cache.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_TEXTS: usize = 1024;

/// The file of a table in an artifact.
pub fn table_file(table: Table) -> String {
    format!("{}.parquet", table.name())
}

/// The image store with the images that the `number`-th version of a data set added.
pub fn image_store_file(number: u32) -> String {
    if number == 0 { "images.mdb".to_owned() } else { format!("images-{number}.mdb") }
}

/// Whether a file of a data set holds images.
pub fn is_image_store(file: &str) -> bool {
    file.ends_with(".mdb")
}

/// The number of an image store.
pub fn segment_number(file: &str) -> u32 {
    let number = file.strip_prefix("images-").and_then(|rest| rest.strip_suffix(".mdb")?.parse().ok());
    number.unwrap_or(0)
}

/// Takes rows in source order, an image before the texts that name it.
pub struct DatasetWriter<'a> {
    pub(super) examiner: Examiner<'a>,
    pub(super) split: SplitRule,
    pub(super) spec: &'a IngestSpec,
    pub(super) tables: TableSink,
    quarantine: TableWriter,
    pub(super) filters: Filters,
    pub(super) store: ImageSink,
    pub(super) seen: Seen,
    pub(super) stats: IngestStats,
    images: ImageBatch,
    /// Where the bytes of images that wait are.
    pub(super) sheets: Vec<Sheet>,
    /// Images that are in the store and not yet in the table.
    pub(super) image_rows: Vec<Sound>,
    texts: Vec<PreparedText>,
    pub(super) shared: Vec<FileEntry>,
    store_file: String,
    quarantine_path: PathBuf,
}

pub(super) struct Filters {
    pub images: Option<RowFilter>,
    pub texts: Option<RowFilter>,
}

/// A row that goes to quarantine.
pub(super) struct BadRow {
    pub place: Place,
    pub table: &'static str,
    pub id: String,
    pub reason: String,
}

/// What a writer leaves behind.
pub struct Written {
    pub stats: IngestStats,
    pub statistics: Statistics,
    pub quarantine: PathBuf,
    /// Files below the output folder.
    pub files: Vec<String>,
    /// The one with the images.
    pub image_store: FileEntry,
    /// Image stores of earlier versions that this one goes on using.
    pub shared: Vec<FileEntry>,
}

impl<'a> DatasetWriter<'a> {
    /// Creates all files of the data set below `out`; keys that do not fit memory wait in `scratch`.
    pub fn create(
        out: &Path,
        scratch: &Path,
        spec: &'a IngestSpec,
        examiner: Examiner<'a>,
        split: SplitRule,
    ) -> Result<Self, StoreError> {
        let filter = |sql: &Option<String>, table: Table| {
            sql.as_ref().map(|sql| RowFilter::new(sql, table.schema())).transpose()
        };
        // An earlier try that was killed may have begun with another number.
        for entry in std::fs::read_dir(out).map_err(StoreError::io(out))? {
            let path = entry.map_err(StoreError::io(out))?.path();
            if path.file_name().is_some_and(|name| is_image_store(&name.to_string_lossy())) {
                std::fs::remove_file(&path).map_err(StoreError::io(&path))?;
            }
        }
        let (shared, number) = examiner.known.shared();
        let store_file = image_store_file(number);
        let quarantine_path = out.join(table_file(Table::Quarantine));
        Ok(Self {
            tables: table_sink::create(out)?,
            quarantine: TableWriter::create(&quarantine_path, Table::Quarantine.schema())?,
            filters: Filters {
                images: filter(&spec.conditions.images, Table::Images)?,
                texts: filter(&spec.conditions.texts, Table::Texts)?,
            },
            store: image_sink::create(&out.join(&store_file), scratch)?,
            seen: Seen::default(),
            stats: IngestStats::default(),
            images: ImageBatch::default(),
            sheets: Vec::new(),
            image_rows: Vec::new(),
            texts: Vec::new(),
            quarantine_path,
            examiner,
            split,
            spec,
            shared,
            store_file,
        })
    }

    /// Takes rows; they are settled once there are enough of them.
    pub fn push(&mut self, PreparedBatch { rows, sheet }: PreparedBatch) -> Result<(), StageError> {
        let number = self.sheets.len();
        self.sheets.extend(sheet);
        for row in rows {
            match row? {
                PreparedRow::Image(image) => self.images.take(image, number, &self.seen),
                PreparedRow::Text(text) => self.texts.push(text),
                PreparedRow::Bad(row) => self.reject(&[row])?,
            }
        }
        if self.images.is_full(BATCH_IMAGES, BATCH_BYTES) {
            self.flush_images()?;
        }
        if self.texts.len() >= BATCH_TEXTS { self.flush_texts() } else { Ok(()) }
    }

    /// Settles everything and closes the files.
    pub fn finish(mut self) -> Result<Written, StageError> {
        self.flush_texts()?;
        self.write_images(1)?;
        self.quarantine.finish()?;
        let mut statistics = self.tables.finish()?;
        statistics.images_per_text = self.seen.images_per_text(statistics.texts);
        statistics.texts_per_image = self.seen.texts_per_image(statistics.images);
        let FileDigest { bytes, digest } = self.store.finish()?;
        let image_store = FileEntry { path: self.store_file.clone(), bytes, digest, home: None };
        let tables = [Table::Images, Table::Texts, Table::Pairs, Table::Quarantine];
        let mut files: Vec<String> = tables.into_iter().map(table_file).collect();
        files.push(self.store_file);
        let Self { stats, quarantine_path: quarantine, shared, .. } = self;
        Ok(Written { stats, statistics, quarantine, files, image_store, shared })
    }

    fn flush_images(&mut self) -> Result<(), StageError> {
        let rows = self.images.drain();
        if rows.is_empty() { Ok(()) } else { self.settle_images(rows) }
    }

    /// Images first: the texts may name them.
    fn flush_texts(&mut self) -> Result<(), StageError> {
        self.flush_images()?;
        let rows = std::mem::take(&mut self.texts);
        if rows.is_empty() { Ok(()) } else { self.settle_texts(rows) }
    }

    /// Whether images with equal bytes become one.
    pub(super) fn merges(&self) -> bool {
        self.spec.identical_images == IdenticalImages::Merge
    }

    pub(super) fn reject(&mut self, rows: &[BadRow]) -> Result<(), StageError> {
        for row in rows {
            let tally = self.stats.tally(row.table);
            tally.rows_in += 1;
            tally.quarantined += 1;
            if self.stats.first_bad.is_none() {
                let Place { source, line } = &row.place;
                self.stats.first_bad = Some(format!("{source}:{line}: {}", row.reason));
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.quarantine.write(vec![
            text_column(rows.iter().map(|row| &row.place.source)),
            primitive_column::<UInt64Type>(rows.iter().map(|row| row.place.line)),
            text_column(rows.iter().map(|row| row.table)),
            text_column(rows.iter().map(|row| &row.id)),
            text_column(rows.iter().map(|row| &row.reason)),
        ])?;
        Ok(())
    }
}

/// What an id must be like to be a key of the image store.
pub(super) fn is_key(id: &str) -> bool {
    (1..=crate::store::MAX_KEY_BYTES).contains(&id.len())
}
