//! Parquet as the Hugging Face hub keeps image data sets: one row a sample, the image as `struct<bytes, path>`, as bytes or
//! as a path below the folder, the text as a text or a list of texts.
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::IngestError;
use super::folder::{named_split, stays_below};
use super::parquet_rows::{Cell, ParquetTable, Row};
use super::source::{ImageContent, ImageRow, Place, SourceRow, SourceRows, TextRow};
use crate::data::Split;
use crate::store::SourceFolder;

/// Names of columns; without one the usual names are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ParquetColumns {
    /// The image [default: `image`, `img`, `jpg`, `png`, `webp` or `picture`].
    pub image: Option<String>,
    /// The text or texts [default: `text`, `caption`, `texts`, `captions`, `sentence` or `raw`].
    pub text: Option<String>,
    /// The image's id [default: `image_id`, or else the path of the image, or else file and row].
    pub image_id: Option<String>,
    /// The text's id [default: `text_id`, or else that of the image and a number].
    pub text_id: Option<String>,
    /// The split [default: `split`, or else the file's name].
    pub split: Option<String>,
    /// What is never torn apart [default: `family`].
    pub family: Option<String>,
}

const IMAGES: &[&str] = &["image", "img", "jpg", "png", "webp", "picture"];
const TEXTS: &[&str] = &["text", "caption", "texts", "captions", "sentence", "raw"];

/// The columns that a file has.
#[derive(Debug, Clone)]
struct Found {
    image: String,
    text: Option<String>,
    image_id: Option<String>,
    text_id: Option<String>,
    split: Option<String>,
    family: Option<String>,
}

/// The Parquet files of a source.
pub fn files(source: &SourceFolder) -> Result<Vec<String>, IngestError> {
    let files: Vec<String> =
        source.list()?.into_iter().map(|file| file.name).filter(|name| name.ends_with(".parquet")).collect();
    if files.is_empty() {
        return Err(IngestError::NoFiles { path: source.root().into(), expected: "*.parquet" });
    }
    Ok(files)
}

/// Rows of all files.
pub fn rows(source: &SourceFolder, columns: &ParquetColumns, scratch: &Path) -> Result<SourceRows, IngestError> {
    let files = files(source)?;
    let (source, columns, scratch) = (source.clone(), columns.clone(), scratch.to_owned());
    Ok(Box::new(files.into_iter().flat_map(move |name| {
        file_rows(&source, &name, &columns, &scratch).unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
    })))
}

/// The split that a file's name begins with, or that its folder is called: `train-00000-of-00004.parquet`.
pub fn split_of_file(name: &str) -> Option<Split> {
    let path = Path::new(name);
    let stem = path.file_name().and_then(|stem| stem.to_str()).unwrap_or_default();
    let word = stem.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).and_then(|folder| folder.to_str()).unwrap_or_default();
    Split::parse(word).or_else(|| Split::parse(folder))
}

fn file_rows(
    source: &SourceFolder,
    name: &str,
    columns: &ParquetColumns,
    scratch: &Path,
) -> Result<SourceRows, IngestError> {
    let (local, path) = (source.local(name, scratch)?, source.display(name));
    let found = find(&ParquetTable::open(&local, &path, &[])?, &path, columns)?;
    let optional = [&found.text, &found.image_id, &found.text_id, &found.split, &found.family];
    let wanted: Vec<&str> =
        std::iter::once(found.image.as_str()).chain(optional.into_iter().flatten().map(String::as_str)).collect();
    let table = ParquetTable::open(&local, &path, &wanted)?;
    let (name, split) = (name.to_owned(), split_of_file(name));
    Ok(Box::new(table.zip(1..).flat_map(move |(row, line)| match row {
        Ok(row) => {
            let place = Place { source: name.as_str().into(), line };
            sample(place, row, &found, split).into_iter().map(Ok).collect::<Vec<_>>()
        }
        Err(error) => vec![Err(error)],
    })))
}

fn find(table: &ParquetTable, path: &Path, columns: &ParquetColumns) -> Result<Found, IngestError> {
    let missing = |column: &str| IngestError::ParquetColumn {
        path: path.to_owned(),
        column: column.to_owned(),
        present: table.columns().join(", "),
    };
    let pick = |named: &Option<String>, usual: &[&str]| match named {
        Some(name) if table.has(name) => Ok(Some(name.clone())),
        Some(name) => Err(missing(name)),
        None => Ok(usual.iter().find(|name| table.has(name)).map(|name| (*name).to_owned())),
    };
    Ok(Found {
        image: pick(&columns.image, IMAGES)?.ok_or_else(|| missing("image"))?,
        text: pick(&columns.text, TEXTS)?,
        image_id: pick(&columns.image_id, &["image_id"])?,
        text_id: pick(&columns.text_id, &["text_id"])?,
        split: pick(&columns.split, &["split"])?,
        family: pick(&columns.family, &["family"])?,
    })
}

/// The image of a row and its texts.
fn sample(place: Place, mut row: Row, found: &Found, split: Option<Split>) -> Vec<SourceRow> {
    let text = |row: &Row, column: &Option<String>| column.as_ref().and_then(|name| row.get(name)?.text());
    let named = match named_split(text(&row, &found.split).as_deref()) {
        Ok(named) => named,
        Err(reason) => return vec![SourceRow::bad(place, "images", "", reason)],
    };
    let split = named.or(split);
    let (content, path) = match row.remove(&found.image) {
        Some(Cell::Bytes(bytes)) => (ImageContent::Bytes(bytes), None),
        Some(Cell::Image { bytes: Some(bytes), path }) => (ImageContent::Bytes(bytes), path),
        Some(Cell::Image { bytes: None, path: Some(path) } | Cell::Text(path)) if stays_below(&path) => {
            (ImageContent::File(path.clone()), Some(path))
        }
        Some(Cell::Image { path: Some(path), .. } | Cell::Text(path)) => {
            return vec![SourceRow::bad(place, "images", path, "image path must stay below the folder of the source")];
        }
        _ => return vec![SourceRow::bad(place, "images", "", "the row holds no image")],
    };
    let id = text(&row, &found.image_id)
        .or(path.filter(|path| !path.is_empty()))
        .unwrap_or_else(|| format!("{}:{}", place.source, place.line));
    let texts = match found.text.as_ref().and_then(|name| row.remove(name)) {
        Some(Cell::List(texts)) => texts.iter().filter_map(Cell::text).collect(),
        Some(cell) => cell.text().into_iter().collect(),
        None => Vec::new(),
    };
    let text_id = text(&row, &found.text_id);
    let family = text(&row, &found.family).filter(|family| !family.is_empty());
    let many = texts.len() > 1;
    let texts = texts.into_iter().enumerate().map(|(at, text)| {
        let text_id = match &text_id {
            Some(text_id) if many => format!("{text_id}#{at}"),
            Some(text_id) => text_id.clone(),
            None => format!("{}:{}#{at}", place.source, place.line),
        };
        let image_ids = vec![id.clone()];
        SourceRow::Text(TextRow { place: place.clone(), id: text_id, split, text, image_ids, repeats: true })
    });
    let texts: Vec<SourceRow> = texts.collect();
    let image = ImageRow { place, id, split, family, content, repeats: true };
    std::iter::once(SourceRow::Image(image)).chain(texts).collect()
}
