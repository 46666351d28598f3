//! Files of a source, read as they were before somebody compressed them.
use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;

use super::IngestError;
use crate::store::SourceFolder;

/// Endings of compressed files.
const ENDINGS: [&str; 3] = ["", ".gz", ".zst"];
/// Largest window of a zstd frame, as a power of two: what `zstd --long` makes, and no more memory than that.
const MAX_WINDOW_LOG: u32 = 27;
const BUFFER_BYTES: usize = 1 << 20;
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file's content, named for messages.
pub type Content = BufReader<Box<dyn Read + Send>>;

/// The name under which a file lies in the source: as it is, or with `.gz` or `.zst` after it.
pub fn find(source: &SourceFolder, name: &str) -> Result<Option<String>, IngestError> {
    for ending in ENDINGS {
        let name = format!("{name}{ending}");
        if source.contains(&name)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Like [`find`], and an error where there is none.
pub fn must_find(source: &SourceFolder, name: &str) -> Result<String, IngestError> {
    find(source, name)?.ok_or_else(|| IngestError::Missing { path: source.display(name) })
}

/// A name without the ending of its compression.
pub fn plain_name(name: &str) -> &str {
    name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name)
}

/// Opens a file, decompressed by its ending, without a byte order mark.
pub fn open(source: &SourceFolder, name: &str) -> Result<Content, IngestError> {
    let io = |error: io::Error| IngestError::io(&source.display(name))(error);
    let mut reader = open_bytes(source, name)?;
    if reader.fill_buf().map_err(io)?.starts_with(BYTE_ORDER_MARK) {
        reader.consume(BYTE_ORDER_MARK.len());
    }
    Ok(reader)
}

/// Opens a file, decompressed by its ending.
pub fn open_bytes(source: &SourceFolder, name: &str) -> Result<Content, IngestError> {
    Ok(BufReader::with_capacity(BUFFER_BYTES, open_unbuffered(source, name)?))
}

/// Opens a file, decompressed by its ending, for large reads.
pub fn open_unbuffered(source: &SourceFolder, name: &str) -> Result<Box<dyn Read + Send>, IngestError> {
    let raw = source.reader(name)?;
    let plain: Box<dyn Read + Send> = if name.ends_with(".gz") {
        Box::new(MultiGzDecoder::new(raw))
    } else if name.ends_with(".zst") {
        let io = |error: io::Error| IngestError::io(&source.display(name))(error);
        let mut decoder = zstd::Decoder::new(raw).map_err(io)?;
        decoder.window_log_max(MAX_WINDOW_LOG).map_err(io)?;
        Box::new(decoder)
    } else {
        raw
    };
    Ok(plain)
}
