//! Parts of a feature file on all cores: lines in, ids and vectors out.
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::FileError;
use super::blocks::{Block, Blocks};
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
    /// Of all lines.
    pub(super) bytes: u64,
}

/// Gives `sink` what `take` makes of each part of a file, in the order of the file. All cores take, in that order too,
/// so that few parts wait for one before them.
pub(super) fn each_part<T: Send>(
    path: &Path,
    kind: ItemKind,
    take: impl Fn(Parsed) -> T + Sync,
    sink: impl FnMut(T) + Send,
) -> Result<(), FileError> {
    let sequence = Sequence { state: Mutex::new(Waiting { next: 0, parts: BTreeMap::new(), sink }) };
    let done = match Pieces::open(path)? {
        Some(pieces) => (0..pieces.count()).par_bridge().try_for_each(|number| {
            let parsed = pieces.with_lines(number, |lines| parse_block(path, kind, lines, 1))??;
            sequence.put(number, take(parsed));
            Ok(())
        }),
        None => Blocks::open(path)?.par_bridge().try_for_each(|block| {
            let block = block?;
            sequence.put(block.number, take(parse_block(path, kind, &block.bytes, block.line)?));
            Ok(())
        }),
    };
    done.map_err(|error| match error {
        // Another core may have met a later error first, and a piece does not know its lines before: the first line of
        // the file to blame is looked for again. What is no file cannot be read again, and its blocks know their lines.
        FileError::Line { .. } if path.is_file() => first_error(path, kind).unwrap_or(error),
        other => other,
    })
}

/// Brings parts into their order.
struct Sequence<T, S> {
    state: Mutex<Waiting<T, S>>,
}

struct Waiting<T, S> {
    /// Number of the part that the sink takes next.
    next: usize,
    parts: BTreeMap<usize, T>,
    sink: S,
}

impl<T, S: FnMut(T)> Sequence<T, S> {
    fn put(&self, number: usize, part: T) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Waiting { next, parts, sink } = &mut *state;
        parts.insert(number, part);
        while let Some(part) = parts.remove(next) {
            *next += 1;
            sink(part);
        }
    }
}

fn first_error(path: &Path, kind: ItemKind) -> Option<FileError> {
    let mut dimension = None;
    let mut check = |block: Result<Block, FileError>| {
        let block = block?;
        let parsed = parse_block(path, kind, &block.bytes, block.line)?;
        let Some((line, _)) = parsed.rows.first() else { return Ok(()) };
        check_length(path, block.line + line, parsed.dimension, *dimension.get_or_insert(parsed.dimension))
    };
    Blocks::open(path).ok()?.find_map(|block| check(block).err())
}

/// Parses lines, the first of which has the number `first` in the file.
fn parse_block(path: &Path, kind: ItemKind, bytes: &[u8], first: u64) -> Result<Parsed, FileError> {
    let (mut parsed, mut start) = (Parsed { bytes: bytes.len() as u64, ..Parsed::default() }, 0);
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
