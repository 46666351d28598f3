//! Prediction files of the reference, one ranked list a line; a submission to MUGE is the same file.
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use super::FileError;
use super::lines::{each_line_of, query_line};
use super::names::Names;
use super::python_text::push_id;
use crate::evaluate::{Direction, RankedList, Ranking};

/// Reads ranked lists from the bytes of a file; `path` is for errors. It has no scores: minus the rank stands in for them.
pub fn parse_predictions(path: &Path, bytes: &[u8], direction: Direction) -> Result<Vec<Ranking>, FileError> {
    let mut rankings = Vec::new();
    each_line_of(path, bytes, |_, line| {
        let (query_id, documents) = query_line(line, direction)?;
        let mut seen = HashSet::with_capacity(documents.len());
        if let Some(twice) = documents.iter().find(|id| !seen.insert(id.as_str())) {
            return Err(format!("`{twice}` stands twice in the list of `{query_id}`; a list names a document once"));
        }
        let documents = documents.into_iter().zip(1u32..).map(|(id, rank)| (id, -(rank as f32))).collect();
        rankings.push(Ranking { query_id, documents });
        Ok(())
    })?;
    Ok(rankings)
}

/// Writes the first `k` documents of every ranking, to the byte as `make_topk_predictions.py` does.
pub fn write_predictions(
    out: &mut impl Write,
    direction: Direction,
    rankings: &[impl RankedList],
    k: usize,
) -> std::io::Result<()> {
    let Names { query, documents, .. } = Names::of(direction);
    let mut line = String::new();
    for ranking in rankings {
        line.clear();
        line.push_str("{\"");
        line.push_str(query);
        line.push_str("\": ");
        push_id(&mut line, ranking.query_id());
        line.push_str(", \"");
        line.push_str(documents);
        line.push_str("\": [");
        for (place, id) in ranking.document_ids().take(k).enumerate() {
            line.push_str(if place == 0 { "" } else { ", " });
            push_id(&mut line, id);
        }
        line.push_str("]}\n");
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, direction: Direction) -> Result<Vec<Ranking>, FileError> {
        parse_predictions(Path::new("found.jsonl"), text.as_bytes(), direction)
    }

    #[test]
    fn lists_of_every_form_come_back_as_they_were_written() {
        let text = "{\"text_id\": 3, \"image_ids\": [5, \"a b\"]}\n{\"text_id\": \"x\", \"image_ids\": []}\n";
        let rankings = read(text, Direction::TextToImage).unwrap();
        assert_eq!(
            rankings,
            read(&text.replace("text_id", "query_id").replace("image_ids", "item_ids"), Direction::TextToImage)
                .unwrap()
        );
        let mut out = Vec::new();
        write_predictions(&mut out, Direction::TextToImage, &rankings, 10).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text);
        let turned = "{\"image_id\": 5, \"text_ids\": [3]}";
        assert_eq!(read(turned, Direction::ImageToText).unwrap()[0].documents, [("3".to_owned(), -1.0)]);
    }

    #[test]
    fn a_bad_line_is_named_with_what_it_should_be() {
        let error = read("{\"text_id\": 1, \"image_ids\": []}\n{\"text_id\": 2}", Direction::TextToImage).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(":2: missing field `image_ids`") && message.contains("a line is"), "{message}");
        assert!(read("{\"text_id\": 1, \"image_ids\": [2, 2]}", Direction::TextToImage).is_err());
        assert!(read("{\"text_id\": 1, \"image_ids\": [2.5]}", Direction::TextToImage).is_err());
    }
}
