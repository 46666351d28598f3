//! Parts of a feature file on all cores: lines in, ids and vectors out.
use std::path::Path;

use rayon::prelude::*;

use super::FileError;
use super::blocks::Blocks;
use super::feature_line::parse_line;
use super::pieces::Pieces;
use crate::data::ItemKind;
use crate::model::vectorized;

const SIGN: u32 = 1 << 31;

/// What stands in some lines.
#[derive(Default)]
pub(super) struct Parsed {
    /// Ids, with the number of their line in these.
    pub(super) rows: Vec<(u64, String)>,
    /// `[rows, dimension]`
    pub(super) vectors: Vec<f32>,
    pub(super) dimension: usize,
    /// All lines, blank ones too.
    pub(super) lines: u64,
}

/// What `take` makes of each part of a file, in the order of the file.
pub(super) fn each_part<T: Send>(
    path: &Path,
    kind: ItemKind,
    take: impl Fn(Parsed) -> T + Sync,
) -> Result<Vec<T>, FileError> {
    let parts = match Pieces::open(path)? {
        Some(pieces) => {
            let part = |number| pieces.with_lines(number, |lines| parse_block(path, kind, lines, 1))?.map(&take);
            (0..pieces.count()).into_par_iter().with_max_len(1).map(part).collect()
        }
        None => in_order(path, |bytes, line| parse_block(path, kind, bytes, line).map(&take)),
    };
    parts.map_err(|error| match error {
        // Another core may have met a later error first; the first line of the file to blame is looked for again.
        FileError::Line { .. } => first_error(path, kind).unwrap_or(error),
        other => other,
    })
}

/// What `part` makes of blocks that can only be read one after another.
fn in_order<T: Send>(
    path: &Path,
    part: impl Fn(&[u8], u64) -> Result<T, FileError> + Sync,
) -> Result<Vec<T>, FileError> {
    let numbered = |block: Result<super::blocks::Block, FileError>| {
        let block = block?;
        Ok((block.number, part(&block.bytes, block.line)?))
    };
    let mut parts: Vec<(usize, T)> =
        Blocks::open(path)?.par_bridge().map(numbered).collect::<Result<_, FileError>>()?;
    parts.sort_unstable_by_key(|(number, _)| *number);
    Ok(parts.into_iter().map(|(_, part)| part).collect())
}

fn first_error(path: &Path, kind: ItemKind) -> Option<FileError> {
    let mut blocks = Blocks::open(path).ok()?;
    blocks.find_map(|block| block.and_then(|block| parse_block(path, kind, &block.bytes, block.line)).err())
}

/// Parses lines, the first of which has the number `first` in the file.
fn parse_block(path: &Path, kind: ItemKind, bytes: &[u8], first: u64) -> Result<Parsed, FileError> {
    let (mut parsed, mut start) = (Parsed::default(), 0);
    let unended = bytes.last().is_some_and(|last| *last != b'\n');
    let ends = memchr::memchr_iter(b'\n', bytes).chain(unended.then_some(bytes.len()));
    for end in ends {
        let line = &bytes[start..end];
        let number = first + parsed.lines;
        start = end + 1;
        parsed.lines += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let before = parsed.vectors.len();
        let id =
            parse_line(line, id_key(kind), &mut parsed.vectors).map_err(|why| FileError::line(path, number, why))?;
        let length = parsed.vectors.len() - before;
        if parsed.rows.is_empty() {
            parsed.dimension = length;
            // Lines of one model differ by few hundredths.
            parsed.vectors.reserve(length * (bytes.len() / line.len() + 2));
        }
        check_length(path, number, length, parsed.dimension)?;
        if !all_finite(&parsed.vectors[before..]) {
            let reason = format!("the vector of `{id}` holds a value that is not finite in 32 bits; encode it again");
            return Err(FileError::line(path, number, reason));
        }
        parsed.rows.push((parsed.lines - 1, id));
    }
    Ok(parsed)
}

fn all_finite(values: &[f32]) -> bool {
    let largest = || values.iter().fold(0, |most: u32, value| most.max(value.to_bits() & !SIGN));
    vectorized(largest) < f32::INFINITY.to_bits()
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
