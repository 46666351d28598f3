//! Memory that a disk can read by itself: it begins at a multiple of the page size.
use std::ops::{Deref, DerefMut};

use super::page::PAGE_BYTES;

/// Bytes that begin at a page.
#[derive(Debug, Default)]
pub(super) struct AlignedBytes {
    memory: Vec<u8>,
    start: usize,
}

impl AlignedBytes {
    /// `bytes` zeros.
    pub(super) fn new(bytes: usize) -> Self {
        let memory = vec![0; bytes + PAGE_BYTES];
        let start = memory.as_ptr().align_offset(PAGE_BYTES).min(PAGE_BYTES);
        Self { memory, start }
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let end = self.memory.len().saturating_sub(PAGE_BYTES - self.start);
        &self.memory[self.start..end]
    }
}

impl DerefMut for AlignedBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        let end = self.memory.len().saturating_sub(PAGE_BYTES - self.start);
        &mut self.memory[self.start..end]
    }
}
