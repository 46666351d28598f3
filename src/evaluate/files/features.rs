//! Feature files of the reference, `{"image_id" or "text_id", "feature": […]}` a line, read on all cores.
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;

use rayon::prelude::*;

use super::FileError;
use super::feature_block::{Parsed, check_length, each_part, id_key};
use super::python_text::{float_text, id_json};
use crate::data::ItemKind;
use crate::evaluate::Ranking;
use crate::model::ModelError;
use crate::model::nearest::{CodedDocuments, Scored, top_k};

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
        Ok(self.ids.iter().zip(lists).map(|(id, list)| documents.ranking(id, &list)).collect())
    }

    /// As [`nearest`](Self::nearest) of the queries of a file among these documents, where every part of the file is
    /// searched as soon as it is read. `None` if anything is wrong with either side.
    pub fn nearest_to_file(&self, path: &Path, kind: ItemKind, k: usize) -> Option<Vec<Ranking>> {
        let coded = CodedDocuments::new(&self.vectors, self.dimension).ok()?;
        let search = |part: Parsed| {
            if part.rows.is_empty() {
                return Some(Vec::new());
            }
            let vectors = Some(&part.vectors).filter(|_| part.dimension == self.dimension)?;
            let lists = coded.scan().search_few(vectors, k).ok()?;
            Some(part.rows.iter().zip(lists).map(|((_, id), list)| self.ranking(id, &list)).collect())
        };
        let parts: Vec<Option<Vec<Ranking>>> = each_part(path, kind, search).ok()?;
        let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
        let mut rankings = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        parts.into_iter().for_each(|part| rankings.extend(part));
        let mut seen = HashSet::with_capacity(rankings.len());
        (!rankings.is_empty() && rankings.iter().all(|ranking| seen.insert(&ranking.query_id))).then_some(rankings)
    }

    fn ranking(&self, query: &str, list: &[Scored]) -> Ranking {
        let documents = list.iter().map(|hit| (self.ids[hit.row as usize].clone(), hit.score)).collect();
        Ranking { query_id: query.to_owned(), documents }
    }
}

/// Reads a feature file; every id may stand once, and all vectors have one length.
///
/// Numbers become what Python's `numpy.float32(float(text))` makes of them.
pub fn read_features(path: &Path, kind: ItemKind) -> Result<Features, FileError> {
    joined(path, each_part(path, kind, |part| part)?)
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

/// Parts as one table.
fn joined(path: &Path, parts: Vec<Parsed>) -> Result<Features, FileError> {
    let dimension = parts.iter().find(|part| !part.rows.is_empty()).map_or(0, |part| part.dimension);
    if dimension == 0 {
        return Err(FileError::Empty { path: path.to_owned() });
    }
    let rows: usize = parts.iter().map(|part| part.rows.len()).sum();
    let (mut lines, mut ids, mut before) = (Vec::with_capacity(rows), Vec::with_capacity(rows), 1);
    let mut tables = Vec::with_capacity(parts.len());
    for part in parts {
        if let Some((line, _)) = part.rows.first() {
            check_length(path, before + line, part.dimension, dimension)?;
        }
        for (line, id) in part.rows {
            lines.push(before + line);
            ids.push(id);
        }
        before += part.lines;
        tables.push(part.vectors);
    }
    let (vectors, once) = rayon::join(|| one_table(tables), || every_id_once(path, &ids, &lines));
    once.map(|()| Features { ids, vectors, dimension })
}

fn one_table(tables: Vec<Vec<f32>>) -> Vec<f32> {
    let mut whole = vec![0.0; tables.iter().map(Vec::len).sum()];
    let mut left = whole.as_mut_slice();
    let places = tables.into_iter().map(|table| (left.split_off_mut(..table.len()).unwrap_or_default(), table));
    let places: Vec<(&mut [f32], Vec<f32>)> = places.collect();
    places.into_par_iter().for_each(|(place, table)| place.copy_from_slice(&table));
    whole
}

fn every_id_once(path: &Path, ids: &[String], lines: &[u64]) -> Result<(), FileError> {
    let mut first = HashMap::with_capacity(ids.len());
    for (id, line) in ids.iter().zip(lines) {
        if let Some(before) = first.insert(id.as_str(), line) {
            let reason = format!("id `{id}` stands in line {before} too; keep one of the two");
            return Err(FileError::line(path, *line, reason));
        }
    }
    Ok(())
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

    /// Lines of `rows` vectors that repeat every 700, more than a piece of a file holds.
    fn lines(kind: ItemKind, rows: usize) -> String {
        let ids: Vec<String> = (0..rows).map(|row| (7 * row).to_string()).collect();
        let value = |i: usize| ((i * 7919 % 1_009) as f32 - 500.0) / 511.0;
        let vectors: Vec<f32> = (0..rows * 40).map(|i| value(i % (700 * 40))).collect();
        let mut out = Vec::new();
        write_features(&mut out, kind, &ids, &vectors).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn queries_are_searched_as_they_are_read_and_find_what_queries_in_memory_find() {
        let documents = read(&lines(ItemKind::Image, 900)).unwrap();
        let queries = lines(ItemKind::Text, 1_500).replace("\"text_id\": 70,", "\"text_id\": \"a b\",");
        assert!(queries.len() > 1 << 20, "more than two pieces");
        let queries = file(&queries.replace("}\n", "}\r\n\n"));
        let read = read_features(queries.path(), ItemKind::Text).unwrap();
        assert_eq!((read.ids.len(), read.ids[10].as_str()), (1_500, "a b"));
        let found = documents.nearest_to_file(queries.path(), ItemKind::Text, 12).unwrap();
        assert_eq!(found, read.nearest(&documents, 12).unwrap());
        let short = "{\"text_id\": 1, \"feature\": [0.5]}\n";
        let unending = format!("{{\"text_id\": 1, \"feature\": [1e20{}]}}", ", 0.5".repeat(39));
        let twice = lines(ItemKind::Text, 5).repeat(2);
        for wrong in ["", "\n", "{}", short, &unending, &twice] {
            assert_eq!(documents.nearest_to_file(file(wrong).path(), ItemKind::Text, 12), None, "{wrong}");
        }
    }

    #[test]
    fn a_pipe_is_read_as_a_file_is_and_its_lines_have_the_same_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let through = |text: String| {
            let writer = std::thread::spawn({
                let pipe = pipe.clone();
                // Whoever finds a bad line reads no further.
                move || std::fs::write(pipe, text).unwrap_or_default()
            });
            let read = read_features(&pipe, ItemKind::Image).map_err(|error| error.to_string());
            writer.join().unwrap();
            read
        };
        let text = lines(ItemKind::Image, 1_500);
        assert_eq!(through(text.clone()).unwrap(), read(&text).unwrap());
        let twice = format!("{text}\n{{\"image_id\": 70, \"feature\": [{}]}}", vec!["1"; 40].join(", "));
        assert!(through(twice).unwrap_err().contains(":1502: id `70` stands in line 11 too"));
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
