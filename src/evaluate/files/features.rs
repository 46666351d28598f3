//! Feature files of the reference, `{"image_id" or "text_id", "feature": […]}` a line, read on all cores.
use std::io::Write;
use std::path::Path;

use super::FileError;
use super::feature_block::{Parsed, each_part, id_key};
use super::feature_table::FeatureTable;
use super::python_text::{float_text, id_json};
use crate::data::ItemKind;
use crate::evaluate::RankedList;
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

/// What stays in memory of queries that were read and searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Ids,
    Vectors,
}

/// What was found for a query, as rows of the documents.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundList<'a> {
    pub query_id: &'a str,
    /// Best first.
    pub hits: Vec<Scored>,
    /// Ids of all documents.
    pub documents: &'a [String],
}

impl RankedList for FoundList<'_> {
    fn query_id(&self) -> &str {
        self.query_id
    }

    fn document_ids(&self) -> impl Iterator<Item = &str> {
        self.hits.iter().map(|hit| self.documents[hit.row as usize].as_str())
    }
}

impl Features {
    /// The `k` documents of highest inner product for every one of these queries; of equal scores, those that stand
    /// first in the file, as the reference's stable sort has it.
    pub fn nearest<'a>(&'a self, documents: &'a Self, k: usize) -> Result<Vec<FoundList<'a>>, ModelError> {
        let lists = top_k(&self.vectors, &documents.vectors, self.dimension, k, None)?;
        Ok(self.ids.iter().zip(lists).map(|(id, hits)| documents.found(id, hits)).collect())
    }

    /// As [`nearest`](Self::nearest) of the queries of a file among these documents, where every part of the file is
    /// searched as soon as it is read: `sink` gets, in the order of the file, what `take` makes of the lists of a part.
    /// Returns of the queries what is to be kept; `None` if anything is wrong with either side, then `sink` may have got
    /// some.
    pub fn nearest_to_file<T: Send>(
        &self,
        path: &Path,
        kind: ItemKind,
        k: usize,
        take: impl Fn(&[FoundList]) -> T + Sync,
        mut sink: impl FnMut(T) + Send,
        kept: Kept,
    ) -> Option<Self> {
        let coded = CodedDocuments::new(&self.vectors, self.dimension).ok()?;
        let search = |mut part: Parsed| {
            if part.rows.is_empty() {
                return Some((part, None));
            }
            let vectors = Some(&part.vectors).filter(|_| part.dimension == self.dimension)?;
            let lists = coded.scan().search_few(vectors, k).ok()?;
            let found = part.rows.iter().zip(lists).map(|((_, id), hits)| self.found(id, hits));
            let taken = take(&found.collect::<Vec<_>>());
            if kept == Kept::Ids {
                part.vectors = Vec::new();
            }
            Some((part, Some(taken)))
        };
        let (mut queries, mut good) = (FeatureTable::of(path), true);
        let searched = each_part(path, kind, search, |part| {
            if let Some((part, taken)) = part {
                queries.append(part);
                taken.into_iter().for_each(&mut sink);
            } else {
                good = false;
            }
        });
        searched.ok().filter(|()| good)?;
        queries.finish(path).ok()
    }

    fn found<'a>(&'a self, query_id: &'a str, hits: Vec<Scored>) -> FoundList<'a> {
        FoundList { query_id, hits, documents: &self.ids }
    }
}

/// Reads a feature file; every id may stand once, and all vectors have one length.
///
/// Numbers become what Python's `numpy.float32(float(text))` makes of them.
pub fn read_features(path: &Path, kind: ItemKind) -> Result<Features, FileError> {
    let mut table = FeatureTable::of(path);
    each_part(path, kind, |part| part, |part| table.append(part))?;
    table.finish(path)
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
        let owned = |lists: &[FoundList]| -> Vec<(String, Vec<Scored>)> {
            lists.iter().map(|list| (list.query_id.to_owned(), list.hits.clone())).collect()
        };
        let lists = |path: &Path| {
            let mut found = Vec::new();
            let sink = |part| found.extend(part);
            let queries = documents.nearest_to_file(path, ItemKind::Text, 12, owned, sink, Kept::Vectors)?;
            Some((found, queries))
        };
        assert_eq!(lists(queries.path()).unwrap(), (owned(&read.nearest(&documents, 12).unwrap()), read));
        let short = "{\"text_id\": 1, \"feature\": [0.5]}\n";
        let unending = format!("{{\"text_id\": 1, \"feature\": [1e20{}]}}", ", 0.5".repeat(39));
        let twice = lines(ItemKind::Text, 5).repeat(2);
        for wrong in ["", "\n", "{}", short, &unending, &twice] {
            assert_eq!(lists(file(wrong).path()), None, "{wrong}");
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

    #[test]
    fn the_first_line_of_another_length_is_named_wherever_a_file_is_cut() {
        let longer = lines(ItemKind::Image, 900)
            .replace("\"image_id\": ", "\"image_id\": 9")
            .replace(", \"feature\": [", ", \"feature\": [0.5, ");
        for first in (250..330).step_by(3) {
            let found = read(&(lines(ItemKind::Image, first) + &longer)).unwrap_err();
            let expected = format!(":{}: `feature` has 41 values, the vectors before have 40", first + 1);
            assert!(found.contains(&expected), "{found} instead of {expected}");
        }
    }
}
