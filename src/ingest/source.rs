//! What a reader of any format yields, row by row.
use std::path::PathBuf;

use crate::data::Split;

use super::IngestError;

/// A row of a source, before any check beyond its syntax.
#[derive(Debug)]
pub enum SourceRow {
    Image(ImageRow),
    Text(TextRow),
    /// A row that cannot be read at all.
    Bad {
        place: Place,
        table: &'static str,
        id: String,
        reason: String,
    },
}

/// Where a row stands: file and line (from 1).
#[derive(Debug, Clone)]
pub struct Place {
    pub source: String,
    pub line: u64,
}

/// An image with its bytes or the file they are in.
#[derive(Debug)]
pub struct ImageRow {
    pub place: Place,
    pub id: String,
    pub split: Split,
    pub content: ImageContent,
}

#[derive(Debug)]
pub enum ImageContent {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// A text and the images it belongs to.
#[derive(Debug)]
pub struct TextRow {
    pub place: Place,
    pub id: String,
    pub split: Split,
    pub text: String,
    pub image_ids: Vec<String>,
}

/// All images of a source, then all texts; never more than a few rows in memory.
pub type SourceRows = Box<dyn Iterator<Item = Result<SourceRow, IngestError>> + Send>;
