//! Image files in a folder with one file of captions.
use std::collections::HashSet;
use std::path::{Component, Path};

use super::IngestError;
use super::captions::{self, Caption};
use super::compressed::must_find;
use super::source::{ImageContent, ImageRow, Place, SourceRow, SourceRows, TextRow};
use crate::data::Split;
use crate::store::{SourceFile, SourceFolder};

/// Rows of the folder. The captions are read twice: once for the images, once for the texts. An image that several
/// captions name comes once per caption; the writer keeps the first.
pub fn rows(source: &SourceFolder, captions: &str, scratch: &Path) -> Result<SourceRows, IngestError> {
    let name = must_find(source, captions)?;
    let images = {
        let name = name.clone();
        captions::open(source, &name, scratch)?.map(move |caption| Ok(image_row(&name, caption?)))
    };
    let texts = captions::open(source, &name, scratch)?.filter_map(move |caption| match caption {
        Ok(caption) => text_row(&name, caption).map(Ok),
        Err(error) => Some(Err(error)),
    });
    Ok(Box::new(images.chain(texts)))
}

/// The files of a source: captions first, then every image that the captions could mean.
pub fn files(source: &SourceFolder, captions: &str) -> Result<Vec<String>, IngestError> {
    let mut files = vec![must_find(source, captions)?];
    files.extend(image_files(source)?.into_iter().map(|file| file.name));
    Ok(files)
}

/// Image files of a source, sorted by name.
pub fn image_files(source: &SourceFolder) -> Result<Vec<SourceFile>, IngestError> {
    Ok(source.list()?.into_iter().filter(|file| is_image(&file.name)).collect())
}

/// Whether a file's ending is that of an image.
pub fn is_image(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    matches!(extension.as_str(), "jpg" | "jpeg" | "png" | "webp" | "gif" | "bmp")
}

/// The image files of a source by themselves. An id is the name without its ending, or with it where two files would share
/// one.
pub fn image_rows(source: &SourceFolder) -> Result<SourceRows, IngestError> {
    let files = image_files(source)?;
    let short = |name: &str| Path::new(name).with_extension("").to_string_lossy().into_owned();
    let unique = files.iter().map(|file| short(&file.name)).collect::<HashSet<_>>().len() == files.len();
    Ok(Box::new(files.into_iter().map(move |file| {
        let id = if unique { short(&file.name) } else { file.name.clone() };
        // A file of its own has no line.
        let place = Place { source: file.name.as_str().into(), line: 0 };
        let (split, content) = (Some(Split::Test), ImageContent::File(file.name));
        Ok(SourceRow::Image(ImageRow { place, id, split, family: None, content, repeats: false }))
    })))
}

/// Whether a path that data gave leads nowhere but below the source.
pub fn stays_below(name: &str) -> bool {
    let parts = Path::new(name).components();
    !name.is_empty() && parts.into_iter().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The split that a row names.
pub fn named_split(name: Option<&str>) -> Result<Option<Split>, String> {
    match name.map(str::trim).filter(|name| !name.is_empty()) {
        None => Ok(None),
        Some(name) => match Split::parse(name) {
            Some(split) => Ok(Some(split)),
            None => Err(format!("unknown split `{name}`; use train, valid or test")),
        },
    }
}

fn image_row(source: &str, caption: Caption) -> SourceRow {
    let place = Place { source: source.into(), line: caption.line };
    let fields = match caption.fields {
        Ok(fields) => fields,
        Err(reason) => return SourceRow::bad(place, "images", "", reason),
    };
    if !stays_below(&fields.image) {
        return SourceRow::bad(place, "images", fields.image, "image path must stay below the folder of the source");
    }
    match named_split(fields.split.as_deref()) {
        Ok(split) => {
            let content = ImageContent::File(fields.image.clone());
            let family = fields.family.filter(|family| !family.is_empty());
            SourceRow::Image(ImageRow { place, id: fields.image, split, family, content, repeats: true })
        }
        Err(reason) => SourceRow::bad(place, "images", fields.image, reason),
    }
}

/// A caption that is bad as a whole, or names no split there is, was reported with the images already.
fn text_row(source: &str, caption: Caption) -> Option<SourceRow> {
    let line = caption.line;
    let fields = caption.fields.ok()?;
    let split = named_split(fields.split.as_deref()).ok()?;
    Some(SourceRow::Text(TextRow {
        place: Place { source: source.into(), line },
        id: fields.text_id(line),
        split,
        text: fields.text,
        image_ids: vec![fields.image],
        repeats: true,
    }))
}
