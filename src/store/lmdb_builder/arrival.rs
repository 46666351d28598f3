//! Images in whatever order they come, as a sealed LMDB file. Where keys ascend, `LmdbBuilder` alone does.
//!
//! A value that does not fit a leaf is written at once and only its page is noted. Keys, pages and small values wait for
//! the end: up to a bound in memory, beyond it as sorted runs in a scratch file, which are merged.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::page::{PAGE_BYTES, Value};
use super::sheet::{Sheet, SheetPlace};
use super::spool::{Batch, Spool};
use super::{FileDigest, LmdbBuilder};
use crate::store::StoreError;

/// What waits in memory before it becomes a run, in bytes.
const BATCH_BYTES: usize = 64 << 20;

/// An encoded image on its way into a file.
#[derive(Debug)]
pub enum StoredImage {
    Loose(Vec<u8>),
    /// On one of some sheets.
    Laid {
        sheet: usize,
        place: SheetPlace,
    },
}

/// Takes images with unique ids in any order. Nothing is an LMDB file before `finish`.
#[derive(Debug)]
pub struct ImageStoreBuilder {
    builder: LmdbBuilder,
    spool_path: PathBuf,
    spool: Option<Spool>,
    batch: Batch,
    batch_bytes: usize,
    inserted: u64,
}

impl ImageStoreBuilder {
    /// Creates the file `path`; one that is there already is an error. `scratch` is a folder that one builder uses at
    /// a time.
    pub fn create(path: &Path, scratch: &Path) -> Result<Self, StoreError> {
        Self::with_batch_bytes(path, scratch, BATCH_BYTES)
    }

    /// As `create`, with another bound on what waits in memory: bytes, up to 1 GiB.
    pub fn with_batch_bytes(path: &Path, scratch: &Path, batch_bytes: usize) -> Result<Self, StoreError> {
        Ok(Self {
            builder: LmdbBuilder::create(path)?,
            spool_path: scratch.join("image_keys.spool"),
            spool: None,
            batch: Batch::default(),
            batch_bytes: batch_bytes.min(1 << 30),
            inserted: 0,
        })
    }

    /// Takes an image under an id of 1 to `MAX_KEY_BYTES` bytes. That an id came before shows in `finish`.
    pub fn insert(&mut self, id: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.builder.check_sizes(id.as_bytes(), bytes.len(), self.inserted + 1)?;
        let value = self.builder.place(id.as_bytes(), bytes)?;
        self.note(id, value)
    }

    fn note(&mut self, id: &str, value: Value<'_>) -> Result<(), StoreError> {
        self.batch.push(id.as_bytes(), value);
        self.inserted += 1;
        if self.batch.bytes() >= self.batch_bytes { self.spill() } else { Ok(()) }
    }

    /// Takes images that lie on `sheets`, or by themselves, in their order.
    pub fn insert_laid(&mut self, mut sheets: Vec<Sheet>, images: &[(String, StoredImage)]) -> Result<(), StoreError> {
        let mut page = self.builder.file.next_page();
        for (id, image) in images {
            match image {
                StoredImage::Loose(bytes) => page += Sheet::room(id.len(), bytes.len()) as u64 / PAGE_BYTES as u64,
                StoredImage::Laid { sheet, place } => {
                    sheets[*sheet].number(*place, page);
                    page += place.pages().len() as u64;
                }
            }
        }
        let numbered = page;
        let sheets: Vec<Arc<Sheet>> = sheets.into_iter().map(Arc::new).collect();
        for (id, image) in images {
            match image {
                StoredImage::Loose(bytes) => self.insert(id, bytes)?,
                StoredImage::Laid { sheet, place } => {
                    self.builder.check_sizes(id.as_bytes(), place.bytes(), self.inserted + 1)?;
                    let value = self.builder.place_pages(&sheets[*sheet], *place)?;
                    self.note(id, value)?;
                }
            }
        }
        debug_assert_eq!(self.builder.file.next_page(), numbered);
        Ok(())
    }

    /// Writes the tree above the values; the file is durable then. An id that was inserted twice is an error.
    pub fn finish(mut self) -> Result<FileDigest, StoreError> {
        if self.spool.is_some() {
            self.spill()?;
        }
        let builder = &mut self.builder;
        let append = |key: &[u8], value: Value<'_>| builder.append_placed(key, value);
        match self.spool {
            None => self.batch.sorted(append)?,
            Some(spool) => spool.merged(append)?,
        }
        self.builder.finish()
    }

    fn spill(&mut self) -> Result<(), StoreError> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            None => self.spool.insert(Spool::create(&self.spool_path)?),
        };
        spool.write(&mut self.batch)
    }
}
