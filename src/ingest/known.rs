//! Images that an earlier version of a data set holds already: they are neither decoded nor stored again.
use std::collections::HashMap;
use std::path::PathBuf;

use arrow_array::Array;

use super::spec::DecodeCheck;
use super::table_file;
use super::writer::{is_image_store, segment_number};
use crate::data::table::Table;
use crate::data::{FileEntry, KeyHashing, short_hash};
use crate::store::{ImageStore, Sealed, StoreError, TableReader};

/// More segments than this are copied into one.
const MAX_SEGMENTS: usize = 8;
/// A smaller share of images that are still in use makes a copy worth its while.
const MIN_LIVE_SHARE: f64 = 0.5;
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

/// Facts by id and digest, with the files that hold the bytes.
#[derive(Debug, Default)]
pub struct KnownImages {
    /// By the first half of a hash over id and digest.
    facts: HashMap<u128, Facts, KeyHashing>,
    base: Option<Base>,
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
        let mut live = 0u32;
        for batch in TableReader::open(&base.path(&table_file(Table::Images)), Table::Images)? {
            let batch = batch?;
            let (ids, digests, formats) = (batch.text("image_id")?, batch.text("digest")?, batch.text("format")?);
            let (widths, heights) = (batch.u32("width")?, batch.u32("height")?);
            let (hashes, bytes) = (batch.u64("perceptual_hash")?, batch.u64("bytes")?);
            for row in 0..batch.rows() {
                live += 1;
                let perceptual_hash = hashes.is_valid(row).then(|| hashes.value(row));
                let digest = blake3::Hash::from_hex(digests.value(row));
                let format = FORMATS.into_iter().find(|format| *format == formats.value(row));
                let (Ok(digest), Some(format)) = (digest, format) else { continue };
                if perceptual_hash.is_none() && decode == DecodeCheck::Full {
                    continue;
                }
                let (width, height) = (widths.value(row), heights.value(row));
                let found = Facts { width, height, format, bytes: bytes.value(row), perceptual_hash };
                facts.insert(key(ids.value(row), digest.as_bytes()), found);
            }
        }
        let mut files: Vec<FileEntry> =
            base.manifest.files.iter().filter(|file| is_image_store(&file.path)).cloned().collect();
        files.sort_by_key(|file| std::cmp::Reverse(segment_number(&file.path)));
        for file in &mut files {
            file.home.get_or_insert_with(|| base.manifest.artifact.clone());
        }
        let paths: Vec<PathBuf> = files.iter().map(|file| base.path(&file.path)).collect();
        let store = ImageStore::open(&paths)?;
        let live_share = f64::from(live) / store.entries()?.max(1) as f64;
        Ok(Self { facts, base: Some(Base { files, store, live_share }) })
    }

    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// What is known of an image with this id and content.
    pub fn get(&self, id: &str, digest: &[u8; 32]) -> Option<Facts> {
        self.facts.get(&key(id, digest)).copied()
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

fn key(id: &str, digest: &[u8; 32]) -> u128 {
    short_hash(&[digest, id.as_bytes()].concat())
}
