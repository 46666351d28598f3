//! The reference's raw layout: `{split}_imgs.tsv` (`id<TAB>base64`) and `{split}_texts.jsonl`
//! (`{"text_id", "text", "image_ids"}`).
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::source::{ImageContent, ImageRow, Place, SourceRow, SourceRows, TextRow};
use super::{IngestError, MAX_IMAGE_BYTES};
use crate::data::Split;

/// A base64 image of the largest size that is read at all, with its id.
const MAX_LINE_BYTES: usize = MAX_IMAGE_BYTES / 3 * 4 + 1024;

/// The files of a source in the order they are read.
pub fn files(root: &Path, splits: &[Split]) -> Vec<PathBuf> {
    let images = splits.iter().map(|split| root.join(format!("{split}_imgs.tsv")));
    images.chain(splits.iter().map(|split| root.join(format!("{split}_texts.jsonl")))).collect()
}

/// Rows of all splits.
pub fn rows(root: &Path, splits: &[Split]) -> SourceRows {
    let splits = splits.to_vec();
    let readers: Vec<LineReader> = files(root, &splits)
        .into_iter()
        .zip(splits.iter().cycle().copied())
        .map(|(path, split)| LineReader::new(path, split, true))
        .collect();
    Box::new(readers.into_iter().flatten())
}

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// `id<TAB>base64`.
    Image,
    /// `{"text_id", "text"}`.
    Text,
}

/// Rows of one file by itself, whatever its name ends in; texts need no labels.
pub fn file_rows(path: &Path, kind: LineKind) -> SourceRows {
    Box::new(LineReader { kind, ..LineReader::new(path.to_owned(), Split::Test, false) })
}

/// Reads one file line by line.
struct LineReader {
    path: PathBuf,
    split: Split,
    open: Option<BufReader<File>>,
    line: u64,
    done: bool,
    kind: LineKind,
    /// Whether a text must say which images it belongs to.
    labelled: bool,
}

#[derive(Deserialize)]
struct TextLine {
    text_id: Value,
    text: String,
    image_ids: Option<Vec<Value>>,
}

impl Iterator for LineReader {
    type Item = Result<SourceRow, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.done {
                return None;
            }
            let mut line = Vec::new();
            match self.read_line(&mut line) {
                Ok(0) => self.done = true,
                Ok(_) if line.trim_ascii().is_empty() => {}
                Ok(_) => return Some(Ok(self.parse(&line))),
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl LineReader {
    fn new(path: PathBuf, split: Split, labelled: bool) -> Self {
        let image = path.extension().is_some_and(|extension| extension == "tsv");
        let kind = if image { LineKind::Image } else { LineKind::Text };
        Self { path, split, open: None, line: 0, done: false, kind, labelled }
    }

    /// Reads one line of at most [`MAX_LINE_BYTES`]; the rest of a longer one is passed over.
    fn read_line(&mut self, line: &mut Vec<u8>) -> Result<usize, IngestError> {
        if self.open.is_none() {
            let file = File::open(&self.path).map_err(IngestError::io(&self.path))?;
            self.open = Some(BufReader::with_capacity(1 << 20, file));
        }
        let Some(reader) = &mut self.open else {
            return Ok(0);
        };
        let mut limited = std::io::Read::take(&mut *reader, MAX_LINE_BYTES as u64);
        let mut read = limited.read_until(b'\n', line).map_err(IngestError::io(&self.path))?;
        if read == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            read += reader.skip_until(b'\n').map_err(IngestError::io(&self.path))?;
        }
        self.line += 1;
        if self.line == 1 && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        Ok(read)
    }

    fn parse(&self, line: &[u8]) -> SourceRow {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = Place { source: name, line: self.line };
        match self.kind {
            LineKind::Image => self.parse_image(place, line),
            LineKind::Text => self.parse_text(place, line),
        }
    }

    fn parse_image(&self, place: Place, line: &[u8]) -> SourceRow {
        let bad = |id: String, reason: &str| SourceRow::Bad {
            place: place.clone(),
            table: "images",
            id,
            reason: reason.to_owned(),
        };
        if line.len() >= MAX_LINE_BYTES {
            return bad(String::new(), "line is longer than any image that is accepted");
        }
        let Some(tab) = memchr::memchr(b'\t', line) else {
            return bad(String::new(), "no tab: expected `image_id<TAB>base64`");
        };
        let (id, encoded) = line.split_at(tab);
        let Ok(id) = std::str::from_utf8(id) else {
            return bad(String::new(), "image id is not UTF-8");
        };
        let id = id.trim().to_owned();
        let Some(bytes) = decode_base64(encoded.trim_ascii()) else {
            return bad(id, "image is not valid base64");
        };
        SourceRow::Image(ImageRow { place, id, split: self.split, content: ImageContent::Bytes(bytes) })
    }

    fn parse_text(&self, place: Place, line: &[u8]) -> SourceRow {
        let parsed: TextLine = match serde_json::from_slice(line) {
            Ok(parsed) => parsed,
            Err(error) => {
                let reason = format!("expected {{\"text_id\", \"text\", \"image_ids\"}}: {error}");
                return SourceRow::Bad { place, table: "texts", id: String::new(), reason };
            }
        };
        if self.labelled && parsed.image_ids.is_none() {
            let reason = "`image_ids` is missing; a text without labels has an empty list".to_owned();
            return SourceRow::Bad { place, table: "texts", id: parsed.text_id.to_string(), reason };
        }
        let ids: Option<Vec<String>> = parsed.image_ids.unwrap_or_default().iter().map(id_text).collect();
        match (id_text(&parsed.text_id), ids) {
            (Some(id), Some(image_ids)) => {
                SourceRow::Text(TextRow { place, id, split: self.split, text: parsed.text, image_ids })
            }
            _ => {
                let reason = "ids must be integers or strings".to_owned();
                SourceRow::Bad { place, table: "texts", id: parsed.text_id.to_string(), reason }
            }
        }
    }
}

/// Integers and strings are ids, written the same.
fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// The standard and the URL-safe alphabet, with or without padding, as the reference's decoder takes them.
fn decode_base64(encoded: &[u8]) -> Option<Vec<u8>> {
    let padding = encoded.iter().rev().take_while(|byte| **byte == b'=').count();
    let mut body = encoded.get(..encoded.len() - padding)?.to_vec();
    for byte in &mut body {
        match byte {
            b'-' => *byte = b'+',
            b'_' => *byte = b'/',
            _ => {}
        }
    }
    base64_simd::STANDARD_NO_PAD.decode_to_vec(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_decode_to_the_same_bytes() {
        let bytes = [0xfb, 0xff, 0xfe, 0x01];
        assert_eq!(decode_base64(b"+//+AQ==").unwrap(), bytes);
        assert_eq!(decode_base64(b"-__-AQ==").unwrap(), bytes);
        assert_eq!(decode_base64(b"-__-AQ").unwrap(), bytes);
        assert!(decode_base64(b"+//+A!==").is_none());
    }
}
