//! Images that an earlier version of a data set holds already: they are neither decoded nor stored again.
use std::collections::HashMap;
use std::path::PathBuf;

use arrow_array::Array;
use rayon::prelude::*;

use super::seen::{IdKey, id_key};
use super::spec::DecodeCheck;
use super::table_file;
use super::writer::{is_image_store, segment_number};
use crate::data::table::Table;
use crate::data::{FileEntry, KeyHashing, short_digest};
use crate::store::{ImageStore, Sealed, StoreError, TableBatch, TableReader};

/// More segments than this are copied into one.
const MAX_SEGMENTS: usize = 8;
/// A smaller share of images that are still in use makes a copy worth its while.
const MIN_LIVE_SHARE: f64 = 0.5;
const COLUMNS: [&str; 7] = ["image_id", "digest", "format", "width", "height", "perceptual_hash", "bytes"];
const FORMATS: [&str; 5] = ["jpeg", "png", "webp", "gif", "bmp"];

/// What decoding found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    pub width: u32,
    pub height: u32,
    pub format: &'static str,
    /// Length of the encoded image.
    pub bytes: u64,
    pub perceptual_hash: Option<u64>,
}

/// Facts by id, with the files that hold the bytes.
#[derive(Debug, Default)]
pub struct KnownImages {
    facts: HashMap<IdKey, Known, KeyHashing>,
    base: Option<Base>,
}

/// Facts in little memory, with the first half of the digest of the bytes that they are of.
#[derive(Debug)]
struct Known {
    digest: u128,
    bytes: u64,
    perceptual_hash: u64,
    width: u32,
    height: u32,
    /// Of [`FORMATS`].
    format: u8,
    is_hashed: bool,
}

#[derive(Debug)]
struct Base {
    /// Image stores as they enter the new manifest, the newest first.
    files: Vec<FileEntry>,
    store: ImageStore,
    live_share: f64,
}

impl KnownImages {
    /// Reads what an earlier version holds. Facts that were found by a lesser check are of no use.
    pub fn read(base: &Sealed, decode: DecodeCheck) -> Result<Self, StoreError> {
        let mut facts = HashMap::default();
        let mut live = 0;
        for batch in TableReader::open_columns(&base.path(&table_file(Table::Images)), Table::Images, &COLUMNS)? {
            let batch = batch?;
            live += batch.rows();
            facts.extend(read_facts(&batch, decode)?.into_iter().flatten());
        }
        let mut files: Vec<FileEntry> =
            base.manifest.files.iter().filter(|file| is_image_store(&file.path)).cloned().collect();
        files.sort_by_key(|file| std::cmp::Reverse(segment_number(&file.path)));
        for file in &mut files {
            file.home.get_or_insert_with(|| base.manifest.artifact.clone());
        }
        let paths: Vec<PathBuf> = files.iter().map(|file| base.path(&file.path)).collect();
        let store = ImageStore::open(&paths)?;
        let live_share = live as f64 / store.entries()?.max(1) as f64;
        Ok(Self { facts, base: Some(Base { files, store, live_share }) })
    }

    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// What is known of an image with this id and content.
    pub fn get(&self, id: &str, digest: &[u8; 32]) -> Option<Facts> {
        let known = self.facts.get(&id_key(id))?;
        let [first, _] = digest.as_chunks().0 else { return None };
        (known.digest == u128::from_be_bytes(*first)).then_some(Facts {
            width: known.width,
            height: known.height,
            format: FORMATS.get(usize::from(known.format))?,
            bytes: known.bytes,
            perceptual_hash: known.is_hashed.then_some(known.perceptual_hash),
        })
    }

    /// The image stores that the new version goes on using, and the number of its own; none if it is time to copy what is
    /// still in use into one file.
    pub fn shared(&self) -> (Vec<FileEntry>, u32) {
        let Some(base) = &self.base else { return (Vec::new(), 0) };
        if base.files.len() >= MAX_SEGMENTS || base.live_share < MIN_LIVE_SHARE {
            return (Vec::new(), 0);
        }
        let number = base.files.first().map_or(0, |file| segment_number(&file.path) + 1);
        (base.files.clone(), number)
    }

    /// The bytes of an image that the earlier version holds.
    pub fn bytes(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.base.as_ref().map_or(Ok(None), |base| base.store.get(id))
    }
}

/// What every row says; nothing where that is not what this check would find.
fn read_facts(batch: &TableBatch, decode: DecodeCheck) -> Result<Vec<Option<(IdKey, Known)>>, StoreError> {
    let (ids, digests, formats) = (batch.text("image_id")?, batch.text("digest")?, batch.text("format")?);
    let (widths, heights) = (batch.u32("width")?, batch.u32("height")?);
    let (hashes, bytes) = (batch.u64("perceptual_hash")?, batch.u64("bytes")?);
    let read = |row: usize| {
        if decode == DecodeCheck::Full && hashes.is_null(row) {
            return None;
        }
        let known = Known {
            digest: short_digest(digests.value(row))?,
            bytes: bytes.value(row),
            perceptual_hash: hashes.value(row),
            width: widths.value(row),
            height: heights.value(row),
            format: FORMATS.into_iter().position(|format| format == formats.value(row))? as u8,
            is_hashed: decode == DecodeCheck::Full,
        };
        Some((id_key(ids.value(row)), known))
    };
    Ok((0..batch.rows()).into_par_iter().map(read).collect())
}
