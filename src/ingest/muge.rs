//! The first release of MUGE: `MR_{split}_imgs.tsv`, in the layout of today, and `MR_{split}_queries.jsonl`
//! (`{"query_id", "query_text", "item_ids"}`, the test split without `item_ids`); copies without the prefix are about too.
use serde::Deserialize;
use serde_json::Value;

use super::IngestError;
use super::chinese_clip::images_then_texts;
use super::compressed::{find, must_find};
use super::lines::{Lines, id_text, id_texts, parse_json};
use super::source::{Place, SourceRow, SourceRows, TextRow};
use crate::data::Split;
use crate::store::SourceFolder;

/// The files of a source in the order they are read.
pub fn files(source: &SourceFolder, splits: &[Split]) -> Result<Vec<String>, IngestError> {
    let images = splits.iter().map(|split| format!("{split}_imgs.tsv"));
    let queries = splits.iter().map(|split| format!("{split}_queries.jsonl"));
    images
        .chain(queries)
        .map(|name| match find(source, &format!("MR_{name}"))? {
            Some(found) => Ok(found),
            None => must_find(source, &name),
        })
        .collect()
}

/// Rows of all splits.
pub fn rows(source: &SourceFolder, splits: &[Split]) -> Result<SourceRows, IngestError> {
    let queries =
        |name: &str, split| Lines::new(source, name).parse(move |place, line| parse_query(place, &line, split));
    Ok(images_then_texts(source, &files(source, splits)?, splits, queries))
}

#[derive(Deserialize)]
struct QueryLine {
    query_id: Value,
    query_text: String,
    #[serde(default)]
    item_ids: Vec<Value>,
}

fn parse_query(place: Place, line: &[u8], split: Split) -> SourceRow {
    let parsed: QueryLine = match parse_json(&place, line, "{\"query_id\", \"query_text\", \"item_ids\"}") {
        Ok(parsed) => parsed,
        Err(bad) => return bad,
    };
    match (id_text(&parsed.query_id), id_texts(&parsed.item_ids)) {
        (Some(id), Some(image_ids)) => {
            let (split, text) = (Some(split), parsed.query_text);
            SourceRow::Text(TextRow { place, id, split, text, image_ids, repeats: false })
        }
        _ => SourceRow::bad(place, "texts", parsed.query_id.to_string(), "ids must be integers or strings"),
    }
}
