//! Feature files of the reference, `{"image_id" or "text_id", "feature": […]}` a line, read on all cores.
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use rayon::prelude::*;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use super::FileError;
use super::blocks::{Block, Blocks};
use super::json_numbers::{read_numbers, skip_space};
use super::lines::id_text;
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

/// What became of a block of lines.
struct Parsed {
    number: usize,
    rows: Vec<(u64, String)>,
    vectors: Vec<f32>,
    dimension: usize,
}

/// Reads a feature file; every id may stand once, and all vectors have one length.
///
/// Numbers become what Python's `numpy.float32(float(text))` makes of them.
pub fn read_features(path: &Path, kind: ItemKind) -> Result<Features, FileError> {
    let blocks = Blocks::open(path)?;
    let parse = |block: Result<Block, FileError>| parse_block(path, kind, &block?);
    let mut parts: Vec<Parsed> =
        blocks.par_bridge().map(parse).collect::<Result<_, _>>().map_err(|error| match error {
            // Another core may have met a later error first; the first line of the file to blame is looked for again.
            FileError::Line { .. } => first_error(path, kind).unwrap_or(error),
            other => other,
        })?;
    parts.sort_unstable_by_key(|part| part.number);
    joined(path, parts)
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

/// `image_id` or `text_id`.
fn id_key(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Image => "image_id",
        ItemKind::Text => "text_id",
    }
}

fn first_error(path: &Path, kind: ItemKind) -> Option<FileError> {
    Blocks::open(path).ok()?.find_map(|block| block.and_then(|block| parse_block(path, kind, &block)).err())
}

fn parse_block(path: &Path, kind: ItemKind, block: &Block) -> Result<Parsed, FileError> {
    let mut parsed = Parsed { number: block.number, rows: Vec::new(), vectors: Vec::new(), dimension: 0 };
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', &block.bytes).chain([block.bytes.len()]);
    for (end, number) in ends.zip(block.line..) {
        let line = &block.bytes[start.min(end)..end];
        start = end + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let before = parsed.vectors.len();
        let id =
            parse_line(line, id_key(kind), &mut parsed.vectors).map_err(|why| FileError::line(path, number, why))?;
        let length = parsed.vectors.len() - before;
        if parsed.rows.is_empty() {
            parsed.dimension = length;
            // A block holds about as many lines as its first fits in.
            parsed.vectors.reserve(block.bytes.len() / line.len().max(1) * length);
        }
        check_length(path, number, length, parsed.dimension)?;
        if parsed.vectors[before..].iter().any(|value| !value.is_finite()) {
            let reason = format!("the vector of `{id}` holds a value that is not finite in 32 bits; encode it again");
            return Err(FileError::line(path, number, reason));
        }
        parsed.rows.push((number, id));
    }
    Ok(parsed)
}

fn check_length(path: &Path, line: u64, found: usize, expected: usize) -> Result<(), FileError> {
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

/// Appends the vector of a line and returns its id.
fn parse_line(line: &[u8], key: &str, vectors: &mut Vec<f32>) -> Result<String, String> {
    let broken =
        |at: usize| format!("no feature line at column {}; a line is {{\"{key}\": 1, \"feature\": [0.1, …]}}", at + 1);
    let (mut id, before) = (None, vectors.len());
    let mut at = skip_space(line, 0);
    let mut expected = b'{';
    let mut complete = false;
    while line.get(at) == Some(&expected) {
        let (name, end) = value::<String>(line, skip_space(line, at + 1)).ok_or_else(|| broken(at + 1))?;
        at = skip_space(line, end);
        if line.get(at) != Some(&b':') {
            return Err(broken(at));
        }
        at = skip_space(line, at + 1);
        at = if name == key {
            let (found, end) = value::<Value>(line, at).ok_or_else(|| broken(at))?;
            id = Some(id_text(&found)?);
            end
        } else if name == "feature" {
            vectors.truncate(before);
            at + read_numbers(&line[at..], vectors).ok_or_else(|| broken(at))?
        } else {
            value::<IgnoredAny>(line, at).ok_or_else(|| broken(at))?.1
        };
        at = skip_space(line, at);
        expected = b',';
        complete = line.get(at) == Some(&b'}');
    }
    if !complete || skip_space(line, at + 1) != line.len() {
        return Err(broken(at));
    }
    id.ok_or_else(|| format!("`{key}` is missing; give the file of the other side, or add it"))
}

/// A JSON value at `at`, and where it ends.
fn value<T: DeserializeOwned>(line: &[u8], at: usize) -> Option<(T, usize)> {
    let mut stream = serde_json::Deserializer::from_slice(line.get(at..)?).into_iter::<T>();
    let value = stream.next()?.ok()?;
    Some((value, at + stream.byte_offset()))
}

fn joined(path: &Path, parts: Vec<Parsed>) -> Result<Features, FileError> {
    let dimension = parts.iter().find(|part| !part.rows.is_empty()).map_or(0, |part| part.dimension);
    if dimension == 0 {
        return Err(FileError::Empty { path: path.to_owned() });
    }
    let rows: usize = parts.iter().map(|part| part.rows.len()).sum();
    let mut features =
        Features { ids: Vec::with_capacity(rows), vectors: Vec::with_capacity(rows * dimension), dimension };
    let mut lines = Vec::with_capacity(rows);
    // Each part is given back before the next is taken.
    for part in parts {
        if let Some((line, _)) = part.rows.first() {
            check_length(path, *line, part.dimension, dimension)?;
        }
        features.vectors.extend_from_slice(&part.vectors);
        for (line, id) in part.rows {
            lines.push(line);
            features.ids.push(id);
        }
    }
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
