//! Lines of a file, each with its number.
use std::io::BufRead;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compressed::{self, Content};
use super::source::{Place, SourceRow, SourceRows};
use super::{IngestError, MAX_IMAGE_BYTES};
use crate::store::SourceFolder;

/// A base64 image of the largest size that is read at all, with its id.
pub const MAX_LINE_BYTES: usize = MAX_IMAGE_BYTES / 3 * 4 + 1024;

/// Opens one file, yields its lines that are not blank, and is done after the first error.
pub struct Lines {
    source: SourceFolder,
    name: String,
    open: Option<Content>,
    line: u64,
    done: bool,
}

impl Lines {
    pub fn new(source: &SourceFolder, name: &str) -> Self {
        Self { source: source.clone(), name: name.to_owned(), open: None, line: 0, done: false }
    }

    /// Rows made from the lines.
    pub fn parse(self, parse: impl Fn(Place, Vec<u8>) -> SourceRow + Send + 'static) -> SourceRows {
        Box::new(self.map(move |line| line.map(|(place, line)| parse(place, line))))
    }

    fn path(&self) -> PathBuf {
        self.source.display(&self.name)
    }

    /// Reads one line of at most [`MAX_LINE_BYTES`]; the rest of a longer one is passed over.
    fn read_line(&mut self, line: &mut Vec<u8>) -> Result<usize, IngestError> {
        if self.open.is_none() {
            self.open = Some(compressed::open(&self.source, &self.name)?);
        }
        let path = self.path();
        let Some(reader) = &mut self.open else {
            return Ok(0);
        };
        let mut read = read_line(reader, line).map_err(IngestError::io(&path))?;
        if read == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            read += reader.skip_until(b'\n').map_err(IngestError::io(&path))?;
        }
        self.line += 1;
        Ok(read)
    }
}

impl Iterator for Lines {
    type Item = Result<(Place, Vec<u8>), IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let mut line = Vec::new();
            match self.read_line(&mut line) {
                Ok(0) => self.done = true,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => return Some(Ok((Place { source: self.name.clone(), line: self.line }, line))),
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Appends what comes up to the end of the line, with it, and at most [`MAX_LINE_BYTES`]; returns how much that was. (The
/// standard library's search for the end is several times slower.)
fn read_line(reader: &mut Content, line: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut read = 0;
    while read < MAX_LINE_BYTES {
        let bytes = match reader.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        let bytes = &bytes[..bytes.len().min(MAX_LINE_BYTES - read)];
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |at| at + 1);
        line.extend_from_slice(&bytes[..taken]);
        reader.consume(taken);
        read += taken;
        if end.is_some() || taken == 0 {
            break;
        }
    }
    Ok(read)
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
