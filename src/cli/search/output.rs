//! What was found, as a table, JSON, a page and files.
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::Failure;
use super::super::open_release::OpenRelease;
use crate::data::{ErrorClass, Release};
use crate::index::Hit;
use crate::ingest::decode;
use crate::report::{Gallery, HitFacts, render_hits, thumbnail};
use crate::stage::StageError;
use crate::store::write_whole;

/// The hits with their pictures.
pub fn page(title: &str, hits: &[Hit], open: &OpenRelease) -> Result<String, Failure> {
    let mut gallery = Gallery::default();
    let mut facts = Vec::new();
    for hit in hits {
        let picture = match open.picture(&hit.document)? {
            None => None,
            Some(bytes) => {
                let url = || {
                    let jpeg = small(hit, &bytes)?;
                    Ok(format!("data:image/jpeg;base64,{}", base64_simd::STANDARD.encode_to_string(jpeg)))
                };
                Some(gallery.add(&format!("{}/{}", hit.document.data, hit.document.image_id), url)?)
            }
        };
        facts.push(HitFacts {
            id: hit.id.clone(),
            score: hit.score,
            text: hit.text.clone(),
            split: hit.document.split.to_string(),
            picture,
        });
    }
    Ok(render_hits(title, &facts, &gallery))
}

pub fn save_images(hits: &[Hit], folder: &Path, open: &OpenRelease) -> Result<(), Failure> {
    for (hit, rank) in hits.iter().zip(1..) {
        let Some(bytes) = open.picture(&hit.document)? else { continue };
        let (_, format) = decode(&bytes)?;
        let extension = if format == "jpeg" { "jpg" } else { format };
        write_whole(&folder.join(format!("{rank:03}-{}.{extension}", hit.document.data)), &bytes)?;
    }
    Ok(())
}

/// Paths of small pictures by hit; `None` for a text without an image.
pub fn save_thumbnails(hits: &[Hit], folder: &Path, open: &OpenRelease) -> Result<Vec<Option<PathBuf>>, Failure> {
    let mut paths = Vec::with_capacity(hits.len());
    for (hit, rank) in hits.iter().zip(1..) {
        let path = match open.picture(&hit.document)? {
            None => None,
            Some(bytes) => {
                let path = folder.join(format!("{rank:03}-{}.jpg", hit.document.data));
                write_whole(&path, &small(hit, &bytes)?)?;
                Some(path)
            }
        };
        paths.push(path);
    }
    Ok(paths)
}

/// A small JPEG of a hit's image.
fn small(hit: &Hit, bytes: &[u8]) -> Result<Vec<u8>, StageError> {
    thumbnail(bytes).map_err(|error| {
        let message = format!("image `{}` of {}: {error}", hit.document.image_id, hit.document.data);
        StageError::new(ErrorClass::BadInput, message)
    })
}

/// One hit a line: rank, score, the small picture if there are any, where the image came from, and the text.
pub fn table(hits: &[Hit], thumbnails: Option<&[Option<PathBuf>]>) -> String {
    if hits.is_empty() {
        return "nothing found".to_owned();
    }
    let mut text = String::new();
    for (hit, at) in hits.iter().zip(0..) {
        let _ = write!(text, "{:>3}  {:.4}  ", at + 1, hit.score);
        if let Some(thumbnails) = thumbnails {
            let path = thumbnails.get(at).and_then(Option::as_ref);
            let _ = write!(text, "{}  ", path.map_or("-".to_owned(), |path| path.display().to_string()));
        }
        let image = if hit.image.is_empty() { "-" } else { &hit.image };
        let _ = writeln!(text, "{image}  {}", hit.text);
    }
    text
}

/// The hits, each with its `thumbnail` if there are any.
pub fn to_json(release: &Release, hits: &[Hit], thumbnails: Option<&[Option<PathBuf>]>) -> Result<Value, Failure> {
    let failed = |error: serde_json::Error| Failure::new(ErrorClass::Internal, error.to_string());
    let mut rows = serde_json::to_value(hits).map_err(failed)?;
    for (row, path) in rows.as_array_mut().into_iter().flatten().zip(thumbnails.unwrap_or_default()) {
        row["thumbnail"] = json!(path);
    }
    Ok(json!({ "pipeline": release.pipeline, "release": release.number, "hits": rows }))
}
