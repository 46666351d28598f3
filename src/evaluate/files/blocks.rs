//! A file in blocks of whole lines, so that several cores can work on it; memory does not grow with the file.
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::FileError;

/// Bytes that are read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// Some whole lines of a file.
pub struct Block {
    pub number: usize,
    /// Of its first line, counted from 1.
    pub line: u64,
    pub bytes: Vec<u8>,
}

/// Cuts a file at line ends.
pub struct Blocks<'a> {
    path: &'a Path,
    file: File,
    rest: Vec<u8>,
    number: usize,
    line: u64,
    done: bool,
}

impl<'a> Blocks<'a> {
    pub fn open(path: &'a Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io(path))?;
        Ok(Self { path, file, rest: Vec::new(), number: 0, line: 1, done: false })
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<Block, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.reserve(BLOCK_BYTES);
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
                self.rest = bytes.split_off(end + 1);
                break;
            }
        }
        let (number, line) = (self.number, self.line);
        self.number += 1;
        self.line += memchr::memchr_iter(b'\n', &bytes).count() as u64;
        Some(Ok(Block { number, line, bytes }))
    }
}
