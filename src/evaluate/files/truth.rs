//! Ground truth of the reference: `{split}_texts.jsonl`, and the `.tr.jsonl` that turns it around.
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use super::lines::{each_line_of, query_line};
use super::python_text::{id_json, id_list};
use super::{FileError, Judgements};
use crate::evaluate::Direction;

/// Reads the truth of one direction from the bytes of a file: lines of `text_id` and `image_ids`, or of `image_id` and
/// `text_ids`; `path` is for errors.
pub fn parse_truth(path: &Path, bytes: &[u8], direction: Direction) -> Result<Vec<Judgements>, FileError> {
    let mut truth: Vec<Judgements> = Vec::new();
    each_line_of(path, bytes, |_, line| {
        if truth.is_empty() {
            // About as many as there will be: a list that grows takes new memory each time.
            truth.reserve(bytes.len() / line.len() + 1);
        }
        let (query_id, documents) = query_line(line, direction)?;
        truth.push(Judgements { query_id, gains: documents.into_iter().map(|id| (id, 1)).collect() });
        Ok(())
    })?;
    Ok(truth)
}

/// The truth of the other direction, as the reference's `transform_ir_annotation_to_tr.py` derives it: documents in the
/// order in which they first appear, each with its queries in theirs; a query that names a document twice stands twice.
pub fn transposed(truth: &[Judgements]) -> Vec<Judgements> {
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut turned: Vec<Judgements> = Vec::new();
    for entry in truth {
        for (document, gain) in &entry.gains {
            let at = *place.entry(document).or_insert(turned.len());
            if at == turned.len() {
                turned.push(Judgements { query_id: document.clone(), gains: Vec::new() });
            }
            turned[at].gains.push((entry.query_id.clone(), *gain));
        }
    }
    turned
}

/// Writes a `.tr.jsonl` to the byte as the reference does.
pub fn write_transposed(out: &mut impl Write, turned: &[Judgements]) -> std::io::Result<()> {
    for entry in turned {
        let texts = id_list(entry.gains.iter().map(|(id, _)| id.as_str()));
        writeln!(out, "{{\"image_id\": {}, \"text_ids\": [{texts}]}}", id_json(&entry.query_id))?;
    }
    Ok(())
}
