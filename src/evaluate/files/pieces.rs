//! A regular file in pieces, each read by the core that parses it; what is no regular file comes in [`super::blocks`].
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::FileError;

/// Bytes of a piece: a core still has them in its second-level cache when it parses them.
const PIECE_BYTES: u64 = 256 << 10;
/// Bytes that are read at a time to find the end of the last line.
const STEP: usize = 16 << 10;
/// Room for the end of the last line; a buffer that grows takes new memory.
const ROOM: usize = 2 * STEP;
/// Of memory, and of a file in the system's cache.
const PAGE: usize = 4 << 10;

/// A file that is cut at line ends.
pub struct Pieces<'a> {
    path: &'a Path,
    file: File,
    bytes: u64,
    /// Buffers to read into again: fresh memory costs more than reading.
    spare: Mutex<Vec<Vec<u8>>>,
}

impl<'a> Pieces<'a> {
    /// `None` for what is no regular file, or has no length to go by.
    pub fn open(path: &'a Path) -> Result<Option<Self>, FileError> {
        // A pipe that is opened and closed again would end for whoever writes to it.
        let metadata = std::fs::metadata(path).map_err(FileError::io(path))?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Ok(None);
        }
        let file = File::open(path).map_err(FileError::io(path))?;
        Ok(Some(Self { path, file, bytes: metadata.len(), spare: Mutex::default() }))
    }

    pub fn count(&self) -> usize {
        self.bytes.div_ceil(PIECE_BYTES) as usize
    }

    /// Gives `take` the lines that start in a piece, to the end of the last.
    pub fn with_lines<R>(&self, number: usize, take: impl FnOnce(&[u8]) -> R) -> Result<R, FileError> {
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = spare().pop().unwrap_or_default();
        let lines = self.read(number as u64 * PIECE_BYTES, &mut buffer).map_err(FileError::io(self.path))?;
        let taken = take(&buffer[lines]);
        spare().push(buffer);
        Ok(taken)
    }

    /// Reads the lines that start at `first` or up to a piece behind it; where they stand in the buffer.
    fn read(&self, first: u64, buffer: &mut Vec<u8>) -> std::io::Result<std::ops::Range<usize>> {
        buffer.resize(PAGE + PIECE_BYTES as usize + 1 + ROOM, 0);
        let end = (first + PIECE_BYTES).min(self.bytes);
        // A line starts at `first` if the byte before ends one.
        let from = first.saturating_sub(1);
        // Bytes take the place in a page of memory that they have in a page of the file: a copy from one place to another a
        // little behind it takes three times as long.
        let lead = (from as usize).wrapping_sub(buffer.as_ptr().addr()) % PAGE;
        let wanted = (end - from) as usize;
        let mut filled = self.fill(from, buffer, lead..lead + wanted)?;
        let line_end = |bytes: &[u8]| memchr::memchr(b'\n', bytes).map(|at| at + 1);
        let start = if first == 0 { 0 } else { line_end(&buffer[lead..filled]).unwrap_or(filled - lead) };
        if lead + start == filled {
            return Ok(0..0);
        }
        while buffer[filled - 1] != b'\n' {
            let position = from + (filled - lead) as u64;
            let more = self.fill(position, buffer, filled..filled + STEP)?;
            if let Some(length) = line_end(&buffer[filled..more]) {
                filled += length;
            } else if more < filled + STEP {
                return Ok(lead + start..more);
            } else {
                filled = more;
            }
        }
        Ok(lead + start..filled)
    }

    /// Fills a range of the buffer with what stands at `position` of the file; where that ends, earlier if the file ends.
    fn fill(&self, position: u64, buffer: &mut Vec<u8>, range: std::ops::Range<usize>) -> std::io::Result<usize> {
        if buffer.len() < range.end {
            buffer.resize(2 * range.end, 0);
        }
        let mut filled = range.start;
        while filled < range.end {
            match self.file.read_at(&mut buffer[filled..range.end], position + (filled - range.start) as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_stands_in_one_piece_whole_wherever_the_pieces_are_cut() {
        let piece = PIECE_BYTES as usize;
        for (lengths, ends) in [
            (vec![piece - 1, 5, 7], true),
            (vec![piece, 0, 1], false),
            (vec![piece - 2, 0, 0, 3 * piece, 1], true),
            (vec![STEP, piece + STEP - 2 * STEP - 2, STEP - 1, STEP, 0, 4], false),
            (vec![3 * piece + 1], false),
            (vec![0; 2 * piece + 3], true),
            ((0..3_000).map(|i| i * 7 % 1_000).collect(), true),
        ] {
            let mut text: Vec<u8> = Vec::new();
            for (length, byte) in lengths.iter().zip((b'a'..=b'z').cycle()) {
                text.extend(std::iter::repeat_n(byte, *length));
                text.push(b'\n');
            }
            if !ends {
                text.pop();
            }
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &text).unwrap();
            let pieces = Pieces::open(file.path()).unwrap().unwrap();
            let mut joined = Vec::new();
            for number in 0..pieces.count() {
                let lines = pieces.with_lines(number, <[u8]>::to_vec).unwrap();
                let last = joined.len() + lines.len() == text.len();
                assert!(lines.is_empty() || last || lines.ends_with(b"\n"));
                // A line belongs to the piece in which it starts.
                assert!(lines.is_empty() || joined.len() / piece == number);
                joined.extend(lines);
            }
            assert!(joined == text, "{} lines", lengths.len());
        }
    }
}
