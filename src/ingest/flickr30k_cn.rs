//! The original releases of Flickr30k-CN: text files of `id#zhb#0 caption` (words apart, tagged or not) or `id<TAB>caption`,
//! one a split, and the pictures as `id.jpg`.
use std::collections::BTreeMap;

use super::IngestError;
use super::compressed::must_find;
use super::lines::Lines;
use super::source::{ImageContent, ImageRow, Place, SourceRow, SourceRows, TextRow};
use crate::data::Split;
use crate::store::SourceFolder;

/// The caption files in the order they are read.
pub fn files(source: &SourceFolder, captions: &BTreeMap<Split, String>) -> Result<Vec<String>, IngestError> {
    captions.values().map(|name| must_find(source, name)).collect()
}

/// Rows of all splits; the caption files are read twice, once for the images. `images` is the folder of the pictures.
pub fn rows(
    source: &SourceFolder,
    images: &str,
    captions: &BTreeMap<Split, String>,
) -> Result<SourceRows, IngestError> {
    let names = files(source, captions)?;
    let files: Vec<(String, Split)> = names.into_iter().zip(captions.keys().copied()).collect();
    let folder = images.trim_matches('/').to_owned();
    let pictures: Vec<SourceRows> = files
        .iter()
        .map(|(name, split)| {
            let (folder, split) = (folder.clone(), *split);
            Lines::new(source, name).parse(move |place, line| image_row(place, &line, &folder, split))
        })
        .collect();
    let texts: Vec<SourceRows> = files
        .iter()
        .map(|(name, split)| {
            let split = *split;
            let rows = Lines::new(source, name).parse(move |place, line| text_row(place, &line, split));
            // A line that is bad as a whole was reported with the images already.
            Box::new(rows.filter(|row| !matches!(row, Ok(SourceRow::Bad { .. })))) as SourceRows
        })
        .collect();
    Ok(Box::new(pictures.into_iter().chain(texts).flatten()))
}

/// `1000092795#zhb#0 两个年轻人` as image id, text id and caption. A line without a number of its own has that of the line.
fn parse(line: &[u8], number: u64) -> Result<(String, String, String), &'static str> {
    let line = std::str::from_utf8(line).map_err(|_| "caption is not UTF-8")?.trim();
    let expected = "expected `id#0 caption` or `id<TAB>caption`";
    let (key, caption) = line.split_once(char::is_whitespace).ok_or(expected)?;
    let (image, id) = match key.split_once('#') {
        Some((image, _)) => (image, key.to_owned()),
        None if line[key.len()..].starts_with('\t') => (key, format!("{key}#{number}")),
        None => return Err(expected),
    };
    let image = image.strip_suffix(".jpg").unwrap_or(image);
    if image.is_empty() || image.contains(['/', '\\']) {
        return Err("image id must be the name of a file in the folder of images");
    }
    Ok((image.to_owned(), id, plain_caption(caption)))
}

fn image_row(place: Place, line: &[u8], folder: &str, split: Split) -> SourceRow {
    match parse(line, place.line) {
        Ok((id, _, _)) => {
            let name = if folder.is_empty() { format!("{id}.jpg") } else { format!("{folder}/{id}.jpg") };
            let content = ImageContent::File(name);
            SourceRow::Image(ImageRow { place, id, split: Some(split), family: None, content, repeats: true })
        }
        Err(reason) => SourceRow::bad(place, "images", "", reason),
    }
}

fn text_row(place: Place, line: &[u8], split: Split) -> SourceRow {
    match parse(line, place.line) {
        Ok((image, id, text)) => {
            SourceRow::Text(TextRow { place, id, split: Some(split), text, image_ids: vec![image], repeats: false })
        }
        Err(reason) => SourceRow::bad(place, "images", "", reason),
    }
}

/// A caption without part-of-speech tags and without the spaces that a word segmenter put between Chinese words.
fn plain_caption(caption: &str) -> String {
    let words: Vec<&str> = caption.split_whitespace().collect();
    let tagged = words.iter().all(|word| tag(word).is_some()) && words.iter().any(|word| !word.is_ascii());
    let words: Vec<&str> =
        words.into_iter().map(|word| if tagged { tag(word).unwrap_or(word) } else { word }).collect();
    let mut plain = String::with_capacity(caption.len());
    for word in words {
        let apart = plain.chars().next_back().is_some_and(|before| before.is_ascii_alphanumeric())
            && word.chars().next().is_some_and(|after| after.is_ascii_alphanumeric());
        if apart {
            plain.push(' ');
        }
        plain.push_str(word);
    }
    plain
}

/// The word of `词:n` or `词/n`.
fn tag(word: &str) -> Option<&str> {
    let at = word.rfind([':', '/'])?;
    let (word, tag) = (word.get(..at)?, word.get(at + 1..)?);
    let is_tag = !tag.is_empty() && tag.len() <= 8 && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (is_tag && !word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_read_with_and_without_tags() {
        let parsed = |line: &str| parse(line.as_bytes(), 3).unwrap();
        let (image, id, text) = parsed("1000092795#zhb#0 两个年轻的白人男性在外面。\r\n");
        assert_eq!(
            (image.as_str(), id.as_str(), text.as_str()),
            ("1000092795", "1000092795#zhb#0", "两个年轻的白人男性在外面。")
        );
        assert_eq!(parsed("1#zhm#0 两:m 个:q 年轻:a 男性:n").2, "两个年轻男性");
        assert_eq!(parsed("1#0\t两/m 个/q 人/n").2, "两个人");
        assert_eq!(parsed("1.jpg#0 一 个 穿 T恤 的 人 用 Mac Book").2, "一个穿T恤的人用Mac Book");
        assert_eq!(parsed("1#0 比分 是 3:2").2, "比分是3:2");
        assert_eq!(parsed("1\t一个人").1, "1#3");
        assert!(parse(b"no key", 1).is_err());
        assert!(parse(b"../x#0 caption", 1).is_err());
        assert!(parse(b"1#0", 1).is_err());
    }
}
