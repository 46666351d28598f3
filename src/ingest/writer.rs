//! Checked rows into tables and the image store; bad ones into quarantine. Memory is bounded by one batch.
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::types::{UInt32Type, UInt64Type};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::decode::decode;
use super::perceptual_hash::perceptual_hash;
use super::source::{ImageContent, ImageRow, Place, SourceRow, TextRow};
use super::{IngestError, read_image};
use crate::data::Split;
use crate::data::table::Table;
use crate::stage::StageError;
use crate::store::{ImageStoreWriter, MAX_KEY_BYTES, StoreError, TableWriter, primitive_column, text_column};

const BATCH_IMAGES: usize = 256;
const BATCH_BYTES: usize = 64 << 20;
const BATCH_TEXTS: usize = 4096;

/// File names of a data set artifact.
pub const IMAGE_STORE_FILE: &str = "images.mdb";

/// Counts of one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub rows_in: u64,
    pub rows_out: u64,
    pub quarantined: u64,
}

/// What a data set holds after ingest.
#[derive(Debug, Default)]
pub struct IngestStats {
    pub images: Tally,
    pub texts: Tally,
    pub pairs: Tally,
    /// Images, texts and pairs by split.
    pub by_split: BTreeMap<Split, [u64; 3]>,
    /// The first bad row, for the error message.
    pub first_bad: Option<String>,
}

/// Takes rows in source order: images first, then texts.
pub struct DatasetWriter {
    images: TableWriter,
    texts: TableWriter,
    pairs: TableWriter,
    quarantine: TableWriter,
    quarantine_path: PathBuf,
    store: ImageStoreWriter,
    /// Split of every stored image and of every text, by id, on disk.
    image_splits: ImageStoreWriter,
    text_ids: ImageStoreWriter,
    scratch: PathBuf,
    pending_images: Vec<ImageRow>,
    pending_bytes: usize,
    pending_ids: HashSet<String>,
    pending_texts: Vec<TextRow>,
    stats: IngestStats,
}

/// A decoded image's row.
struct ImageFacts {
    bytes: Vec<u8>,
    width: u32,
    height: u32,
    format: &'static str,
    digest: String,
    perceptual_hash: u64,
}

struct BadRow {
    place: Place,
    table: &'static str,
    id: String,
    reason: String,
}

impl DatasetWriter {
    /// Creates all files of the data set below `out`; look-up files lie in `scratch` until the end.
    pub fn create(out: &Path, scratch: &Path) -> Result<Self, StoreError> {
        let table = |table: Table| TableWriter::create(&out.join(table_file(table)), table.schema());
        let fresh = |folder: &Path, name: &str| {
            let path = folder.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io(&path)(error)),
                _ => ImageStoreWriter::create(&path),
            }
        };
        Ok(Self {
            images: table(Table::Images)?,
            texts: table(Table::Texts)?,
            pairs: table(Table::Pairs)?,
            quarantine: table(Table::Quarantine)?,
            quarantine_path: out.join(table_file(Table::Quarantine)),
            store: fresh(out, IMAGE_STORE_FILE)?,
            image_splits: fresh(scratch, "image_splits.mdb")?,
            text_ids: fresh(scratch, "text_ids.mdb")?,
            scratch: scratch.to_owned(),
            pending_images: Vec::new(),
            pending_bytes: 0,
            pending_ids: HashSet::new(),
            pending_texts: Vec::new(),
            stats: IngestStats::default(),
        })
    }

    /// Takes one row; it is settled with its batch.
    pub fn push(&mut self, row: SourceRow) -> Result<(), StageError> {
        match row {
            SourceRow::Image(image) => self.push_image(image),
            SourceRow::Text(text) => {
                self.flush_images()?;
                self.pending_texts.push(text);
                if self.pending_texts.len() >= BATCH_TEXTS { self.flush_texts() } else { Ok(()) }
            }
            SourceRow::Bad { place, table, id, reason } => {
                self.tally(table).rows_in += 1;
                self.reject(&[BadRow { place, table, id, reason }])
            }
        }
    }

    /// Settles everything and closes the files.
    pub fn finish(mut self) -> Result<(IngestStats, PathBuf), StageError> {
        self.flush_images()?;
        self.flush_texts()?;
        self.images.finish()?;
        self.texts.finish()?;
        self.pairs.finish()?;
        self.quarantine.finish()?;
        self.store.finish()?;
        self.image_splits.finish()?;
        self.text_ids.finish()?;
        for name in ["image_splits.mdb", "text_ids.mdb"] {
            let path = self.scratch.join(name);
            fs::remove_file(&path).map_err(StoreError::io(&path))?;
        }
        Ok((self.stats, self.quarantine_path))
    }

    fn push_image(&mut self, image: ImageRow) -> Result<(), StageError> {
        // A file that several captions name is one image, not a repeated row.
        if matches!(image.content, ImageContent::File(_))
            && (self.pending_ids.contains(&image.id) || self.known_split(&image.id)? == Some(image.split))
        {
            return Ok(());
        }
        self.stats.images.rows_in += 1;
        if image.id.is_empty() || image.id.len() > MAX_KEY_BYTES {
            let reason = format!("image id must have 1 to {MAX_KEY_BYTES} bytes");
            return self.reject(&[BadRow { place: image.place, table: "images", id: image.id, reason }]);
        }
        self.pending_bytes += match &image.content {
            ImageContent::Bytes(bytes) => bytes.len(),
            ImageContent::File(_) => 1 << 16,
        };
        self.pending_ids.insert(image.id.clone());
        self.pending_images.push(image);
        if self.pending_images.len() >= BATCH_IMAGES || self.pending_bytes >= BATCH_BYTES {
            self.flush_images()?;
        }
        Ok(())
    }

    fn flush_images(&mut self) -> Result<(), StageError> {
        let rows = std::mem::take(&mut self.pending_images);
        self.pending_ids.clear();
        self.pending_bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let facts: Vec<Result<ImageFacts, IngestError>> = rows.par_iter().map(examine).collect();
        let mut bad = Vec::new();
        let mut good = Vec::new();
        for (row, facts) in rows.into_iter().zip(facts) {
            match facts {
                Ok(facts) => good.push((row, facts)),
                Err(error @ (IngestError::Decode { .. } | IngestError::Missing { .. })) => {
                    bad.push(BadRow { place: row.place, table: "images", id: row.id, reason: error.to_string() });
                }
                Err(error) => return Err(error.into()),
            }
        }
        let splits: Vec<[u8; 1]> = good.iter().map(|(row, _)| [row.split as u8]).collect();
        let marks: Vec<(&str, &[u8])> =
            good.iter().zip(&splits).map(|((row, _), split)| (row.id.as_str(), &split[..])).collect();
        let new = self.image_splits.insert(&marks)?;
        let batch: Vec<(&str, &[u8])> =
            good.iter().map(|(row, facts)| (row.id.as_str(), facts.bytes.as_slice())).collect();
        self.store.insert(&batch)?;
        let mut kept = Vec::with_capacity(good.len());
        for ((row, facts), new) in good.into_iter().zip(new) {
            if new {
                kept.push((row, facts));
            } else {
                let reason = "image id repeats; the first one stands".to_owned();
                bad.push(BadRow { place: row.place, table: "images", id: row.id, reason });
            }
        }
        self.write_images(&kept)?;
        self.reject(&bad)
    }

    fn write_images(&mut self, kept: &[(ImageRow, ImageFacts)]) -> Result<(), StoreError> {
        self.stats.images.rows_out += kept.len() as u64;
        for (row, _) in kept {
            self.stats.by_split.entry(row.split).or_default()[0] += 1;
        }
        let source = |row: &ImageRow| match &row.content {
            ImageContent::Bytes(_) => format!("{}:{}", row.place.source, row.place.line),
            ImageContent::File(_) => row.id.clone(),
        };
        self.images.write(vec![
            text_column(kept.iter().map(|(row, _)| &row.id)),
            text_column(kept.iter().map(|(row, _)| row.split.as_str())),
            primitive_column::<UInt32Type>(kept.iter().map(|(_, facts)| facts.width)),
            primitive_column::<UInt32Type>(kept.iter().map(|(_, facts)| facts.height)),
            text_column(kept.iter().map(|(_, facts)| facts.format)),
            text_column(kept.iter().map(|(_, facts)| &facts.digest)),
            primitive_column::<UInt64Type>(kept.iter().map(|(_, facts)| facts.perceptual_hash)),
            text_column(kept.iter().map(|(row, _)| source(row))),
            primitive_column::<UInt64Type>(kept.iter().map(|(_, facts)| facts.bytes.len() as u64)),
        ])
    }

    fn flush_texts(&mut self) -> Result<(), StageError> {
        let rows = std::mem::take(&mut self.pending_texts);
        self.stats.texts.rows_in += rows.len() as u64;
        let mut bad = Vec::new();
        let mut sound = Vec::new();
        for row in rows {
            match text_problem(&row) {
                None => sound.push(row),
                Some(reason) => bad.push(BadRow { place: row.place, table: "texts", id: row.id, reason }),
            }
        }
        let marks: Vec<(&str, &[u8])> = sound.iter().map(|row| (row.id.as_str(), &[][..])).collect();
        let new = self.text_ids.insert(&marks)?;
        let mut kept = Vec::with_capacity(sound.len());
        for (row, new) in sound.into_iter().zip(new) {
            if new {
                kept.push(row);
            } else {
                let reason = "text id repeats; the first one stands".to_owned();
                bad.push(BadRow { place: row.place, table: "texts", id: row.id, reason });
            }
        }
        let mut pairs = Vec::new();
        for row in &kept {
            self.stats.by_split.entry(row.split).or_default()[1] += 1;
            let mut seen = HashSet::new();
            for image_id in &row.image_ids {
                self.stats.pairs.rows_in += 1;
                match self.pair_problem(row, image_id, &mut seen)? {
                    None => pairs.push((row, image_id.as_str())),
                    Some(reason) => {
                        let id = format!("{}:{image_id}", row.id);
                        bad.push(BadRow { place: row.place.clone(), table: "pairs", id, reason });
                    }
                }
            }
        }
        for (row, _) in &pairs {
            self.stats.by_split.entry(row.split).or_default()[2] += 1;
        }
        self.stats.texts.rows_out += kept.len() as u64;
        self.stats.pairs.rows_out += pairs.len() as u64;
        self.texts.write(vec![
            text_column(kept.iter().map(|row| &row.id)),
            text_column(kept.iter().map(|row| row.split.as_str())),
            text_column(kept.iter().map(|row| row.text.trim())),
        ])?;
        self.pairs.write(vec![
            text_column(pairs.iter().map(|(row, _)| &row.id)),
            text_column(pairs.iter().map(|(_, image)| *image)),
            text_column(pairs.iter().map(|(row, _)| row.split.as_str())),
        ])?;
        self.reject(&bad)
    }

    fn pair_problem<'a>(
        &self,
        row: &TextRow,
        image_id: &'a str,
        seen: &mut HashSet<&'a str>,
    ) -> Result<Option<String>, StoreError> {
        if !seen.insert(image_id) {
            return Ok(Some(format!("image `{image_id}` is named twice by this text")));
        }
        Ok(match self.known_split(image_id)? {
            None => Some(format!("image `{image_id}` is not in the data set")),
            Some(split) if split != row.split => {
                Some(format!("image `{image_id}` belongs to split {split}, the text to {}", row.split))
            }
            Some(_) => None,
        })
    }

    fn known_split(&self, image_id: &str) -> Result<Option<Split>, StoreError> {
        if image_id.is_empty() || image_id.len() > MAX_KEY_BYTES {
            return Ok(None);
        }
        let mark = self.image_splits.get(image_id)?;
        Ok(mark.and_then(|mark| {
            let mark = mark.first().copied()?;
            Split::ALL.into_iter().find(|split| *split as u8 == mark)
        }))
    }

    fn reject(&mut self, rows: &[BadRow]) -> Result<(), StageError> {
        for row in rows {
            self.tally(row.table).quarantined += 1;
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

    fn tally(&mut self, table: &str) -> &mut Tally {
        match table {
            "images" => &mut self.stats.images,
            "texts" => &mut self.stats.texts,
            _ => &mut self.stats.pairs,
        }
    }
}

impl IngestStats {
    /// Counts as they stand in the manifest.
    pub fn to_json(&self) -> BTreeMap<String, Value> {
        let tally = |t: &Tally| json!({ "in": t.rows_in, "out": t.rows_out, "quarantined": t.quarantined });
        let mut stats = BTreeMap::from([
            ("images".to_owned(), tally(&self.images)),
            ("texts".to_owned(), tally(&self.texts)),
            ("pairs".to_owned(), tally(&self.pairs)),
        ]);
        for (split, [images, texts, pairs]) in &self.by_split {
            stats.insert(split.to_string(), json!({ "images": images, "texts": texts, "pairs": pairs }));
        }
        stats
    }
}

/// The file of a table in an artifact.
pub fn table_file(table: Table) -> String {
    format!("{}.parquet", table.name())
}

fn examine(row: &ImageRow) -> Result<ImageFacts, IngestError> {
    let bytes = match &row.content {
        ImageContent::Bytes(bytes) => bytes.clone(),
        ImageContent::File(path) => read_image(path)?,
    };
    let (picture, format) = decode(&bytes)?;
    Ok(ImageFacts {
        width: picture.width,
        height: picture.height,
        format,
        digest: blake3::hash(&bytes).to_hex().to_string(),
        perceptual_hash: perceptual_hash(&picture),
        bytes,
    })
}

fn text_problem(row: &TextRow) -> Option<String> {
    if row.id.is_empty() || row.id.len() > MAX_KEY_BYTES {
        return Some(format!("text id must have 1 to {MAX_KEY_BYTES} bytes"));
    }
    if row.text.trim().is_empty() {
        return Some("text is empty".to_owned());
    }
    None
}
