//! Blocks of a feature file, parsed into the rows of a table that were kept for them.
use std::path::Path;

use super::FileError;
use super::blocks::Block;
use super::feature_line::parse_line;
use crate::data::ItemKind;

/// What became of a block of lines.
pub(super) struct Parsed {
    pub(super) number: usize,
    pub(super) rows: Vec<(u64, String)>,
    /// Values that there was room for in the table.
    pub(super) room: usize,
    /// Its vectors where there was no room.
    pub(super) overflow: Vec<f32>,
    pub(super) dimension: usize,
}

/// Parses a block into `room`, which holds a row for each of its lines or nothing.
pub(super) fn parse_block(path: &Path, kind: ItemKind, block: &Block, room: &mut [f32]) -> Result<Parsed, FileError> {
    let mut parsed =
        Parsed { number: block.number, rows: Vec::new(), room: room.len(), overflow: Vec::new(), dimension: 0 };
    let (mut start, mut vector) = (0, Vec::new());
    let ends = memchr::memchr_iter(b'\n', &block.bytes).chain([block.bytes.len()]);
    for (end, number) in ends.zip(block.line..) {
        let line = &block.bytes[start.min(end)..end];
        start = end + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        vector.clear();
        let id = parse_line(line, id_key(kind), &mut vector).map_err(|why| FileError::line(path, number, why))?;
        if parsed.rows.is_empty() {
            parsed.dimension = vector.len();
        }
        check_length(path, number, vector.len(), parsed.dimension)?;
        if !vector.iter().fold(true, |finite, value| finite & value.is_finite()) {
            let reason = format!("the vector of `{id}` holds a value that is not finite in 32 bits; encode it again");
            return Err(FileError::line(path, number, reason));
        }
        match room.chunks_exact_mut(vector.len()).nth(parsed.rows.len()) {
            Some(row) => row.copy_from_slice(&vector),
            None => parsed.overflow.extend_from_slice(&vector),
        }
        parsed.rows.push((number, id));
    }
    Ok(parsed)
}

pub(super) fn check_length(path: &Path, line: u64, found: usize, expected: usize) -> Result<(), FileError> {
    if found == expected && found > 0 {
        return Ok(());
    }
    let reason = if found == 0 {
        "`feature` is empty; encode this item again".to_owned()
    } else {
        format!(
            "`feature` has {found} values, the vectors before have {expected}; keep one model's features in one file"
        )
    };
    Err(FileError::line(path, line, reason))
}

/// `image_id` or `text_id`.
pub(super) fn id_key(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Image => "image_id",
        ItemKind::Text => "text_id",
    }
}
