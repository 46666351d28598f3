//! What a reader of any format yields, row by row.
use std::path::{Path, PathBuf};

use crate::data::Split;

use super::{IngestError, MAX_IMAGE_BYTES};

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

/// The bytes of an image file; what is no regular file, or larger than any image that is accepted, is refused unread.
pub fn read_image(path: &Path) -> Result<Vec<u8>, IngestError> {
    let metadata = std::fs::metadata(path).map_err(IngestError::io(path))?;
    let refused = |reason: String| Err(IngestError::Decode { reason });
    match metadata.len() {
        _ if !metadata.is_file() => refused("not a regular file".to_owned()),
        size if size > MAX_IMAGE_BYTES as u64 => {
            refused(format!("{size} bytes, at most {MAX_IMAGE_BYTES} are accepted"))
        }
        _ => std::fs::read(path).map_err(IngestError::io(path)),
    }
}
