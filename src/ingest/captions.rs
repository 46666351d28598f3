//! A file of captions, CSV, JSONL or Parquet: `image`, `text`, optionally `text_id`, `split` and `family`.
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::IngestError;
use super::compressed::{self, plain_name};
use super::lines::{Lines, id_text};
use super::parquet_rows::{self, ParquetTable};
use crate::store::SourceFolder;

/// A caption with its place: a line, or a row of a Parquet file.
pub struct Caption {
    pub line: u64,
    pub fields: Result<CaptionFields, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CaptionFields {
    pub image: String,
    pub text: String,
    #[serde(default)]
    text_id: Option<Value>,
    #[serde(default)]
    pub split: Option<String>,
    #[serde(default)]
    pub family: Option<String>,
}

pub type Captions = Box<dyn Iterator<Item = Result<Caption, IngestError>> + Send>;

impl CaptionFields {
    /// The text's own id, or else that of its line.
    pub fn text_id(&self, line: u64) -> String {
        self.text_id.as_ref().and_then(id_text).filter(|id| !id.is_empty()).unwrap_or_else(|| line.to_string())
    }
}

/// Opens a file by its ending, `.gz` and `.zst` apart; `scratch` takes a copy of a remote Parquet file.
pub fn open(source: &SourceFolder, name: &str, scratch: &Path) -> Result<Captions, IngestError> {
    match Path::new(plain_name(name)).extension().and_then(|extension| extension.to_str()) {
        Some("csv") => open_csv(source, name),
        Some("jsonl") => Ok(open_jsonl(source, name)),
        Some("parquet") => open_parquet(source, name, scratch),
        _ => Err(IngestError::CaptionFormat { path: source.display(name) }),
    }
}

fn open_csv(source: &SourceFolder, name: &str) -> Result<Captions, IngestError> {
    let path = source.display(name);
    let content: Box<dyn Read + Send> = Box::new(compressed::open(source, name)?);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(content);
    let headers = reader.headers().map_err(IngestError::csv(&path))?.clone();
    for column in ["image", "text"] {
        if !headers.iter().any(|header| header == column) {
            return Err(IngestError::Column { path, column: column.to_owned() });
        }
    }
    let mut broken = false;
    let rows = reader.into_records().zip(2..).map_while(move |(record, row)| {
        if broken {
            return None;
        }
        let line = record.as_ref().ok().and_then(csv::StringRecord::position).map_or(row, csv::Position::line);
        // What the file itself breaks off with would be said again for ever.
        if let Err(error) = &record
            && error.is_io_error()
        {
            broken = true;
            return record.err().map(|error| Err(IngestError::csv(&path)(error)));
        }
        let fields = record
            .and_then(|record| record.deserialize::<CaptionFields>(Some(&headers)))
            .map_err(|error| format!("not a valid CSV row: {error}"));
        Some(Ok(Caption { line, fields }))
    });
    Ok(Box::new(rows))
}

fn open_jsonl(source: &SourceFolder, name: &str) -> Captions {
    Box::new(Lines::new(source, name).map(|line| {
        let (place, line) = line?;
        let fields = serde_json::from_slice(&line).map_err(|error| format!("not a valid JSON row: {error}"));
        Ok(Caption { line: place.line, fields })
    }))
}

fn open_parquet(source: &SourceFolder, name: &str, scratch: &Path) -> Result<Captions, IngestError> {
    let columns = ["image", "text", "text_id", "split", "family"];
    let table = ParquetTable::open(&source.local(name, scratch)?, &source.display(name), &columns)?;
    for column in ["image", "text"] {
        if !table.has(column) {
            return Err(IngestError::Column { path: source.display(name), column: column.to_owned() });
        }
    }
    Ok(Box::new(table.zip(1..).map(|(row, line)| {
        let row = row?;
        let text = |column: &str| row.get(column).and_then(parquet_rows::Cell::text);
        let fields = match (text("image"), text("text")) {
            (Some(image), Some(caption)) => Ok(CaptionFields {
                image,
                text: caption,
                text_id: text("text_id").map(Value::String),
                split: text("split"),
                family: text("family"),
            }),
            _ => Err("`image` or `text` is empty".to_owned()),
        };
        Ok(Caption { line, fields })
    })))
}
