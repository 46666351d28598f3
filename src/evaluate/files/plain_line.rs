//! Lines of truth and predictions as the reference's own scripts write them, read without making values of them.
//! What is written in any other way is left to a reader of JSON: ours, or [`super::python_json`] where Python speaks.

/// The query of a line `{"text_id": 1, "text": "…", "image_ids": [2, 3]}`, with or without the text; `take` gets its
/// documents, and where the line is no such line perhaps some of them. `query` and `documents` are the names. Ids are
/// integers as Python writes them, so equal ids are equal texts.
pub fn plain_line<'t>(line: &'t str, query: &str, documents: &str, mut take: impl FnMut(&'t str)) -> Option<&'t str> {
    let (query_id, rest) = integer(named(line.strip_prefix('{')?, query)?)?;
    let mut rest = rest.strip_prefix(", ")?;
    if let Some(text) = named(rest, "text") {
        let text = text.strip_prefix('"')?;
        let end = text.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        rest = text.get(end..)?.strip_prefix("\", ")?;
    }
    rest = named(rest, documents)?.strip_prefix('[')?;
    loop {
        let (id, behind) = integer(rest)?;
        take(id);
        if behind == "]}" {
            return Some(query_id);
        }
        rest = behind.strip_prefix(", ")?;
    }
}

/// What stands behind `"name": `.
fn named<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.strip_prefix('"')?.strip_prefix(name)?.strip_prefix("\": ")
}

/// An integer of at most 18 digits at the start of a text, and what stands behind it.
fn integer(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (id, behind) = text.split_at(text.len() - digits.len() + count);
    let plain = (1..=18).contains(&count) && (!digits.starts_with('0') || id == "0");
    plain.then_some((id, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_reference_writes_is_plain() {
        let read = |line| {
            let mut ids = Vec::new();
            plain_line(line, "text_id", "image_ids", |id| ids.push(id)).map(|query| (query, ids))
        };
        assert_eq!(read("{\"text_id\": 7, \"image_ids\": [0, -3]}"), Some(("7", vec!["0", "-3"])));
        assert_eq!(read("{\"text_id\": 7, \"text\": \"红\", \"image_ids\": [5]}"), Some(("7", vec!["5"])));
        for other in [
            "",
            "{\"text_id\": 7}",
            "{\"text_id\": 07, \"image_ids\": [5]}",
            "{\"text_id\": -0, \"image_ids\": [5]}",
            "{\"text_id\": 7.0, \"image_ids\": [5]}",
            "{\"text_id\": 1234567890123456789, \"image_ids\": [5]}",
            "{\"text_id\": \"7\", \"image_ids\": [5]}",
            "{\"text_id\": 7, \"image_ids\": []}",
            "{\"text_id\": 7, \"image_ids\": [5,6]}",
            "{\"text_id\": 7, \"image_ids\": [1e1]}",
            "{\"text_id\": 7, \"image_ids\": [5], \"text_id\": 8}",
            "{\"text_id\": 7, \"image_ids\": [5]} x",
            "{\"text_id\": 7, \"text\": \"a\\n\", \"image_ids\": [5]}",
            "{\"text_id\": 7, \"text\": \"a\tb\", \"image_ids\": [5]}",
            "{\"text_id\": 7, \"text\": 5, \"image_ids\": [5]}",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
