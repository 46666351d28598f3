//! A file that can only be read from its start on in blocks of whole lines, so that several cores can work on it; memory
//! does not grow with the file. A regular file is faster in [`super::pieces`].
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::FileError;

/// Bytes that are read at a time: a core still has them in its second-level cache when it parses them.
const BLOCK_BYTES: usize = 256 << 10;

/// Buffers that were parsed and can be read into again: fresh memory costs more than reading.
type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

/// Some whole lines of a file.
pub struct Block {
    pub number: usize,
    /// Of its first line, counted from 1.
    pub line: u64,
    pub bytes: Vec<u8>,
    spare: Spare,
}

impl Drop for Block {
    fn drop(&mut self) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.bytes));
    }
}

/// Cuts a file at line ends.
pub struct Blocks<'a> {
    path: &'a Path,
    file: File,
    rest: Vec<u8>,
    number: usize,
    line: u64,
    done: bool,
    spare: Spare,
}

impl<'a> Blocks<'a> {
    pub fn open(path: &'a Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io(path))?;
        Ok(Self { path, file, rest: Vec::new(), number: 0, line: 1, done: false, spare: Spare::default() })
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<Block, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let mut bytes = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        bytes.clear();
        bytes.reserve(self.rest.len() + BLOCK_BYTES + 1);
        bytes.append(&mut self.rest);
        loop {
            let read = match (&mut self.file).take(BLOCK_BYTES as u64).read_to_end(&mut bytes) {
                Ok(read) => read,
                Err(error) => {
                    self.done = true;
                    return Some(Err(FileError::io(self.path)(error)));
                }
            };
            if read < BLOCK_BYTES {
                self.done = true;
                break;
            }
            // A line longer than a block goes on in the next.
            if let Some(end) = memchr::memrchr(b'\n', &bytes) {
                self.rest.extend_from_slice(&bytes[end + 1..]);
                bytes.truncate(end + 1);
                break;
            }
        }
        let (number, line) = (self.number, self.line);
        let ends = memchr::memchr_iter(b'\n', &bytes).count();
        self.number += 1;
        self.line += ends as u64;
        Some(Ok(Block { number, line, bytes, spare: Arc::clone(&self.spare) }))
    }
}
