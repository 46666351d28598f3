//! What a reader of any format yields, row by row.
use std::sync::Arc;

use bytes::Bytes;

use crate::data::Split;
use crate::store::SourceFolder;

use super::base64::decode_base64;
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

/// Where a row stands: file and line (from 1), or the number of the row where a file has no lines.
#[derive(Debug, Clone)]
pub struct Place {
    pub source: Arc<str>,
    pub line: u64,
}

/// An image with its bytes or the file they are in.
#[derive(Debug)]
pub struct ImageRow {
    pub place: Place,
    pub id: String,
    /// The split that the source names; without one it is decided by the group.
    pub split: Option<Split>,
    /// Images of one family never fall into different splits.
    pub family: Option<String>,
    pub content: ImageContent,
    /// Whether the format repeats an image for each of its captions.
    pub repeats: bool,
}

#[derive(Debug)]
pub enum ImageContent {
    Bytes(Vec<u8>),
    /// Standard or URL-safe alphabet, as the source has it.
    Base64(Bytes),
    /// A file of the source by name.
    File(String),
}

/// A text and the images it belongs to.
#[derive(Debug)]
pub struct TextRow {
    pub place: Place,
    pub id: String,
    /// Without a split of its own it follows its first image.
    pub split: Option<Split>,
    pub text: String,
    pub image_ids: Vec<String>,
    /// Whether the format has a row for each pair, and so repeats a text for each of its images.
    pub repeats: bool,
}

/// Rows such that an image comes before the texts that name it; never more than a few rows in memory.
pub type SourceRows = Box<dyn Iterator<Item = Result<SourceRow, IngestError>> + Send>;

impl SourceRow {
    /// A row for quarantine.
    pub fn bad(place: Place, table: &'static str, id: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Bad { place, table, id: id.into(), reason: reason.into() }
    }
}

/// The error of a row whose image cannot be decoded from base64.
pub fn not_base64() -> IngestError {
    IngestError::Decode { reason: "not valid base64".to_owned() }
}

impl ImageContent {
    /// The encoded bytes; what is no file, no base64 or larger than any image that is accepted is an error.
    pub fn into_bytes(self, source: &SourceFolder) -> Result<Vec<u8>, IngestError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Base64(encoded) => decode_base64(&encoded).ok_or_else(not_base64),
            Self::File(name) => Ok(source.read(&name, MAX_IMAGE_BYTES as u64)?),
        }
    }

    /// Memory it takes: none while it is in a file.
    pub fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Base64(encoded) => encoded.len(),
            Self::File(_) => 0,
        }
    }
}
