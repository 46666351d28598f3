//! Values where they will be written from: each on pages of its own, as they stand in the file, so that nobody copies them.
use std::ops::Range;
use std::sync::{Arc, Mutex};

use super::aligned::AlignedBytes;
use super::page::{PAGE_BYTES, PAGE_HEADER, is_inline, run_header, run_pages};

/// Memory of a larger sheet is given back when its values are written.
const LARGEST_KEPT: usize = 4 << 20;

/// Memory of sheets whose values are written, for the next ones.
#[derive(Debug, Clone, Default)]
pub struct SheetPool {
    memory: Arc<Mutex<Vec<AlignedBytes>>>,
}

/// Values one after another.
#[derive(Debug)]
pub struct Sheet {
    memory: AlignedBytes,
    pages: usize,
    pool: SheetPool,
}

/// Where a value lies in its sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheetPlace {
    page: usize,
    bytes: usize,
}

impl SheetPool {
    /// An empty sheet with room for `bytes` bytes: the sum of what [`Sheet::room`] says of its values.
    pub fn sheet(&self, bytes: usize) -> Sheet {
        let kept = self.memory.lock().ok().and_then(|mut kept| kept.pop());
        let mut memory = kept.unwrap_or_default();
        if memory.len() < bytes {
            memory = AlignedBytes::new(bytes);
        }
        Sheet { memory, pages: 0, pool: self.clone() }
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        if let (true, Ok(mut kept)) = (self.memory.len() <= LARGEST_KEPT, self.pool.memory.lock()) {
            kept.push(std::mem::take(&mut self.memory));
        }
    }
}

impl Sheet {
    /// Bytes that a value takes under a key of `key_bytes`; none if it is so small that the file keeps it beside its key.
    pub fn room(key_bytes: usize, value_bytes: usize) -> usize {
        if is_inline(key_bytes, value_bytes) { 0 } else { run_pages(value_bytes) as usize * PAGE_BYTES }
    }

    /// Lays down a value that is `bytes` long once `write` has written it. What `write` fails with takes no room. Panics if the
    /// sheet was not made with room for it.
    pub fn lay<E>(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<SheetPlace, E> {
        let place = SheetPlace { page: self.pages, bytes };
        let run = place.run();
        let value = run.start + PAGE_HEADER..run.start + PAGE_HEADER + bytes;
        self.memory[value.end..run.end].fill(0);
        write(&mut self.memory[value])?;
        self.pages += run.len() / PAGE_BYTES;
        Ok(place)
    }

    /// The bytes of a value.
    pub fn value(&self, place: SheetPlace) -> &[u8] {
        &self.memory[place.run().start + PAGE_HEADER..][..place.bytes]
    }

    /// Says on the value's first page which page of the file that is.
    pub(super) fn number(&mut self, place: SheetPlace, page: u64) {
        let start = place.run().start;
        self.memory[start..start + PAGE_HEADER].copy_from_slice(&run_header(page, run_pages(place.bytes)));
    }

    /// The bytes of some pages.
    pub(super) fn bytes(&self, pages: Range<usize>) -> &[u8] {
        &self.memory[pages.start * PAGE_BYTES..pages.end * PAGE_BYTES]
    }
}

impl SheetPlace {
    /// Length of the value.
    pub(super) fn bytes(self) -> usize {
        self.bytes
    }

    /// Pages of the sheet that the value takes.
    pub(super) fn pages(self) -> Range<usize> {
        self.page..self.page + run_pages(self.bytes) as usize
    }

    fn run(self) -> Range<usize> {
        let pages = self.pages();
        pages.start * PAGE_BYTES..pages.end * PAGE_BYTES
    }
}
