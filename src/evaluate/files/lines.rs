//! Lines of a text file with their numbers, and ids as JSON gives them. Blank lines are passed over.
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::FileError;
use super::names::Names;
use super::plain_line::plain_line;
use crate::data::ItemKind;
use crate::evaluate::Direction;

/// Calls `take` with every line that is not blank and its number, counted from 1; memory does not grow with the file.
/// An error of `take` is a reason that ends with a remedy.
pub fn each_line(path: &Path, take: impl FnMut(u64, &[u8]) -> Result<(), String>) -> Result<(), FileError> {
    each_line_of(path, BufReader::with_capacity(1 << 18, File::open(path).map_err(FileError::io(path))?), take)
}

/// As [`each_line`] of what was opened already; `path` is for errors.
pub fn each_line_of(
    path: &Path,
    mut reader: impl BufRead,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> Result<(), FileError> {
    let (mut line, mut number, mut any) = (Vec::new(), 0, false);
    while reader.read_until(b'\n', &mut line).map_err(FileError::io(path))? > 0 {
        number += 1;
        let text = line.trim_ascii();
        if !text.is_empty() {
            any = true;
            take(number, text).map_err(|reason| FileError::line(path, number, reason))?;
        }
        line.clear();
    }
    if any { Ok(()) } else { Err(FileError::Empty { path: path.to_owned() }) }
}

/// A line as JSON, or why not.
pub fn json_line<T: DeserializeOwned>(line: &[u8], expected: &str) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| {
        // serde_json counts lines from the start of what it is given: here always 1.
        let reason = error.to_string().replace(" at line 1 column ", " at column ");
        format!("{reason}; a line is {expected}")
    })
}

/// `query_id` and `item_ids` are the names of the first release of MUGE.
#[derive(Deserialize)]
struct ImagesOfText {
    #[serde(alias = "query_id")]
    text_id: Value,
    #[serde(alias = "item_ids")]
    image_ids: Vec<Value>,
}

#[derive(Deserialize)]
struct TextsOfImage {
    image_id: Value,
    text_ids: Vec<Value>,
}

/// The query of a line and its documents in order; the names of the fields say who asks.
pub fn query_line(line: &[u8], direction: Direction) -> Result<(String, Vec<String>), String> {
    let (names, mut ids) = (Names::of(direction), Vec::new());
    let text = str::from_utf8(line).unwrap_or_default();
    if let Some(id) = plain_line(text, names.query, names.documents, |id| ids.push(id.to_owned())) {
        return Ok((id.to_owned(), ids));
    }
    let (query, documents) = match direction.kinds().0 {
        ItemKind::Text => {
            let line: ImagesOfText = json_line(line, "{\"text_id\": 1, \"image_ids\": [1, …]}")?;
            (line.text_id, line.image_ids)
        }
        ItemKind::Image => {
            let line: TextsOfImage = json_line(line, "{\"image_id\": 1, \"text_ids\": [1, …]}")?;
            (line.image_id, line.text_ids)
        }
    };
    Ok((id_text(&query)?, documents.iter().map(id_text).collect::<Result<_, _>>()?))
}

/// Integers and strings are ids, written the same.
pub fn id_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        other => Err(format!("{other} is no id; ids are integers or strings")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_with_blank_ones_and_errors_name_file_line_and_reason() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a\r\n\n  \nb").unwrap();
        let mut seen = Vec::new();
        each_line(file.path(), |number, line| {
            seen.push((number, line.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(1, b"a".to_vec()), (4, b"b".to_vec())]);
        let bad = |number, _: &[u8]| if number == 4 { Err("no; do better".to_owned()) } else { Ok(()) };
        let error = each_line(file.path(), bad).unwrap_err().to_string();
        assert!(error.ends_with(":4: no; do better"), "{error}");
        std::fs::write(file.path(), "\n").unwrap();
        assert!(matches!(each_line(file.path(), |_, _| Ok(())), Err(FileError::Empty { .. })));
    }
}
