//! Lines of a file, each with its number. A line is a part of the block that was read and not copied.
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compressed::{self, BYTE_ORDER_MARK};
use super::source::{Place, SourceRow, SourceRows};
use super::{IngestError, MAX_IMAGE_BYTES};
use crate::store::SourceFolder;

/// A base64 image of the largest size that is read at all, with its id.
pub const MAX_LINE_BYTES: usize = MAX_IMAGE_BYTES / 3 * 4 + 1024;
const BLOCK_BYTES: usize = 1 << 18;

/// Opens one file, yields its lines that are not blank, and is done after the first error.
pub struct Lines {
    source: SourceFolder,
    name: Arc<str>,
    open: Option<Box<dyn Read + Send>>,
    /// What was read and not yet given.
    block: Bytes,
    line: u64,
    done: bool,
}

impl Lines {
    pub fn new(source: &SourceFolder, name: &str) -> Self {
        let (source, name) = (source.clone(), name.into());
        Self { source, name, open: None, block: Bytes::new(), line: 0, done: false }
    }

    /// Rows made from the lines.
    pub fn parse(self, parse: impl Fn(Place, Bytes) -> SourceRow + Send + 'static) -> SourceRows {
        Box::new(self.map(move |line| line.map(|(place, line)| parse(place, line))))
    }

    fn path(&self) -> PathBuf {
        self.source.display(&self.name)
    }

    /// One line with its end, of at most [`MAX_LINE_BYTES`]; the rest of a longer one is passed over. Empty at the end.
    fn read_line(&mut self) -> Result<Bytes, IngestError> {
        self.line += 1;
        let mut searched = 0;
        loop {
            let end = memchr::memchr(b'\n', &self.block[searched..]).map(|at| searched + at + 1);
            match end {
                Some(end) if end <= MAX_LINE_BYTES => return Ok(self.block.split_to(end)),
                None if self.block.len() < MAX_LINE_BYTES => {
                    searched = self.block.len();
                    if !self.read_more()? {
                        return Ok(std::mem::take(&mut self.block));
                    }
                }
                _ => {
                    let line = self.block.split_to(MAX_LINE_BYTES);
                    self.pass_over_line()?;
                    return Ok(line);
                }
            }
        }
    }

    fn pass_over_line(&mut self) -> Result<(), IngestError> {
        loop {
            let end = memchr::memchr(b'\n', &self.block);
            drop(self.block.split_to(end.map_or(self.block.len(), |at| at + 1)));
            if end.is_some() || !self.read_more()? {
                return Ok(());
            }
        }
    }

    /// Puts more of the file behind what is left of the block; says whether there was more.
    fn read_more(&mut self) -> Result<bool, IngestError> {
        let path = self.path();
        let is_first = self.open.is_none();
        let reader = match &mut self.open {
            Some(reader) => reader,
            None => self.open.insert(compressed::open_unbuffered(&self.source, &self.name)?),
        };
        // What is left of a long line doubles, so that it is not copied once for every block.
        let more = BLOCK_BYTES.max(self.block.len());
        let mut block = Vec::with_capacity(self.block.len() + more);
        block.extend_from_slice(&self.block);
        let read = Read::take(reader, more as u64).read_to_end(&mut block).map_err(IngestError::io(&path))?;
        self.block = block.into();
        if is_first && self.block.starts_with(BYTE_ORDER_MARK) {
            drop(self.block.split_to(BYTE_ORDER_MARK.len()));
        }
        Ok(read > 0)
    }
}

impl Iterator for Lines {
    type Item = Result<(Place, Bytes), IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            match self.read_line() {
                Ok(line) if line.is_empty() => self.done = true,
                Ok(line) if line.trim_ascii().is_empty() => {}
                Ok(line) => return Some(Ok((Place { source: Arc::clone(&self.name), line: self.line }, line))),
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// A JSON line, or a row for quarantine that says what was `expected`.
pub fn parse_json<T: DeserializeOwned>(place: &Place, line: &[u8], expected: &str) -> Result<T, SourceRow> {
    serde_json::from_slice(line)
        .map_err(|error| SourceRow::bad(place.clone(), "texts", "", format!("expected {expected}: {error}")))
}

/// Integers and strings are ids, written the same.
pub fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Ids of a list, or `None` if one is neither integer nor string.
pub fn id_texts(values: &[Value]) -> Option<Vec<String>> {
    values.iter().map(id_text).collect()
}

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// `id<TAB>base64`.
    Image,
    /// `{"text_id", "text"}`.
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(content: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lines"), content).unwrap();
        let source = SourceFolder::open(&folder.path().to_string_lossy()).unwrap();
        Lines::new(&source, "lines")
            .map(|line| line.map(|(place, line)| (place.line, line.to_vec())).unwrap())
            .collect()
    }

    #[test]
    fn lines_are_found_wherever_blocks_end() {
        // Shorter, as long and longer than a block, so that ends fall on every side of its end.
        for length in [0, 1, BLOCK_BYTES - 3, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES / 2] {
            let long = vec![b'x'; length];
            let content = [&b"first\n"[..], &long, b"\n\n \r\nlast"].concat();
            let mut expected = vec![(1, b"first\n".to_vec()), (2, [&long[..], b"\n"].concat()), (5, b"last".to_vec())];
            if length == 0 {
                expected.remove(1);
            }
            assert!(lines(&content) == expected, "{length}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        assert_eq!(lines(b"\xef\xbb\xbfa\nb"), [(1, b"a\n".to_vec()), (2, b"b".to_vec())]);
        assert!(lines(b"\xef\xbb\xbf").is_empty() && lines(b"").is_empty());
    }

    #[test]
    fn of_a_line_that_is_too_long_the_rest_is_passed_over() {
        let content = [&vec![b'x'; MAX_LINE_BYTES + 3 * BLOCK_BYTES][..], b"\nnext\n"].concat();
        let found = lines(&content);
        assert_eq!((found[0].1.len(), found.len()), (MAX_LINE_BYTES, 2));
        assert_eq!(found[1], (2, b"next\n".to_vec()));
    }
}
