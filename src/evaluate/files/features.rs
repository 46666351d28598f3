//! Feature files of the reference, `{"image_id" or "text_id", "feature": […]}` a line, read on all cores.
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use rayon::prelude::*;

use super::FileError;
use super::blocks::{Block, Blocks};
use super::feature_block::{Parsed, check_length, id_key, parse_block};
use super::feature_line::parse_line;
use super::python_text::{float_text, id_json};
use crate::data::ItemKind;
use crate::evaluate::Ranking;
use crate::model::ModelError;
use crate::model::nearest::top_k;

/// Vectors with their ids, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    pub ids: Vec<String>,
    /// `[ids, dimension]`
    pub vectors: Vec<f32>,
    pub dimension: usize,
}

impl Features {
    /// The `k` documents of highest inner product for every one of these queries; of equal scores, those that stand
    /// first in the file, as the reference's stable sort has it.
    pub fn nearest(&self, documents: &Self, k: usize) -> Result<Vec<Ranking>, ModelError> {
        let lists = top_k(&self.vectors, &documents.vectors, self.dimension, k, None)?;
        let ranking = |(id, list): (&String, Vec<crate::model::nearest::Scored>)| Ranking {
            query_id: id.clone(),
            documents: list.iter().map(|hit| (documents.ids[hit.row as usize].clone(), hit.score)).collect(),
        };
        Ok(self.ids.iter().zip(lists).map(ranking).collect())
    }
}

/// Reads a feature file; every id may stand once, and all vectors have one length.
///
/// Numbers become what Python's `numpy.float32(float(text))` makes of them.
pub fn read_features(path: &Path, kind: ItemKind) -> Result<Features, FileError> {
    let mut blocks = Blocks::open(path)?;
    let bytes = blocks.file_bytes();
    let first = blocks.next();
    let (dimension, rows) =
        first.as_ref().and_then(|first| expected(first.as_ref().ok()?, kind, bytes)).unwrap_or((0, 0));
    // Pages of the table that no vector reaches are never touched.
    let mut table = vec![0.0; dimension * rows];
    let mut left = table.as_mut_slice();
    // Blocks are taken in the order of the file, so each gets the next rows of the table.
    let placed = first.into_iter().chain(blocks).map(|block| {
        let block = block?;
        let room = left.split_off_mut(..block.lines * dimension);
        if room.is_none() {
            // What follows overflows too, and stays in order.
            left = &mut [];
        }
        Ok((block, room.unwrap_or_default()))
    });
    let parse = |placed: Result<(Block, &mut [f32]), FileError>| {
        let (block, room) = placed?;
        parse_block(path, kind, &block, room)
    };
    let mut parts: Vec<Parsed> =
        placed.par_bridge().map(parse).collect::<Result<_, _>>().map_err(|error| match error {
            // Another core may have met a later error first; the first line of the file to blame is looked for again.
            FileError::Line { .. } => first_error(path, kind).unwrap_or(error),
            other => other,
        })?;
    parts.sort_unstable_by_key(|part| part.number);
    joined(path, parts, table)
}

/// Dimension, and how many rows the file may have, from its first line.
fn expected(block: &Block, kind: ItemKind, bytes: u64) -> Option<(usize, usize)> {
    let line = block.bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
    let mut vector = Vec::new();
    parse_line(line, id_key(kind), &mut vector).ok()?;
    // Lines of one model differ by few hundredths; where they do not, what has no room is put into place at the end.
    let rows = bytes as usize / line.len();
    Some((vector.len(), rows + rows / 8 + 64))
}

/// Writes lines as the reference's `extract_features.py` does, to the byte: every f32 as the f64 that it is.
pub fn write_features(out: &mut impl Write, kind: ItemKind, ids: &[String], vectors: &[f32]) -> std::io::Result<()> {
    let dimension = vectors.len() / ids.len().max(1);
    for (id, vector) in ids.iter().zip(vectors.chunks(dimension.max(1))) {
        let values: Vec<String> = vector.iter().map(|value| float_text(f64::from(*value))).collect();
        writeln!(out, "{{\"{}\": {}, \"feature\": [{}]}}", id_key(kind), id_json(id), values.join(", "))?;
    }
    Ok(())
}

fn first_error(path: &Path, kind: ItemKind) -> Option<FileError> {
    Blocks::open(path).ok()?.find_map(|block| block.and_then(|block| parse_block(path, kind, &block, &mut [])).err())
}

/// Closes the gaps that blank lines left in the table, and puts into place what it had no room for.
fn joined(path: &Path, parts: Vec<Parsed>, mut vectors: Vec<f32>) -> Result<Features, FileError> {
    let dimension = parts.iter().find(|part| !part.rows.is_empty()).map_or(0, |part| part.dimension);
    if dimension == 0 {
        return Err(FileError::Empty { path: path.to_owned() });
    }
    let rows: usize = parts.iter().map(|part| part.rows.len()).sum();
    let (mut from, mut to) = (0, 0);
    let mut overflow = Vec::new();
    let (mut lines, mut ids) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    for part in parts {
        if let Some((line, _)) = part.rows.first() {
            check_length(path, *line, part.dimension, dimension)?;
        }
        let held = part.rows.len() * dimension - part.overflow.len();
        if from != to {
            vectors.copy_within(from..from + held, to);
        }
        (from, to) = (from + part.room, to + held);
        overflow.extend(part.overflow);
        for (line, id) in part.rows {
            lines.push(line);
            ids.push(id);
        }
    }
    vectors.truncate(to);
    vectors.append(&mut overflow);
    let features = Features { ids, vectors, dimension };
    let mut first = HashMap::with_capacity(rows);
    for (id, line) in features.ids.iter().zip(&lines) {
        if let Some(before) = first.insert(id.as_str(), line) {
            let reason = format!("id `{id}` stands in line {before} too; keep one of the two");
            return Err(FileError::line(path, *line, reason));
        }
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Features, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_features(file.path(), ItemKind::Image).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_come_in_any_order_with_others_between_and_ids_may_be_strings() {
        let features = read("\n{\"feature\": [1, -2e-1], \"image_id\": \"a\\\"b\", \"x\": {\"feature\": [3]}}\r\n{\"image_id\":7,\"feature\":[0,1]}").unwrap();
        assert_eq!(
            (features.ids, features.vectors),
            (vec!["a\"b".to_owned(), "7".to_owned()], vec![1.0, -0.2, 0.0, 1.0])
        );
    }

    #[test]
    fn gaps_and_lines_that_the_first_foretells_nothing_of_leave_every_row_in_its_place() {
        // The first line is by far the longest, so the table is too small; blank lines fill whole blocks.
        for (first, blank) in [(200_000, 0), (200_000, 3), (9, 700_000), (1, 1), (200_000, 700_000)] {
            let mut text = format!("{{\"image_id\": 0, \"feature\": [0.1{}, -0.0]}}\n", "0".repeat(first));
            for id in 1..30_000 {
                text.push_str(&"\n".repeat(if id % 10_007 == 5 { blank } else { id % 3 / 2 }));
                text.push_str(&format!("{{\"image_id\": {id}, \"feature\": [0.5, {id}]}}\n"));
            }
            let features = read(&text).unwrap();
            assert_eq!((features.ids.len(), features.vectors.len()), (30_000, 60_000));
            for id in 1..30_000 {
                assert_eq!((features.ids[id].as_str(), features.vectors[2 * id + 1]), (&*id.to_string(), id as f32));
            }
        }
    }

    #[test]
    fn the_first_line_to_blame_is_named_whichever_core_met_it() {
        let line = |id: usize| format!("{{\"image_id\": {id}, \"feature\": [0.125, {id}.5]}}");
        let lines: Vec<String> = (0..90_000).map(line).collect();
        let features = read(&lines.join("\n")).unwrap();
        assert_eq!((features.ids.len(), features.vectors[2 * 77_777 + 1]), (90_000, 77_777.5));
        for (bad, reason) in [
            ("{\"image_id\": 1, \"feature\": [0.1]}", "`feature` has 1 values, the vectors before have 2"),
            ("{\"image_id\": 1, \"feature\": []}", "`feature` is empty"),
            ("{\"image_id\": 1, \"feature\": [1e99, 0]}", "not finite"),
            ("{\"image_id\": 5, \"feature\": [1, 1]}", "id `5` stands in line 6 too"),
            ("{\"image_id\": 1.5, \"feature\": [1, 1]}", "1.5 is no id"),
            ("{\"text_id\": 1, \"feature\": [1, 1]}", "`image_id` is missing"),
            ("{\"image_id\": 1, \"feature\": [1, NaN]}", "no feature line at column"),
            ("{\"image_id\": 1, \"feature\": [1, 1]} x", "no feature line at column"),
        ] {
            let mut lines = lines.clone();
            lines[60_000] = bad.to_owned();
            lines[85_000] = "also bad".to_owned();
            let found = read(&lines.join("\n")).unwrap_err();
            let expected = if reason.contains("too") { ":85001: no feature line" } else { reason };
            assert!(found.contains(expected), "{found}");
            lines[85_000] = line(85_000);
            let found = read(&lines.join("\n")).unwrap_err();
            assert!(found.contains(":60001: ") && found.contains(reason), "{found}");
        }
    }
}
