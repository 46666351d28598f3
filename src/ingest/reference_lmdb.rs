//! The reference's own LMDB: `{split}/imgs/data.mdb` (base64 by image id) and `{split}/pairs/data.mdb` (pickled
//! `(image_id, text_id, text)` by running number).
use std::path::{Path, PathBuf};

use super::IngestError;
use super::lmdb_file::LmdbFile;
use super::pickle::{self, PickleValue};
use super::source::{ImageContent, ImageRow, Place, SourceRow, SourceRows, TextRow};
use crate::data::Split;
use crate::store::SourceFolder;

/// Keys that hold counts, not rows.
const COUNT_OF_IMAGES: &[u8] = b"num_images";
const COUNT_OF_PAIRS: &[u8] = b"num_samples";

/// The files of a source in the order they are read.
pub fn files(splits: &[Split]) -> Vec<String> {
    let images = splits.iter().map(|split| format!("{split}/imgs/data.mdb"));
    images.chain(splits.iter().map(|split| format!("{split}/pairs/data.mdb"))).collect()
}

/// Rows of all splits; `scratch` takes copies of remote files.
pub fn rows(source: &SourceFolder, splits: &[Split], scratch: &Path) -> SourceRows {
    let opened = |name: String| (source.clone(), name, scratch.to_owned());
    let names = files(splits);
    let (images, pairs) = names.split_at(splits.len());
    let images: Vec<_> = images.iter().cloned().map(opened).zip(splits.iter().copied()).collect();
    let pairs: Vec<_> = pairs.iter().cloned().map(opened).zip(splits.iter().copied()).collect();
    let images = images.into_iter().flat_map(|((source, name, scratch), split)| {
        or_error(local(&source, &name, &scratch).and_then(|path| image_rows(&path, name, split)))
    });
    let texts = pairs.into_iter().flat_map(|((source, name, scratch), split)| {
        or_error(local(&source, &name, &scratch).and_then(|path| text_rows(&path, name, split)))
    });
    Box::new(images.chain(texts))
}

fn local(source: &SourceFolder, name: &str, scratch: &Path) -> Result<PathBuf, IngestError> {
    if !source.contains(name)? {
        return Err(IngestError::Missing { path: source.display(name) });
    }
    Ok(source.local(name, scratch)?)
}

fn or_error(rows: Result<SourceRows, IngestError>) -> SourceRows {
    rows.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
}

fn image_rows(path: &Path, name: String, split: Split) -> Result<SourceRows, IngestError> {
    let entries = LmdbFile::open(path)?.entries().filter(|entry| {
        let counts = entry.as_ref().is_ok_and(|(key, _)| key == COUNT_OF_IMAGES);
        !counts
    });
    Ok(Box::new(entries.zip(1..).map(move |(entry, line)| {
        let (key, value) = entry?;
        let place = Place { source: name.as_str().into(), line };
        Ok(match String::from_utf8(key) {
            Ok(id) => {
                let content = ImageContent::Base64(value.into());
                SourceRow::Image(ImageRow { place, id, split: Some(split), family: None, content, repeats: false })
            }
            Err(_) => SourceRow::bad(place, "images", "", "image id is not UTF-8"),
        })
    })))
}

/// Records of one text follow each other; together they are one row.
fn text_rows(path: &Path, name: String, split: Split) -> Result<SourceRows, IngestError> {
    let file = LmdbFile::open(path)?;
    let count = file.get(COUNT_OF_PAIRS)?.and_then(|count| std::str::from_utf8(&count).ok()?.parse::<u64>().ok());
    let count = count.ok_or_else(|| IngestError::Lmdb {
        path: path.to_owned(),
        reason: "`num_samples` is missing; the reference writes it last, so this file is unfinished".to_owned(),
    })?;
    let mut pending: Option<TextRow> = None;
    let mut number = 0;
    Ok(Box::new(std::iter::from_fn(move || {
        while number < count {
            let place = Place { source: name.as_str().into(), line: number + 1 };
            let record = match file.get(number.to_string().as_bytes()) {
                Ok(Some(value)) => pickle::parse(&value).and_then(|value| record(&value)),
                Ok(None) => Err(format!("record {number} of {count} is missing")),
                Err(error) => {
                    number = count;
                    return Some(Err(error));
                }
            };
            number += 1;
            match (record, &mut pending) {
                (Ok((image, id, text)), Some(row)) if row.id == id && row.text == text => row.image_ids.push(image),
                (Ok((image, id, text)), _) => {
                    let row = TextRow { place, id, split: Some(split), text, image_ids: vec![image], repeats: false };
                    if let Some(done) = pending.replace(row) {
                        return Some(Ok(SourceRow::Text(done)));
                    }
                }
                (Err(reason), _) => return Some(Ok(SourceRow::bad(place, "texts", "", reason))),
            }
        }
        pending.take().map(|row| Ok(SourceRow::Text(row)))
    })))
}

/// Image id, text id and text.
fn record(value: &PickleValue) -> Result<(String, String, String), String> {
    let id = |value: &PickleValue| match value {
        PickleValue::Int(number) => Some(number.to_string()),
        PickleValue::Text(text) => Some(text.trim().to_owned()),
        _ => None,
    };
    if let PickleValue::Sequence(values) = value
        && let [image, text_id, PickleValue::Text(text)] = values.as_slice()
        && let (Some(image), Some(text_id)) = (id(image), id(text_id))
    {
        return Ok((image, text_id, text.clone()));
    }
    Err("expected a pickled (image_id, text_id, text)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(folder: &str) -> Vec<SourceRow> {
        let root = format!("{}/tests/formats/{folder}/train/pairs/data.mdb", env!("CARGO_MANIFEST_DIR"));
        text_rows(Path::new(&root), "pairs".to_owned(), Split::Train).unwrap().map(Result::unwrap).collect()
    }

    /// Text id, text and image id of every pair; neighbours with one text are one row or several.
    fn expected(folder: &str) -> Vec<(String, String, String)> {
        let path = format!("{}/tests/formats/expected.json", env!("CARGO_MANIFEST_DIR"));
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let pair = |row: &serde_json::Value, image| (text(&row["id"]), text(&row["text"]), text(image));
        let rows = json["variants"][folder]["texts"].as_array().unwrap().iter();
        rows.flat_map(|row| row["images"].as_array().unwrap().iter().map(move |image| pair(row, image))).collect()
    }

    #[test]
    fn pairs_of_every_pickle_protocol_are_read() {
        for folder in ["reference-lmdb-p2", "reference-lmdb-p3", "reference-lmdb-p5", "reference-lmdb-memo"] {
            let mut found = Vec::new();
            for row in texts(folder) {
                let SourceRow::Text(TextRow { id, text, image_ids, .. }) = row else { unreachable!("{row:?}") };
                found.extend(image_ids.into_iter().map(|image| (id.clone(), text.clone(), image)));
            }
            assert_eq!(found, expected(folder), "{folder}");
        }
    }

    #[test]
    fn hostile_and_damaged_records_become_bad_rows() {
        let reasons = |folder: &str| -> Vec<String> {
            let bad = texts(folder).into_iter().filter_map(|row| match row {
                SourceRow::Bad { reason, .. } => Some(reason),
                _ => None,
            });
            bad.collect()
        };
        let hostile = reasons("reference-lmdb-hostile");
        assert_eq!(hostile.len(), 2, "{hostile:?}");
        assert!(hostile.iter().all(|reason| reason.contains("not executed")), "{hostile:?}");
        let damaged = reasons("reference-lmdb-damaged");
        // The reference unpacks a list as it does a tuple.
        assert_eq!(damaged.len(), 5, "{damaged:?}");
        assert!(damaged.iter().any(|reason| reason.contains("is missing")), "{damaged:?}");
    }

    #[test]
    fn damaged_files_are_errors() {
        let path = format!("{}/tests/formats/reference-lmdb/train/imgs/data.mdb", env!("CARGO_MANIFEST_DIR"));
        let sound = std::fs::read(path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("data.mdb");
        let read = |bytes: &[u8]| -> Result<usize, IngestError> {
            std::fs::write(&copy, bytes).unwrap();
            LmdbFile::open(&copy)?.entries().try_fold(0, |sum, entry| entry.map(|(_, value)| sum + value.len()))
        };
        assert!(read(&sound).unwrap() > 1000);
        for length in [0, 10, 4096, 8192, sound.len() - 4096] {
            assert!(read(&sound[..length]).is_err(), "{length}");
        }
        // Whatever a bit does, it must not bring the program down.
        for at in (0..sound.len() * 8).step_by(977) {
            let mut damaged = sound.clone();
            damaged[at / 8] ^= 1 << (at % 8);
            let _ = read(&damaged);
        }
    }
}
