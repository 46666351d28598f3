//! Files as memory: pages are read when they are touched and need no memory of their own. One of the pages with `unsafe`.
#![expect(unsafe_code, reason = "a mapped file is memory that the system may change")]
use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use super::StoreError;

/// The bytes of a file that no one changes, as the files of sealed artifacts are.
#[derive(Debug)]
pub struct Mapping(memmap2::Mmap);

impl Mapping {
    /// Maps the whole file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io(path))?;
        // SAFETY: artifacts are immutable: their files are written whole, then sealed, and never changed or shortened.
        let map = unsafe { memmap2::Mmap::map(&file) };
        map.map(Self).map_err(StoreError::io(path))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
