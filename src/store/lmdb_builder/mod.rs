//! Writes a whole LMDB file from front to back, without LMDB and without a map. To change a file, use LMDB.
//!
//! Entries come in the order of their keys: leaves are filled to the end, values that do not fit a leaf go to pages of
//! their own before it, branch pages follow where they are full. Memory does not grow with the file. The file is what
//! LMDB 0.9 leaves after one transaction on its nameless database, with pages of 4096 bytes, 64-bit, little-endian.

mod aligned;
mod arrival;
mod branch;
mod digest;
mod disk;
mod output;
mod page;
mod sheet;
mod spool;

use std::path::Path;
use std::sync::Arc;

use super::{MAX_KEY_BYTES, StoreError};
use branch::{Branches, Child};
use output::PageFile;
use page::{Page, Tree, Value, is_inline, run_pages};

pub use arrival::{ImageStoreBuilder, StoredImage};
pub use sheet::{Sheet, SheetPlace, SheetPool};

/// Larger values are refused.
pub const MAX_VALUE_BYTES: usize = 1 << 30;

/// Length and BLAKE3 of a file, as its manifest says them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    pub bytes: u64,
    /// 64 hexadecimal characters.
    pub digest: String,
}

/// Writes entries whose keys ascend byte by byte. Nothing is an LMDB file before `finish`.
#[derive(Debug)]
pub struct LmdbBuilder {
    file: PageFile,
    leaf: Page,
    /// The first key of `leaf`.
    least: Vec<u8>,
    /// The key that came last; empty before the first.
    previous: Vec<u8>,
    branches: Branches,
    tree: Tree,
}

impl LmdbBuilder {
    /// Creates the file `path`; one that is there already is an error. No lock file is left beside it.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            file: PageFile::create(path)?,
            leaf: Page::leaf(),
            least: Vec::new(),
            previous: Vec::new(),
            branches: Branches::default(),
            tree: Tree::EMPTY,
        })
    }

    /// Appends an entry: a key of 1 to `MAX_KEY_BYTES` bytes, greater than all before, and a value of up to
    /// `MAX_VALUE_BYTES`. After a refused entry the next can follow; after a failed write nothing can.
    pub fn append(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.check_sizes(key, value.len(), self.tree.entries + 1)?;
        self.check_order(key)?;
        let value = self.place(key, value)?;
        self.add(key, value)
    }

    /// Writes the rest; the file is durable then.
    pub fn finish(mut self) -> Result<FileDigest, StoreError> {
        if !self.leaf.is_empty() {
            self.end_leaf()?;
        }
        if let Some(top) = self.branches.finish(&mut self.file)? {
            (self.tree.root, self.tree.depth, self.tree.branch_pages) = (top.root, top.depth, top.branch_pages);
        }
        self.file.finish(&self.tree)
    }

    /// Writes a value that does not fit the leaf; the key may come later.
    fn place<'a>(&mut self, key: &[u8], value: &'a [u8]) -> Result<Value<'a>, StoreError> {
        if is_inline(key.len(), value.len()) {
            return Ok(Value::Inline(value));
        }
        let first = self.file.write_run(value)?;
        self.tree.overflow_pages += u64::from(run_pages(value.len()));
        Ok(Value::Run { first, bytes: value.len() as u32 })
    }

    /// Writes a value from where it lies; the key may come later.
    fn place_pages(&mut self, sheet: &Arc<Sheet>, place: SheetPlace) -> Result<Value<'static>, StoreError> {
        let (first, pages) = (self.file.next_page(), place.pages());
        self.tree.overflow_pages += pages.len() as u64;
        self.file.extend_by_pages(sheet, pages)?;
        Ok(Value::Run { first, bytes: place.bytes() as u32 })
    }

    /// Adds a key of the right size with its placed value.
    fn append_placed(&mut self, key: &[u8], value: Value<'_>) -> Result<(), StoreError> {
        self.check_order(key)?;
        self.add(key, value)
    }

    fn add(&mut self, key: &[u8], value: Value<'_>) -> Result<(), StoreError> {
        if !self.leaf.push_entry(key, value) {
            self.end_leaf()?;
            self.leaf.push_entry(key, value);
        }
        if self.least.is_empty() {
            self.least.extend_from_slice(key);
        }
        self.previous.clear();
        self.previous.extend_from_slice(key);
        self.tree.entries += 1;
        Ok(())
    }

    fn end_leaf(&mut self) -> Result<(), StoreError> {
        let page = self.file.next_page();
        self.file.extend(self.leaf.seal(page))?;
        self.leaf.clear();
        self.tree.leaf_pages += 1;
        self.branches.add(0, Child { key: std::mem::take(&mut self.least), page }, &mut self.file)
    }

    fn check_order(&self, key: &[u8]) -> Result<(), StoreError> {
        if key > &self.previous[..] {
            return Ok(());
        }
        let [previous, key] = [&self.previous[..], key].map(|key| String::from_utf8_lossy(key).into_owned());
        let path = self.file.path().to_owned();
        Err(StoreError::KeyOrder { path, entry: self.tree.entries + 1, previous, key })
    }

    fn check_sizes(&self, key: &[u8], bytes: usize, entry: u64) -> Result<(), StoreError> {
        let path = || self.file.path().to_owned();
        if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
            return Err(StoreError::KeySize { path: path(), entry, bytes: key.len(), limit: MAX_KEY_BYTES });
        }
        if bytes > MAX_VALUE_BYTES {
            return Err(StoreError::ValueSize { path: path(), entry, bytes, limit: MAX_VALUE_BYTES });
        }
        Ok(())
    }
}
