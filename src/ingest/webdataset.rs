//! WebDataset: tar shards in which the files of a sample share a name up to its first dot. The image by its ending, texts
//! from the lines of `.txt` or from `caption`, `captions` or `text` of `.json`, where `text_id`, `image_id`, `split` and `family` may stand too.
use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use super::compressed::{open_bytes, plain_name};
use super::folder::{is_image, named_split, stays_below};
use super::lines::id_text;
use super::parquet_dataset::split_of_file;
use super::source::{ImageContent, ImageRow, Place, SourceRow, SourceRows, TextRow};
use super::{IngestError, MAX_IMAGE_BYTES};
use crate::data::Split;
use crate::store::SourceFolder;

/// Texts beside an image are small; larger ones are refused unread.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// The shards of a source in order.
pub fn files(source: &SourceFolder) -> Result<Vec<String>, IngestError> {
    let files: Vec<String> =
        source.list()?.into_iter().map(|file| file.name).filter(|name| plain_name(name).ends_with(".tar")).collect();
    if files.is_empty() {
        return Err(IngestError::NoFiles { path: source.root().into(), expected: "*.tar, *.tar.gz or *.tar.zst" });
    }
    Ok(files)
}

/// Rows of all shards, one after the other.
pub fn rows(source: &SourceFolder) -> Result<SourceRows, IngestError> {
    let files = files(source)?;
    let source = source.clone();
    Ok(Box::new(files.into_iter().flat_map(move |name| shard_rows(source.clone(), name))))
}

/// The tar reader borrows its archive while it walks, so it walks on a thread of its own, a few samples ahead.
fn shard_rows(source: SourceFolder, name: String) -> SourceRows {
    let (sender, receiver) = std::sync::mpsc::sync_channel(16);
    std::thread::spawn(move || {
        // The receiver is gone once the run stopped; then nobody wants the rest.
        let _ = walk(&source, &name, |row| sender.send(Ok(row)).is_ok()).map_err(|error| sender.send(Err(error)));
    });
    Box::new(receiver.into_iter())
}

/// Calls `emit` for every row of a shard until it says no.
fn walk(source: &SourceFolder, name: &str, mut emit: impl FnMut(SourceRow) -> bool) -> Result<(), IngestError> {
    let path = source.display(name);
    let error = |error: std::io::Error| IngestError::Tar { path: path.clone(), source: error };
    let mut archive = tar::Archive::new(open_bytes(source, name)?);
    let split = split_of_file(name);
    let mut sample = Sample::default();
    let mut number = 0;
    for entry in archive.entries().map_err(error)? {
        let mut entry = entry.map_err(error)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        number += 1;
        let place = Place { source: name.into(), line: number };
        let file = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refused = match (kind.is_file(), stays_below(&file)) {
            (false, _) => Some("not a regular file"),
            (_, false) => Some("its path leads out of the archive"),
            _ => None,
        };
        if let Some(reason) = refused {
            if !emit(SourceRow::bad(place, "images", file, reason)) {
                return Ok(());
            }
            continue;
        }
        let (key, ending) = split_name(&file);
        if sample.key != key {
            let done = std::mem::replace(&mut sample, Sample { key: key.to_owned(), place, ..Sample::default() });
            if !done.rows(split).into_iter().all(&mut emit) {
                return Ok(());
            }
        }
        let limit = if is_image(&file) { MAX_IMAGE_BYTES as u64 } else { MAX_TEXT_BYTES };
        if !is_image(&file) && !matches!(ending.to_ascii_lowercase().as_str(), "txt" | "json") {
            continue;
        }
        if entry.size() > limit {
            sample.problem = Some(format!("`{file}` has {} bytes, at most {limit} are accepted", entry.size()));
            continue;
        }
        let mut bytes = Vec::with_capacity(entry.size() as usize);
        entry.read_to_end(&mut bytes).map_err(error)?;
        if (bytes.len() as u64) < entry.size() {
            return Err(error(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let files = if is_image(&file) { &mut sample.images } else { &mut sample.texts };
        if files.insert(ending.to_ascii_lowercase(), bytes).is_some() {
            sample.problem = Some(format!("`{file}` stands there twice"));
        }
    }
    let _ = sample.rows(split).into_iter().all(emit);
    Ok(())
}

/// Everything up to the first dot of the last part, and what comes after it in lower case.
fn split_name(file: &str) -> (&str, &str) {
    let start = file.rfind('/').map_or(0, |at| at + 1);
    match file[start..].find('.') {
        Some(dot) => (&file[..start + dot], &file[start + dot + 1..]),
        None => (file, ""),
    }
}

/// The files of one sample by ending.
struct Sample {
    key: String,
    place: Place,
    images: BTreeMap<String, Vec<u8>>,
    texts: BTreeMap<String, Vec<u8>>,
    problem: Option<String>,
}

impl Default for Sample {
    fn default() -> Self {
        let place = Place { source: "".into(), line: 0 };
        Self { key: String::new(), place, images: BTreeMap::new(), texts: BTreeMap::new(), problem: None }
    }
}

impl Sample {
    fn rows(self, split: Option<Split>) -> Vec<SourceRow> {
        let place = self.place.clone();
        match self.parse(split) {
            Ok(rows) => rows,
            Err((id, reason)) => vec![SourceRow::bad(place, "images", id, reason)],
        }
    }

    fn parse(mut self, split: Option<Split>) -> Result<Vec<SourceRow>, (String, String)> {
        let key = std::mem::take(&mut self.key);
        let bad = |reason: &str| (key.clone(), reason.to_owned());
        if let Some(problem) = self.problem {
            return Err((key, problem));
        }
        if self.images.is_empty() && self.texts.is_empty() {
            return Ok(Vec::new());
        }
        let facts: Value = match self.texts.get("json") {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| bad(&format!("its .json: {error}")))?,
            None => Value::Null,
        };
        let plain = match self.texts.remove("txt") {
            Some(bytes) => Some(String::from_utf8(bytes).map_err(|_| bad("its .txt is not UTF-8"))?),
            None => None,
        };
        let split = named_split(facts["split"].as_str()).map_err(|reason| bad(&reason))?.or(split);
        let Some((_, bytes)) = self.images.pop_first() else {
            return Err(bad("the sample holds no image"));
        };
        if !self.images.is_empty() {
            return Err(bad("the sample holds several images"));
        }
        let id = id_text(&facts["image_id"]).unwrap_or_else(|| key.clone());
        let lines = |text: String| text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        let texts: Vec<String> = plain.map_or_else(|| captions(&facts), lines);
        let text_ids = match &facts["text_id"] {
            Value::Array(ids) => ids.iter().filter_map(id_text).collect(),
            Value::Null => Vec::new(),
            one if texts.len() == 1 => id_text(one).into_iter().collect(),
            one => id_text(one).map_or(Vec::new(), |id| (0..texts.len()).map(|at| format!("{id}#{at}")).collect()),
        };
        if !text_ids.is_empty() && text_ids.len() != texts.len() {
            return Err(bad(&format!("{} texts have {} ids", texts.len(), text_ids.len())));
        }
        let place = self.place;
        let texts = texts.into_iter().enumerate().map(|(at, text)| {
            let text_id = text_ids.get(at).cloned().unwrap_or_else(|| format!("{key}#{at}"));
            let image_ids = vec![id.clone()];
            SourceRow::Text(TextRow { place: place.clone(), id: text_id, split, text, image_ids, repeats: true })
        });
        let texts: Vec<SourceRow> = texts.collect();
        let family = id_text(&facts["family"]).filter(|family| !family.is_empty());
        let content = ImageContent::Bytes(bytes);
        let image = ImageRow { place, id, split, family, content, repeats: true };
        Ok(std::iter::once(SourceRow::Image(image)).chain(texts).collect())
    }
}

fn captions(facts: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for name in ["caption", "captions", "text", "texts"] {
        match &facts[name] {
            Value::String(caption) => return vec![caption.clone()],
            Value::Array(captions) => return captions.iter().filter_map(text).collect(),
            _ => {}
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_the_first_dot_of_the_last_part() {
        assert_eq!(split_name("a.b/c.d.jpg"), ("a.b/c", "d.jpg"));
        assert_eq!(split_name("000.json"), ("000", "json"));
        assert_eq!(split_name("README"), ("README", ""));
    }
}
