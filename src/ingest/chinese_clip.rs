//! The reference's raw layout: `{split}_imgs.tsv` (`id<TAB>base64`) and `{split}_texts.jsonl`
//! (`{"text_id", "text", "image_ids"}`); as MUGE, Flickr30k-CN and COCO-CN are published.
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::IngestError;
use super::compressed::must_find;
use super::lines::{LineKind, Lines, MAX_LINE_BYTES, id_text, id_texts, parse_json};
use super::source::{ImageContent, ImageRow, Place, SourceRow, SourceRows, TextRow};
use crate::data::Split;
use crate::store::SourceFolder;

/// The files of a source in the order they are read.
pub fn files(source: &SourceFolder, splits: &[Split]) -> Result<Vec<String>, IngestError> {
    let images = splits.iter().map(|split| format!("{split}_imgs.tsv"));
    let texts = splits.iter().map(|split| format!("{split}_texts.jsonl"));
    images.chain(texts).map(|name| must_find(source, &name)).collect()
}

/// Rows of all splits.
pub fn rows(source: &SourceFolder, splits: &[Split]) -> Result<SourceRows, IngestError> {
    let texts = |name: &str, split| text_lines(source, name, split, Labels::Required);
    Ok(images_then_texts(source, &files(source, splits)?, splits, texts))
}

/// Rows of one TSV of images for each split, then of as many files of texts.
pub fn images_then_texts(
    source: &SourceFolder,
    names: &[String],
    splits: &[Split],
    texts: impl Fn(&str, Split) -> SourceRows,
) -> SourceRows {
    let (image_files, text_files) = names.split_at(splits.len());
    let images = image_files.iter().zip(splits).map(|(name, split)| image_lines(source, name, Some(*split)));
    let texts = text_files.iter().zip(splits).map(|(name, split)| texts(name, *split));
    Box::new(images.chain(texts).collect::<Vec<SourceRows>>().into_iter().flatten())
}

/// Whether a text must say which images it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Labels {
    Required,
    Optional,
}

/// Rows of one TSV of images.
fn image_lines(source: &SourceFolder, name: &str, split: Option<Split>) -> SourceRows {
    Lines::new(source, name).parse(move |place, line| parse_image(place, &line, split))
}

/// Rows of one JSONL of texts.
fn text_lines(source: &SourceFolder, name: &str, split: Split, labels: Labels) -> SourceRows {
    Lines::new(source, name).parse(move |place, line| parse_text(place, &line, split, labels))
}

/// Rows of one file by itself, whatever its name ends in; texts need no labels.
pub fn file_rows(source: &SourceFolder, name: &str, kind: LineKind) -> SourceRows {
    match kind {
        LineKind::Image => image_lines(source, name, Some(Split::Test)),
        LineKind::Text => text_lines(source, name, Split::Test, Labels::Optional),
    }
}

#[derive(Deserialize)]
struct TextLine {
    text_id: Value,
    text: String,
    image_ids: Option<Vec<Value>>,
}

fn parse_image(place: Place, line: &Bytes, split: Option<Split>) -> SourceRow {
    if line.len() >= MAX_LINE_BYTES {
        return SourceRow::bad(place, "images", "", "line is longer than any image that is accepted");
    }
    let Some(tab) = memchr::memchr(b'\t', line) else {
        return SourceRow::bad(place, "images", "", "no tab: expected `image_id<TAB>base64`");
    };
    let Ok(id) = std::str::from_utf8(&line[..tab]).map(|id| id.trim().to_owned()) else {
        return SourceRow::bad(place, "images", "", "image id is not UTF-8");
    };
    let image = line[tab + 1..].trim_ascii();
    let content = ImageContent::Base64(line.slice_ref(image));
    SourceRow::Image(ImageRow { place, id, split, family: None, content, repeats: false })
}

fn parse_text(place: Place, line: &[u8], split: Split, labels: Labels) -> SourceRow {
    let parsed: TextLine = match parse_json(&place, line, "{\"text_id\", \"text\", \"image_ids\"}") {
        Ok(parsed) => parsed,
        Err(bad) => return bad,
    };
    if labels == Labels::Required && parsed.image_ids.is_none() {
        let reason = "`image_ids` is missing; a text without labels has an empty list";
        return SourceRow::bad(place, "texts", parsed.text_id.to_string(), reason);
    }
    match (id_text(&parsed.text_id), id_texts(&parsed.image_ids.unwrap_or_default())) {
        (Some(id), Some(image_ids)) => {
            let (split, text) = (Some(split), parsed.text);
            SourceRow::Text(TextRow { place, id, split, text, image_ids, repeats: false })
        }
        _ => SourceRow::bad(place, "texts", parsed.text_id.to_string(), "ids must be integers or strings"),
    }
}
